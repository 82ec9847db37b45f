//! Sorts git's last words by cause. Only causes of fatal errors are read from text; whether a push landed, was declined
//! or came too late never is.

use crate::codex::error::RemoteErrorKind;

/// What each cause looks like in git's and ssh's messages (C locale), the first that is found.
const SIGNS: [(&str, RemoteErrorKind); 50] = [
    ("No space left on device", RemoteErrorKind::DiskFull),
    ("Disk quota exceeded", RemoteErrorKind::DiskFull),
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
        "Too many authentication failures",
        RemoteErrorKind::SshKeyRefused,
    ),
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
    ("returned error: 429", RemoteErrorKind::ServerFailure),
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
        RemoteErrorKind::NotFound,
    ),
    ("does not exist", RemoteErrorKind::NotFound),
    ("not found", RemoteErrorKind::NotFound),
    ("couldn't find remote ref", RemoteErrorKind::BranchMissing),
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
    // Answers that break off or are none of git's.
    ("expected flush", RemoteErrorKind::ServerFailure),
    ("protocol error", RemoteErrorKind::ServerFailure),
    ("unexpected disconnect", RemoteErrorKind::ServerFailure),
    ("invalid server response", RemoteErrorKind::ServerFailure),
    ("early EOF", RemoteErrorKind::ServerFailure),
    ("RPC failed", RemoteErrorKind::ServerFailure),
    // A connection that was there and broke off, in the words of the libraries of TLS.
    ("non-properly terminated", RemoteErrorKind::ServerFailure),
    (
        "unexpected eof while reading",
        RemoteErrorKind::ServerFailure,
    ),
    // What is left of TLS is its beginning.
    ("SSL", RemoteErrorKind::Tls),
    ("TLS", RemoteErrorKind::Tls),
];

/// The cause that git's messages point to.
pub(in crate::codex) fn classify(lines: &[String]) -> RemoteErrorKind {
    // What the server says besides may be the words of anybody's hook, and a full disk there is none of ours.
    let own: Vec<_> = lines
        .iter()
        .filter(|line| !line.starts_with("remote:"))
        .collect();
    let found = SIGNS
        .iter()
        .find(|(sign, _)| own.iter().any(|line| line.contains(sign)));
    found.map_or(RemoteErrorKind::Other, |(_, kind)| *kind)
}

/// How lines begin that tell how far git is.
const PROGRESS: [&str; 3] = [
    "Enumerating objects:",
    "Counting objects:",
    "Delta compression using",
];

/// The lines a user should see: fatal errors and the server's own words; not progress, not advice.
pub(in crate::codex) fn telling(lines: &[String]) -> Vec<String> {
    let wanted = |line: &&String| {
        let line = line.trim();
        !line.is_empty()
            && !line.starts_with("hint:")
            && !line.contains("% (")
            && !line.contains(" (delta ")
            && !PROGRESS.iter().any(|progress| line.starts_with(progress))
            && !line.starts_with("Please make sure you have the correct access rights")
            && !line.starts_with("and the repository exists")
            && !line.starts_with("warning: templates not found")
            && !line.starts_with("To add an exception for this directory")
            && !line.starts_with("git config --global --add safe.directory")
    };
    lines
        .iter()
        .filter(wanted)
        .map(|line| crate::paths::escaped(line.trim().as_bytes()).to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a push may have landed goes by this: a connection that breaks off is another thing than one that is not
    /// trusted.
    #[test]
    fn the_end_of_a_tls_connection_is_told_from_its_beginning() {
        use RemoteErrorKind::{ServerFailure, Tls};
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
                Tls,
            ),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(classify(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_words_of_hooks_sort_nothing() {
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
    fn how_far_git_is_tells_nothing() {
        let lines = [
            "Enumerating objects: 10, done.",
            "Total 10 (delta 0), reused 0 (delta 0)",
            "fatal: it broke",
        ];
        assert_eq!(telling(&lines.map(str::to_owned)), ["fatal: it broke"]);
    }
}
