//! Reads the verdict of `git push --porcelain`, and what follows from a refusal.

use super::classify::{status_of_push, telling};
use super::words::{is_of_server, server_words};
use super::{Refusal, RefusalKind};

/// What git reports about the one ref of a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server updated this ref, or it had this value before.
    Accepted { name: String },
    /// The server, or git before it, refused.
    Refused(Refusal),
}

/// Reasons that git itself gives before anything is sent: the server shows another tip than the expected one.
const OUTDATED: [&str; 5] = [
    "stale info",
    "fetch first",
    "non-fast-forward",
    "needs force",
    "remote ref updated since checkout",
];

/// Reasons of servers (git, JGit, libgit2) for a ref whose lock could not be taken, or whose value changed meanwhile.
const LOCKED: [&str; 7] = [
    "failed to update ref",
    "failed to lock",
    "cannot lock ref",
    "lock failure",
    "incorrect old value provided",
    "reference already exists",
    "reference does not exist",
];

/// Messages that show that a ref which could not be updated will not be updated a moment later either.
const NOT_A_LOCK: [&str; 6] = [
    "aborted by hook",
    "; cannot create 'refs/",
    "Permission denied",
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
];

/// The reason that git gives for a ref on which the server never reported.
const NO_REPORT: &str = "remote failed to report status";

/// The verdict in what git wrote to standard output and, line by line, to standard error; `None` where there is none.
pub(super) fn verdict(stdout: &str, stderr: &[String]) -> Option<Verdict> {
    let reported = stdout.lines().find_map(|line| {
        let (flag, rest) = line.split_once('\t')?;
        let (refs, summary) = rest.split_once('\t')?;
        Some((flag, refs.split_once(':')?.1, summary))
    });
    match reported {
        Some(("!", _, summary)) if summary.contains(NO_REPORT) => unreported(stderr),
        Some(("!", _, summary)) => Some(refused(summary, stderr)),
        Some((_, name, _)) => Some(Verdict::Accepted {
            name: name.to_owned(),
        }),
        None => unreported(stderr),
    }
}

/// A refusal that ended the connection before the server reported on the ref.
fn unreported(stderr: &[String]) -> Option<Verdict> {
    let refused = |kind, reason: String| {
        Some(Verdict::Refused(Refusal {
            kind,
            reason,
            words: server_words(stderr),
        }))
    };
    match status_of_push(stderr) {
        Some(413) => {
            let reason = "HTTP 413: the push is larger than the server accepts".to_owned();
            refused(RefusalKind::TooLarge, reason)
        }
        Some(status @ (409 | 422)) => refused(RefusalKind::Declined, format!("HTTP {status}")),
        // The others are about the request, not about what is pushed: they have errors of their own.
        Some(_) | None => aborted_by_hook(stderr).map(Verdict::Refused),
    }
}

/// The refusal by the hook `reference-transaction`: receive-pack dies instead of reporting. Over a path or ssh, the lines
/// that it and the hook printed before are not marked as the server's.
pub(in crate::codex) fn aborted_by_hook(stderr: &[String]) -> Option<Refusal> {
    let is_abort = |line: &String| !is_of_server(line) && line.contains("aborted by hook");
    let at = stderr.iter().position(is_abort)?;
    let unmarked = telling(&stderr[..at]).into_iter();
    let unmarked = unmarked.filter(|line| !is_of_server(line));
    let marked = stderr.iter().filter(|line| is_of_server(line)).cloned();
    let words: Vec<_> = unmarked
        .map(|line| format!("remote: {line}"))
        .chain(marked)
        .collect();
    Some(Refusal {
        kind: RefusalKind::Declined,
        reason: stderr[at].trim().trim_start_matches("fatal: ").to_owned(),
        words: server_words(&words),
    })
}

fn refused(summary: &str, stderr: &[String]) -> Verdict {
    let reason = reason_of(summary);
    let mut reason = reason.to_owned();
    let unpacking = stderr
        .iter()
        .find_map(|line| line.strip_prefix("error: remote unpack failed: "));
    if let Some(cause) = unpacking.filter(|_| reason.contains("unpack")) {
        reason = format!("{reason}: {}", cause.trim());
    }

    let kind = if OUTDATED.contains(&reason.as_str()) && summary.starts_with("[rejected]") {
        RefusalKind::Outdated
    } else {
        kind(&reason, stderr)
    };
    Verdict::Refused(Refusal {
        kind,
        reason,
        words: server_words(stderr),
    })
}

/// What follows from the reason of a server, and from the lines that came with it.
pub(super) fn kind(reason: &str, lines: &[String]) -> RefusalKind {
    let says = |text: &str| reason.contains(text) || lines.iter().any(|line| line.contains(text));
    let is_locked = LOCKED.iter().any(|sign| reason.contains(sign));
    if is_locked && !NOT_A_LOCK.iter().any(|sign| says(sign)) {
        RefusalKind::Locked
    } else if reason.contains("unpack") && says("pack exceeds maximum") {
        RefusalKind::TooLarge
    } else {
        RefusalKind::Declined
    }
}

/// The reason in git's summary of a ref: `[remote rejected] (REASON)`.
fn reason_of(summary: &str) -> &str {
    let inner = || {
        let (_, rest) = summary.strip_prefix('[')?.split_once("] (")?;
        rest.strip_suffix(')')
    };
    inner().unwrap_or(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(summary: &str, stderr: &[&str]) -> Option<Verdict> {
        let stdout = format!("To URL\n!\tID:refs/heads/main\t{summary}\nDone\n");
        let stderr: Vec<_> = stderr.iter().map(|line| (*line).to_owned()).collect();
        verdict(&stdout, &stderr)
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        use RefusalKind::{Declined, Locked, Outdated, TooLarge};
        let lock = "remote: error: cannot lock ref 'refs/heads/main': Unable to create 'main.lock': File exists.";
        let directory = "remote: error: cannot lock ref 'refs/heads/a/b': 'refs/heads/a' exists; cannot create 'refs/heads/a/b'";
        let large = "remote: fatal: pack exceeds maximum allowed size";
        for (summary, stderr, expected) in [
            ("[rejected] (stale info)", "", Outdated),
            ("[rejected] (fetch first)", "", Outdated),
            ("[remote rejected] (failed to update ref)", lock, Locked),
            ("[remote rejected] (failed to update ref)", "", Locked),
            ("[remote rejected] (failed to lock)", "", Locked),
            (
                "[remote rejected] (incorrect old value provided)",
                "",
                Locked,
            ),
            (
                "[remote rejected] (failed to update ref)",
                directory,
                Declined,
            ),
            ("[remote rejected] (stale info)", "", Declined),
            (
                "[remote rejected] (pre-receive hook declined)",
                lock,
                Declined,
            ),
            ("[remote rejected] (hook declined)", "", Declined),
            (
                "[remote rejected] (protected branch hook declined)",
                "",
                Declined,
            ),
            (
                "[remote rejected] (prohibited by Gerrit: not permitted: update)",
                "",
                Declined,
            ),
            (
                "[remote rejected] (deny updating a hidden ref)",
                "",
                Declined,
            ),
            (
                "[remote rejected] (unsupported object format)",
                "",
                Declined,
            ),
            ("[remote rejected] (Internal Server Error)", "", Declined),
            ("[remote rejected] (unpacker error)", "", Declined),
            ("[remote rejected] (unpacker error)", large, TooLarge),
            ("[remote rejected] (n/a (unpacker error))", "", Declined),
            ("push option not supported", "", Declined),
        ] {
            match of(summary, &[stderr]) {
                Some(Verdict::Refused(refusal)) => assert_eq!(refusal.kind, expected, "{summary}"),
                other => panic!("{summary}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_reason_of_an_unpacker_error_is_part_of_it() {
        let stderr = "error: remote unpack failed: unable to create temporary object directory";
        let expected = Verdict::Refused(Refusal {
            kind: RefusalKind::Declined,
            reason: "unpacker error: unable to create temporary object directory".to_owned(),
            words: Vec::new(),
        });
        assert_eq!(
            of("[remote rejected] (unpacker error)", &[stderr]),
            Some(expected)
        );
    }

    #[test]
    fn without_a_report_there_is_no_verdict() {
        let summary = "[remote failure] (remote failed to report status)";
        let http = |status: u16| {
            let line = format!(
                "error: RPC failed; HTTP {status} curl 22 The requested URL returned error: {status}"
            );
            verdict("", &[line])
        };
        assert_eq!(
            of(summary, &["fatal: the remote end hung up unexpectedly"]),
            None
        );
        for status in [400, 401, 403, 404, 408, 429, 500, 503, 504] {
            assert_eq!(http(status), None, "{status}");
        }
        for status in [409, 413, 422] {
            assert!(
                matches!(http(status), Some(Verdict::Refused(_))),
                "{status}"
            );
        }
    }

    #[test]
    fn a_ref_that_the_server_updated_instead_is_seen() {
        let stdout = "To URL\n*\tID:refs/changes/1/head\t[new reference]\nDone\n";
        let expected = Verdict::Accepted {
            name: "refs/changes/1/head".to_owned(),
        };
        assert_eq!(verdict(stdout, &[]), Some(expected));
    }
}
