//! Finds the cause of a fatal error in the messages of git and ssh. Only causes are read from text,
//! never whether a push landed, was rejected or was too late.

use super::server_message::{is_of_server, is_progress, marked, server_words};
use crate::codex::remote::error::RemoteErrorKind;

/// Parts of the messages of git and ssh (C locale), with the cause that they show. The first match
/// counts.
const SIGNS: &[(&str, RemoteErrorKind)] = &[
    ("No space left on device", RemoteErrorKind::DiskFull),
    ("Disk quota exceeded", RemoteErrorKind::DiskFull),
    // `loose object ID (stored in FILE) is corrupt`, also of packed objects.
    (") is corrupt", RemoteErrorKind::Damaged),
    ("corrupt loose object", RemoteErrorKind::Damaged),
    ("unable to unpack", RemoteErrorKind::Damaged),
    ("bad tree object", RemoteErrorKind::Damaged),
    ("missing tree object", RemoteErrorKind::Damaged),
    ("missing blob object", RemoteErrorKind::Damaged),
    (
        "did not send all necessary objects",
        RemoteErrorKind::Damaged,
    ),
    ("bad config", RemoteErrorKind::GitConfig),
    ("bad numeric config value", RemoteErrorKind::GitConfig),
    ("bad boolean config value", RemoteErrorKind::GitConfig),
    ("error processing config file", RemoteErrorKind::GitConfig),
    ("exceeded maximum include depth", RemoteErrorKind::GitConfig),
    (
        "bogus count in GIT_CONFIG_COUNT",
        RemoteErrorKind::GitConfig,
    ),
    (
        "unable to parse command-line config",
        RemoteErrorKind::GitConfig,
    ),
    (
        "detected dubious ownership",
        RemoteErrorKind::DubiousOwnership,
    ),
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        RemoteErrorKind::SshHostChanged,
    ),
    (
        "Host key verification failed",
        RemoteErrorKind::SshHostUnknown,
    ),
    (
        "Permission denied (publickey",
        RemoteErrorKind::SshKeyRefused,
    ),
    (
        "Permission denied (password",
        RemoteErrorKind::SshKeyRefused,
    ),
    (
        "Permission denied (keyboard",
        RemoteErrorKind::SshKeyRefused,
    ),
    ("No route to host", RemoteErrorKind::Refused),
    ("Network is unreachable", RemoteErrorKind::Refused),
    (
        "Too many authentication failures",
        RemoteErrorKind::SshKeyRefused,
    ),
    (
        "upload-pack: command not found",
        RemoteErrorKind::ServerWithoutGit,
    ),
    (
        "receive-pack: command not found",
        RemoteErrorKind::ServerWithoutGit,
    ),
    ("upload-pack: not found", RemoteErrorKind::ServerWithoutGit),
    ("receive-pack: not found", RemoteErrorKind::ServerWithoutGit),
    ("Unknown command: git-", RemoteErrorKind::ServerWithoutGit),
    ("bad line length character", RemoteErrorKind::ShellNoise),
    // gitolite, then GitHub for a user's key and for a deploy key.
    (" DENIED by ", RemoteErrorKind::Forbidden),
    (".git denied to ", RemoteErrorKind::Forbidden),
    ("marked as read only", RemoteErrorKind::Forbidden),
    ("key is read-only", RemoteErrorKind::Forbidden),
    ("not allowed to push", RemoteErrorKind::Forbidden),
    // GitLab, for missing repositories and missing access.
    ("could not be found or you don't", RemoteErrorKind::NotFound),
    ("resolve proxy", RemoteErrorKind::Proxy),
    ("from proxy after CONNECT", RemoteErrorKind::Proxy),
    ("CONNECT tunnel failed", RemoteErrorKind::Proxy),
    ("SOCKS", RemoteErrorKind::Proxy),
    ("mismatched algorithms", RemoteErrorKind::ObjectFormat),
    ("repository's hash algorithm", RemoteErrorKind::ObjectFormat),
    ("unadvertised object", RemoteErrorKind::Unadvertised),
    ("not our ref", RemoteErrorKind::Unadvertised),
    ("Could not resolve host", RemoteErrorKind::HostUnknown),
    ("unable to look up", RemoteErrorKind::HostUnknown),
    ("Name or service not known", RemoteErrorKind::HostUnknown),
    (
        "Temporary failure in name resolution",
        RemoteErrorKind::HostUnknown,
    ),
    (
        "Authentication failed for",
        RemoteErrorKind::WrongCredentials,
    ),
    (
        "HTTP Basic: Access denied",
        RemoteErrorKind::WrongCredentials,
    ),
    ("could not read Username", RemoteErrorKind::NoCredentials),
    ("could not read Password", RemoteErrorKind::NoCredentials),
    ("terminal prompts disabled", RemoteErrorKind::NoCredentials),
    ("returned error: 401", RemoteErrorKind::WrongCredentials),
    ("returned error: 403", RemoteErrorKind::Forbidden),
    ("returned error: 404", RemoteErrorKind::NotFound),
    ("returned error: 407", RemoteErrorKind::Proxy),
    ("returned error: 408", RemoteErrorKind::ServerFailure),
    ("returned error: 429", RemoteErrorKind::RateLimited),
    ("returned error: 4", RemoteErrorKind::RequestRefused),
    ("returned error: 5", RemoteErrorKind::ServerFailure),
    ("returned error: 30", RemoteErrorKind::Redirected),
    (
        "unable to update url base from redirection",
        RemoteErrorKind::Redirected,
    ),
    (
        "does not appear to be a git repository",
        RemoteErrorKind::NotFound,
    ),
    (
        "not valid: is this a git repository?",
        RemoteErrorKind::NotGit,
    ),
    ("does not exist", RemoteErrorKind::NotFound),
    ("not found", RemoteErrorKind::NotFound),
    ("couldn't find remote ref", RemoteErrorKind::BranchMissing),
    // OpenSSL and GnuTLS about a response without TLS.
    ("wrong version number", RemoteErrorKind::PlainHttp),
    ("unexpected TLS packet", RemoteErrorKind::PlainHttp),
    ("packet length too long", RemoteErrorKind::PlainHttp),
    ("certificate", RemoteErrorKind::Tls),
    ("handshake", RemoteErrorKind::Tls),
    ("Operation too slow", RemoteErrorKind::TimedOut),
    ("timed out", RemoteErrorKind::TimedOut),
    ("Timed out", RemoteErrorKind::TimedOut),
    ("Failed to connect", RemoteErrorKind::Refused),
    ("Couldn't connect to server", RemoteErrorKind::Refused),
    ("Connection refused", RemoteErrorKind::Refused),
    ("unable to connect", RemoteErrorKind::Refused),
    ("Empty reply from server", RemoteErrorKind::ServerFailure),
    ("hung up unexpectedly", RemoteErrorKind::ServerFailure),
    ("Connection reset", RemoteErrorKind::ServerFailure),
    ("Connection closed by", RemoteErrorKind::ServerFailure),
    ("closed by remote host", RemoteErrorKind::ServerFailure),
    ("transfer closed", RemoteErrorKind::ServerFailure),
    ("body are still expected", RemoteErrorKind::ServerFailure),
    // Responses that end early or are not in git's protocol.
    ("expected flush", RemoteErrorKind::ServerFailure),
    ("expected 'packfile'", RemoteErrorKind::ServerFailure),
    ("expected 'acknowledgments'", RemoteErrorKind::ServerFailure),
    ("expected 'shallow-info'", RemoteErrorKind::ServerFailure),
    ("protocol error", RemoteErrorKind::ServerFailure),
    ("unexpected disconnect", RemoteErrorKind::ServerFailure),
    ("invalid server response", RemoteErrorKind::ServerFailure),
    ("early EOF", RemoteErrorKind::ServerFailure),
    ("RPC failed", RemoteErrorKind::ServerFailure),
    // A connection that was established and broke off, as the TLS libraries report it.
    ("non-properly terminated", RemoteErrorKind::ServerFailure),
    (
        "unexpected eof while reading",
        RemoteErrorKind::ServerFailure,
    ),
    // All other messages about TLS are about the handshake.
    ("SSL", RemoteErrorKind::Tls),
    ("TLS", RemoteErrorKind::Tls),
];

/// A part of the message of `git upload-pack` if it cannot read an object. It follows messages about the
/// object, which are in other languages too.
pub(in crate::codex) const CORRUPTION: &str = "repository corruption on the remote side";

/// The cause that the messages of git show.
pub(in crate::codex) fn classify(lines: &[String]) -> RemoteErrorKind {
    if lines.iter().any(|line| line.contains(CORRUPTION)) {
        return RemoteErrorKind::Damaged;
    }
    // Over ssh, a server that denies access reports it in `remote:` lines. After the repository was
    // opened, such lines can be the output of any hook, and a full disk there is the server's.
    let unopened = lines
        .iter()
        .any(|line| line.contains("Could not read from remote repository"));
    let own: Vec<_> = lines
        .iter()
        .filter(|line| unopened || !is_of_server(line))
        .collect();
    let found = SIGNS
        .iter()
        .find(|(sign, _)| own.iter().any(|line| line.contains(sign)));
    found.map_or(RemoteErrorKind::Other, |(_, kind)| *kind)
}

/// The optional parts of a fetch that a server may not support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codex) enum Unsupported {
    /// Leaving objects out (`--filter`).
    Filter,
    /// Cutting the history (`--depth`).
    Shallow,
}

/// The part of a failed fetch that the server does not support, if that is the cause.
pub(in crate::codex) fn unsupported(lines: &[String]) -> Option<Unsupported> {
    let rejects = |line: &str| {
        [
            "not support",
            "unsupported",
            "not allow",
            "refuse",
            "invalid",
        ]
        .iter()
        .any(|word| line.contains(word))
    };
    let about = |subject: &str| {
        lines
            .iter()
            .any(|line| line.contains(subject) && rejects(line))
    };
    if about("shallow") || about("deepen") {
        Some(Unsupported::Shallow)
    } else if about("filter") {
        Some(Unsupported::Filter)
    } else {
        None
    }
}

/// The host and port of a failed connection, as curl names them.
pub(in crate::codex) fn failed_connection(lines: &[String]) -> Option<(&str, u16)> {
    lines.iter().find_map(|line| {
        let (_, rest) = line.split_once("Failed to connect to ")?;
        let (host, rest) = rest.split_once(" port ")?;
        let port = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some((host, port.parse().ok()?))
    })
}

/// The start of git's own progress lines.
const PROGRESS: [&str; 3] = [
    "Enumerating objects:",
    "Counting objects:",
    "Delta compression using",
];

/// The lines that explain an error to the user: git's own, without progress and advice, then the
/// server's messages. Secrets must be masked in `lines` already.
pub(in crate::codex) fn relevant_lines(lines: &[String]) -> Vec<String> {
    let wanted = |line: &&String| {
        let line = line.trim();
        !line.is_empty()
            && !is_of_server(line)
            && !line.starts_with("hint:")
            && !is_progress(line)
            && !line.starts_with("Total ")
            && !PROGRESS.iter().any(|progress| line.starts_with(progress))
            && !line.starts_with("Please make sure you have the correct access rights")
            && !line.starts_with("and the repository exists")
            && !line.starts_with("warning: templates not found")
            && !line.starts_with("To add an exception for this directory")
            && !line.starts_with("git config --global --add safe.directory")
    };
    let own = lines
        .iter()
        .filter(wanted)
        .map(|line| crate::paths::escaped(line.trim().as_bytes()).to_string());
    own.chain(marked(&server_words(lines))).collect()
}

/// The HTTP status with which a server rejected the request that contained the objects of a push.
pub(in crate::codex) fn status_of_push(lines: &[String]) -> Option<u16> {
    let status = |line: &String| {
        let (_, rest) = line.split_once("RPC failed; HTTP ")?;
        rest.get(..3)?.parse().ok()
    };
    lines
        .iter()
        .filter(|line| !is_of_server(line))
        .find_map(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of a push depends on this: it may have landed if the connection broke off, and
    /// not if the server was not trusted.
    #[test]
    fn end_of_a_tls_connection_is_distinguished_from_its_start() {
        use RemoteErrorKind::{PlainHttp, ServerFailure, Tls};
        for (lines, expected) in [
            (
                &[
                    "error: RPC failed; curl 56 GnuTLS recv error (-110): The TLS connection was non-properly terminated.",
                    "send-pack: unexpected disconnect while reading sideband packet",
                    "fatal: the remote end hung up unexpectedly",
                ][..],
                ServerFailure,
            ),
            (
                &[
                    "error: RPC failed; curl 56 OpenSSL SSL_read: error:0A000126:SSL routines::unexpected eof while reading",
                ],
                ServerFailure,
            ),
            (
                &[
                    "fatal: unable to access 'https://h/': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
                ],
                Tls,
            ),
            (
                &[
                    "fatal: unable to access 'https://h/': server certificate verification failed. CAfile: none CRLfile: none",
                ],
                Tls,
            ),
            (
                &[
                    "fatal: unable to access 'https://h/': error:0A00010B:SSL routines::wrong version number",
                ],
                PlainHttp,
            ),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(classify(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn output_of_hooks_is_ignored() {
        let lines = [
            "remote: sh: policy-check: not found",
            "fatal: the remote end hung up unexpectedly",
        ];
        assert_eq!(
            classify(&lines.map(str::to_owned)),
            RemoteErrorKind::ServerFailure
        );
    }

    #[test]
    fn damage_is_distinguished_from_a_broken_connection() {
        let end = "fatal: the remote end hung up unexpectedly";
        for (line, expected) in [
            (
                "fatal: loose object 1f (stored in ./objects/1f/00) is corrupt",
                RemoteErrorKind::Damaged,
            ),
            (
                "remote: aborting due to possible repository corruption on the remote side.",
                RemoteErrorKind::Damaged,
            ),
            (
                "remote: fatal: bad tree object 1f",
                RemoteErrorKind::ServerFailure,
            ),
            ("fatal: early EOF", RemoteErrorKind::ServerFailure),
            ("fatal: index-pack failed", RemoteErrorKind::ServerFailure),
        ] {
            let lines = [line.to_owned(), end.to_owned()];
            assert_eq!(classify(&lines), expected, "{line}");
        }
    }

    #[test]
    fn status_of_a_rejected_push_comes_from_git() {
        let rejected = "error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413";
        let quoted = format!("remote: {rejected}");
        let status = |lines: &[&str]| {
            status_of_push(
                &lines
                    .iter()
                    .map(|line| (*line).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(status(&["fatal: no", rejected]), Some(413));
        assert_eq!(status(&[&quoted]), None);
        assert_eq!(status(&["error: RPC failed; curl 56 reset"]), None);
    }

    #[test]
    fn messages_of_the_server_come_last_and_complete() {
        let lines = [
            "remote: coverage 71% (needs 80%)",
            "fatal: it broke",
            "remote: hint: ask the owners",
        ];
        let expected = [
            "fatal: it broke",
            "remote: coverage 71% (needs 80%)",
            "remote: hint: ask the owners",
        ];
        assert_eq!(relevant_lines(&lines.map(str::to_owned)), expected);
    }

    #[test]
    fn progress_of_git_is_left_out() {
        let lines = [
            "Enumerating objects: 10, done.",
            "Total 10 (delta 0), reused 0 (delta 0)",
            "fatal: it broke",
        ];
        assert_eq!(
            relevant_lines(&lines.map(str::to_owned)),
            ["fatal: it broke"]
        );
    }
}
