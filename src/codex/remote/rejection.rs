//! Why a server rejects a push: the kinds of rejections, and how they are recognized, for both
//! transports. Most of the file parses the output of `git push --porcelain`. A rejection that the
//! native transport receives is a reason with the server's messages, or an HTTP status.

use super::error_messages::{relevant_lines, status_of_push};
use super::server_message::{is_of_server, mark, server_words};

/// The reason for a rejected push.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// Decides whether the push is repeated.
    pub kind: RejectionKind,
    /// The reason that was given for the ref.
    pub reason: String,
    /// The server's messages, one string per line.
    pub words: Vec<String>,
}

/// The middle of git's message about a branch: `'refs/heads/a' exists; cannot create
/// 'refs/heads/a/b'`.
const NESTED_BRANCH: &str = " exists; cannot create 'refs/";

impl Rejection {
    /// Whether the server rejected the push because it hides the branch (`transfer.hideRefs`).
    pub fn is_of_hidden_branch(&self) -> bool {
        self.reason.contains("hidden ref")
    }

    /// Whether the server cannot create the branch because of another one: `a` and `a/b` cannot
    /// both exist.
    pub fn is_of_nested_branch(&self) -> bool {
        let lines = self.words.iter().chain([&self.reason]);
        lines.into_iter().any(|line| line.contains(NESTED_BRANCH))
    }
}

/// The start of GitHub's message to a push with too many branches: `Pushes can not update more than
/// 5 branches or tags.`
const TOO_MANY_REFS: &str = "can not update more than ";

impl Rejection {
    /// The greatest number of branches in one push, if the server rejected the push because it had
    /// more.
    pub(crate) fn most_refs(&self) -> Option<usize> {
        let lines = self.words.iter().chain([&self.reason]);
        lines
            .filter_map(|line| line.split_once(TOO_MANY_REFS))
            .filter_map(|(_, rest)| rest.split_once(" branches"))
            .find_map(|(number, _)| number.parse().ok().filter(|number| *number > 0))
    }
}

/// The kinds of rejections, which decide whether a push is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The branch has another tip than the expected one.
    Outdated,
    /// Another push holds the lock of the branch: the same push may succeed a moment later.
    Locked,
    /// The server does not accept this push, perhaps because of what it contains.
    Declined,
    /// The server accepts no push to this branch, whatever it contains: the branch is protected,
    /// or the server cannot write it.
    BranchClosed,
    /// The server requires signatures on the commits, or signatures of another kind.
    SignatureRequired,
    /// The server does not accept a request of this size.
    TooLarge,
}

/// The result for the ref of a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RefResult {
    /// The server updated this ref, or the ref had the new value already.
    Accepted { name: String },
    /// The server rejected the update, or git did before sending it.
    Rejected(Rejection),
}

/// Reasons that git gives before it sends anything: the tip on the server is not the expected one.
const OUTDATED: [&str; 5] = [
    "stale info",
    "fetch first",
    "non-fast-forward",
    "needs force",
    "remote ref updated since checkout",
];

/// Reasons of servers (git, JGit, libgit2) for a ref that another client locked or changed at the
/// same time.
const LOCKED: [&str; 7] = [
    "failed to update ref",
    "failed to lock",
    "cannot lock ref",
    "lock failure",
    "incorrect old value provided",
    "reference already exists",
    "reference does not exist",
];

/// Messages that show that an update of a ref failed permanently.
const NOT_A_LOCK: [&str; 6] = [
    "aborted by hook",
    "; cannot create 'refs/",
    "Permission denied",
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
];

/// Messages of servers that accept no push to the branch from this user, whatever it contains. Some
/// are the reason for the ref, others are lines of the server's message.
const UNCONDITIONAL: [&str; 22] = [
    // GitHub
    "GH006",
    "protected branch hook declined",
    "Changes must be made through a pull request",
    "Changes must be made through the merge queue",
    "Cannot update this protected ref",
    "Cannot create ref due to creations being restricted",
    "Required status check",
    "required status check",
    // GitLab
    "You are not allowed to push code to",
    "You are not allowed to create protected branches",
    // Gitea and Forgejo
    "Not allowed to push to protected branch",
    // Azure DevOps
    "TF402455",
    "TF401027",
    // Bitbucket
    "Permission denied to update branch",
    // Gerrit
    "prohibited by Gerrit",
    // git: the server's own settings and files
    "deny updating a hidden ref",
    "branch is currently checked out",
    "shallow update not allowed",
    "unsupported object format",
    // any
    "repository is archived",
    "repository is read-only",
    "archived so it is read-only",
];

/// Messages about signatures that are missing or not valid. All commits of a run are signed alike,
/// so a server that requires a signature rejects every one of them.
const SIGNATURE: [&str; 3] = [
    "must have verified signatures",
    "must be signed",
    "unverified commit",
];

/// The reason that git gives if the server did not report on the ref.
const NO_REPORT: &str = "remote failed to report status";

/// Finds the results for the refs `names`, in that order, in the standard output of git and the
/// lines of its standard error. `None` if there is no result for one of them.
pub(super) fn ref_results(
    stdout: &str,
    stderr: &[String],
    names: &[String],
) -> Option<Vec<RefResult>> {
    let reported: Vec<_> = stdout.lines().filter_map(reported_ref).collect();
    let of_ref = |name: &String| {
        let mut own = reported.iter().filter(|(_, updated, _)| updated == name);
        // A server that turns the push into a review reports another ref.
        let only = || reported.first().filter(|_| names.len() == 1);
        verdict(own.next().or_else(only).copied(), stderr)
    };
    names.iter().map(of_ref).collect()
}

/// The flag, the ref and the summary in a line of git's output.
fn reported_ref(line: &str) -> Option<(&str, &str, &str)> {
    let (flag, rest) = line.split_once('\t')?;
    let (refs, summary) = rest.split_once('\t')?;
    Some((flag, refs.split_once(':')?.1, summary))
}

fn verdict(reported: Option<(&str, &str, &str)>, stderr: &[String]) -> Option<RefResult> {
    match reported {
        Some(("!", _, summary)) if summary.contains(NO_REPORT) => unreported(stderr),
        Some(("!", _, summary)) => Some(rejected(summary, stderr)),
        Some((_, name, _)) => Some(RefResult::Accepted {
            name: name.to_owned(),
        }),
        None => unreported(stderr),
    }
}

/// Whether an HTTP status is about the pushed commits. Other statuses are about the request, and
/// have their own errors.
pub(super) fn is_status_of_contents(status: u16) -> bool {
    matches!(status, 409 | 413 | 422)
}

/// The rejection of a push with a [status about its contents](is_status_of_contents). `words` are the
/// lines of the server's message.
pub(super) fn of_status(status: u16, words: Vec<String>) -> Rejection {
    let (kind, reason) = match status {
        413 => (
            RejectionKind::TooLarge,
            "HTTP 413: the push is larger than the server accepts".to_owned(),
        ),
        _ => (RejectionKind::Declined, format!("HTTP {status}")),
    };
    Rejection {
        kind,
        reason,
        words,
    }
}

/// A rejection that ended the connection before the server reported on the ref.
fn unreported(stderr: &[String]) -> Option<RefResult> {
    let rejection = match status_of_push(stderr) {
        Some(status) if is_status_of_contents(status) => {
            Some(of_status(status, server_words(stderr)))
        }
        _ => aborted_by_hook(stderr),
    };
    rejection.map(RefResult::Rejected)
}

/// A rejection by the hook `reference-transaction`: receive-pack dies without a report. For a local
/// path and over ssh, the preceding lines of the hook have no `remote:` prefix.
pub(in crate::codex) fn aborted_by_hook(stderr: &[String]) -> Option<Rejection> {
    let is_abort = |line: &String| !is_of_server(line) && line.contains("aborted by hook");
    let at = stderr.iter().position(is_abort)?;
    let unmarked = relevant_lines(&stderr[..at]).into_iter();
    let unmarked = unmarked.filter(|line| !is_of_server(line));
    let marked = stderr.iter().filter(|line| is_of_server(line)).cloned();
    let words: Vec<_> = unmarked.map(|line| mark(&line)).chain(marked).collect();
    Some(Rejection {
        kind: RejectionKind::Declined,
        reason: stderr[at].trim().trim_start_matches("fatal: ").to_owned(),
        words: server_words(&words),
    })
}

fn rejected(summary: &str, stderr: &[String]) -> RefResult {
    let reason = reason_of(summary);
    let mut reason = reason.to_owned();
    let unpacking = stderr
        .iter()
        .find_map(|line| line.strip_prefix("error: remote unpack failed: "));
    if let Some(cause) = unpacking.filter(|_| reason.contains("unpack")) {
        reason = format!("{reason}: {}", cause.trim());
    }

    let kind = if OUTDATED.contains(&reason.as_str()) && summary.starts_with("[rejected]") {
        RejectionKind::Outdated
    } else {
        kind(&reason, stderr)
    };
    RefResult::Rejected(Rejection {
        kind,
        reason,
        words: server_words(stderr),
    })
}

/// The kind of a rejection, by the reason that the server gave and the lines that it sent.
pub(super) fn kind(reason: &str, lines: &[String]) -> RejectionKind {
    let says = |text: &str| reason.contains(text) || lines.iter().any(|line| line.contains(text));
    let is_locked = LOCKED.iter().any(|sign| reason.contains(sign));
    if is_locked && !NOT_A_LOCK.iter().any(|sign| says(sign)) {
        RejectionKind::Locked
    } else if (is_locked && !says("aborted by hook"))
        || UNCONDITIONAL.iter().any(|sign| says(sign))
        || lines.iter().any(|line| is_gitolite_branch_rule(line))
    {
        RejectionKind::BranchClosed
    } else if reason.contains("unpack") && says("pack exceeds maximum") {
        RejectionKind::TooLarge
    } else if SIGNATURE.iter().any(|sign| says(sign)) {
        RejectionKind::SignatureRequired
    } else {
        RejectionKind::Declined
    }
}

/// Whether a line is that of a rule of gitolite for the whole branch: `FATAL: W refs/heads/main
/// REPOSITORY USER DENIED by RULE`. A rule for paths has `VREF/NAME/PATH` instead of the ref.
fn is_gitolite_branch_rule(line: &str) -> bool {
    let Some((_, rule)) = line.split_once("FATAL: ") else {
        return false;
    };
    let mut words = rule.split(' ').skip(1);
    let is_branch = words
        .next()
        .is_some_and(|word| word == "any" || word.starts_with("refs/"));
    is_branch && words.any(|word| word == "DENIED")
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

    fn of(summary: &str, stderr: &[&str]) -> Option<RefResult> {
        let stdout = format!("To URL\n!\tID:refs/heads/main\t{summary}\nDone\n");
        let stderr: Vec<_> = stderr.iter().map(|line| (*line).to_owned()).collect();
        only(&stdout, &stderr)
    }

    /// The result of a push to one branch.
    fn only(stdout: &str, stderr: &[String]) -> Option<RefResult> {
        let names = ["refs/heads/main".to_owned()];
        ref_results(stdout, stderr, &names)?.pop()
    }

    #[test]
    fn kind_depends_on_the_reason_and_the_lines() {
        use RejectionKind::{
            BranchClosed, Declined, Locked, Outdated, SignatureRequired, TooLarge,
        };
        let lock = "remote: error: cannot lock ref 'refs/heads/main': Unable to create 'main.lock': File exists.";
        let directory = "remote: error: cannot lock ref 'refs/heads/a/b': 'refs/heads/a' exists; cannot create 'refs/heads/a/b'";
        let large = "remote: fatal: pack exceeds maximum allowed size";
        let gitolite = "remote: FATAL: W refs/heads/main acme/codex bot DENIED by fallthru";
        let path_rule = "remote: FATAL: W VREF/NAME/projects/a/x.md acme/codex bot DENIED by rule";
        let gitlab = "remote: GitLab: You are not allowed to push code to protected branches on this project.";
        let pull_request = "remote: - Changes must be made through a pull request.";
        let signatures = "remote: - Commits must have verified signatures.";
        let secrets = "remote: - Push cannot contain secrets";
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
                BranchClosed,
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
                BranchClosed,
            ),
            (
                "[remote rejected] (prohibited by Gerrit: not permitted: update)",
                "",
                BranchClosed,
            ),
            (
                "[remote rejected] (deny updating a hidden ref)",
                "",
                BranchClosed,
            ),
            (
                "[remote rejected] (unsupported object format)",
                "",
                BranchClosed,
            ),
            ("[remote rejected] (hook declined)", gitolite, BranchClosed),
            ("[remote rejected] (hook declined)", path_rule, Declined),
            (
                "[remote rejected] (pre-receive hook declined)",
                gitlab,
                BranchClosed,
            ),
            (
                "[remote rejected] (push declined due to repository rule violations)",
                pull_request,
                BranchClosed,
            ),
            (
                "[remote rejected] (push declined due to repository rule violations)",
                signatures,
                SignatureRequired,
            ),
            (
                "[remote rejected] (push declined due to repository rule violations)",
                secrets,
                Declined,
            ),
            (
                "[remote rejected] (TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch.)",
                "",
                BranchClosed,
            ),
            ("[remote rejected] (Internal Server Error)", "", Declined),
            ("[remote rejected] (unpacker error)", "", Declined),
            ("[remote rejected] (unpacker error)", large, TooLarge),
            ("[remote rejected] (n/a (unpacker error))", "", Declined),
            ("push option not supported", "", Declined),
        ] {
            match of(summary, &[stderr]) {
                Some(RefResult::Rejected(rejection)) => {
                    assert_eq!(rejection.kind, expected, "{summary}")
                }
                other => panic!("{summary}: {other:?}"),
            }
        }
    }

    #[test]
    fn reason_of_an_unpacker_error_is_appended() {
        let stderr = "error: remote unpack failed: unable to create temporary object directory";
        let expected = RefResult::Rejected(Rejection {
            kind: RejectionKind::Declined,
            reason: "unpacker error: unable to create temporary object directory".to_owned(),
            words: Vec::new(),
        });
        assert_eq!(
            of("[remote rejected] (unpacker error)", &[stderr]),
            Some(expected)
        );
    }

    #[test]
    fn result_without_a_report_is_unknown() {
        let summary = "[remote failure] (remote failed to report status)";
        let http = |status: u16| {
            let line = format!(
                "error: RPC failed; HTTP {status} curl 22 The requested URL returned error: {status}"
            );
            only("", &[line])
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
                matches!(http(status), Some(RefResult::Rejected(_))),
                "{status}"
            );
        }
    }

    #[test]
    fn ref_that_the_server_updated_instead_is_returned() {
        let stdout = "To URL\n*\tID:refs/changes/1/head\t[new reference]\nDone\n";
        let expected = RefResult::Accepted {
            name: "refs/changes/1/head".to_owned(),
        };
        assert_eq!(only(stdout, &[]), Some(expected));
    }

    #[test]
    fn each_ref_has_its_own_result() {
        let stdout = "To URL\n \tID:refs/heads/b\t1..2\n!\tID:refs/heads/a\t[remote rejected] (hook declined)\nDone\n";
        let names = ["refs/heads/a", "refs/heads/b"].map(str::to_owned);
        let found = ref_results(stdout, &[], &names).unwrap();
        assert!(
            matches!(&found[0], RefResult::Rejected(rejection) if rejection.reason == "hook declined")
        );
        assert!(matches!(&found[1], RefResult::Accepted { name } if name == "refs/heads/b"));
        let more = [&names[..], &["refs/heads/c".to_owned()]].concat();
        assert_eq!(ref_results(stdout, &[], &more), None);
    }
}
