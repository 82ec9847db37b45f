//! Failures of a conversation, sorted by cause.

use std::io;
use std::time::Duration;

use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::transport::answer::NOT_GIT;

/// Why a request failed. It travels through `io::Read` and `io::Write` inside an `io::Error` and comes out unchanged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server, or the way to it, failed.
    #[error("{kind:?}: {}", detail.join("; "))]
    Remote {
        kind: RemoteErrorKind,
        /// Lines that explain it, in the server's own words where there are any.
        detail: Vec<String>,
        /// How long the server wants the client to wait before the next attempt.
        retry_after: Option<Duration>,
    },
    /// An answer that is not in git's packet lines.
    #[error("the answer is not in git's packet lines")]
    NotGit,
    /// The server read the request and refuses what it asks for (status 409, 413 or 422).
    #[error("refused with status {status}")]
    Declined { status: u16, detail: Vec<String> },
    /// An error that is complete: nothing is added to explain it.
    #[error(transparent)]
    Complete(Box<RemoteError>),
    /// The server takes only requests whose length it is given before them (status 411).
    #[error("the server wants to know the length of the request")]
    LengthRequired,
    /// Only the `git` program can talk to this server; the reason.
    #[error("{0}")]
    NeedsGit(String),
    /// An answer that contradicts what was remembered of the server.
    #[error("unexpected answer: {0}")]
    Surprise(String),
}

impl Failure {
    /// A failure of this kind with one line that explains it.
    pub(super) fn new(kind: RemoteErrorKind, detail: impl Into<String>) -> Self {
        Self::Remote {
            kind,
            detail: vec![detail.into()],
            retry_after: None,
        }
    }

    /// A failure that its kind explains.
    pub(super) fn of(kind: RemoteErrorKind) -> Self {
        Self::Remote {
            kind,
            detail: Vec::new(),
            retry_after: None,
        }
    }

    /// An answer that is not git's protocol, or not a complete one.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(RemoteErrorKind::ServerFailure, detail)
    }

    /// The same failure of a first answer: what is there is no repository at all.
    pub(super) fn of_first_answer(self) -> Self {
        match self {
            Self::NotGit => Self::new(RemoteErrorKind::NotGit, NOT_GIT),
            other => other,
        }
    }

    /// The same failure of a connection to a proxy instead of the server.
    pub(super) fn of_proxy(mut self) -> Self {
        if let Self::Remote { kind, .. } = &mut self
            && !matches!(kind, RemoteErrorKind::Interrupted(_))
        {
            *kind = RemoteErrorKind::Proxy;
        }
        self
    }

    /// Whether the server does not give out an object by its id: it has none, or only those that refs name.
    pub(super) fn is_about_objects(&self) -> bool {
        let text = self.to_string();
        ["not our ref", "unadvertised object", "not valid"]
            .iter()
            .any(|sign| text.contains(sign))
    }

    /// The kind, where the failure is the remote's.
    pub(super) fn kind(&self) -> Option<RemoteErrorKind> {
        match self {
            Self::Remote { kind, .. } => Some(*kind),
            Self::NotGit => Some(RemoteErrorKind::ServerFailure),
            Self::Declined { .. } | Self::LengthRequired => Some(RemoteErrorKind::RequestRefused),
            Self::Complete(error) => Some(error.kind),
            Self::NeedsGit(_) | Self::Surprise(_) => None,
        }
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        Self::Complete(Box::new(error))
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        io::Error::other(failure)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let error = match error.downcast::<Failure>() {
            Ok(failure) => return failure,
            Err(error) => error,
        };
        let kind = match error.kind() {
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => RemoteErrorKind::Refused,
            io::ErrorKind::TimedOut => RemoteErrorKind::TimedOut,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => RemoteErrorKind::DiskFull,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::InvalidData => RemoteErrorKind::ServerFailure,
            _ => RemoteErrorKind::Other,
        };
        let detail = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the connection ended before the answer did".to_owned(),
            _ => error.to_string(),
        };
        Self::new(kind, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_passes_through_an_io_error_unchanged() {
        let failure = Failure::new(RemoteErrorKind::Forbidden, "read only");
        let back = Failure::from(io::Error::from(failure));
        assert_eq!(back.kind(), Some(RemoteErrorKind::Forbidden));
        assert_eq!(back.to_string(), "Forbidden: read only");
    }

    #[test]
    fn io_errors_are_sorted_by_cause() {
        for (kind, expected) in [
            (io::ErrorKind::ConnectionRefused, RemoteErrorKind::Refused),
            (io::ErrorKind::BrokenPipe, RemoteErrorKind::ServerFailure),
            (io::ErrorKind::UnexpectedEof, RemoteErrorKind::ServerFailure),
            (io::ErrorKind::StorageFull, RemoteErrorKind::DiskFull),
        ] {
            let failure = Failure::from(io::Error::from(kind));
            assert_eq!(failure.kind(), Some(expected), "{kind:?}");
        }
    }
}
