//! Failures of a conversation, by cause.

use std::io;
use std::time::Duration;

use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::codex::remote::refs::NOT_GIT;

/// The reason for which a request failed. `io::Read` and `io::Write` pass it on inside an
/// `io::Error`, unchanged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server or the connection failed.
    #[error("{kind:?}: {}", detail.join("; "))]
    Remote {
        kind: RemoteErrorKind,
        /// Lines that explain the failure: messages of the server, if there are any.
        detail: Vec<String>,
        /// The delay before the next attempt that the server asks for.
        retry_after: Option<Duration>,
    },
    /// A response that does not consist of git's packet lines.
    #[error("the response does not consist of git's packet lines")]
    NotPacketLines,
    /// The server read the request and rejected it (status 409, 413 or 422).
    #[error("rejected with status {status}")]
    Rejected { status: u16, detail: Vec<String> },
    /// A complete error, to which nothing is added.
    #[error(transparent)]
    Complete(Box<RemoteError>),
    /// The server requires the length of a request in advance (status 411).
    #[error("the server requires the length of the request")]
    LengthRequired,
    /// Only the `git` program can talk to this server, for this reason.
    #[error("{0}")]
    NeedsGit(String),
    /// A response that contradicts the remembered capabilities of the server.
    #[error("unexpected response: {0}")]
    ContradictsNotes(String),
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

    /// A failure of this kind without details.
    pub(super) fn of(kind: RemoteErrorKind) -> Self {
        Self::Remote {
            kind,
            detail: Vec::new(),
            retry_after: None,
        }
    }

    /// A response that is not valid in git's protocol, or incomplete.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(RemoteErrorKind::ServerFailure, detail)
    }

    /// The same failure for the first response of a server. If that does not consist of packet lines,
    /// there is no repository at the URL.
    pub(super) fn of_first_response(self) -> Self {
        match self {
            Self::NotPacketLines => Self::new(RemoteErrorKind::NotGit, NOT_GIT),
            other => other,
        }
    }

    /// The same failure for a connection to a proxy.
    pub(super) fn of_proxy(mut self) -> Self {
        if let Self::Remote { kind, .. } = &mut self
            && !matches!(kind, RemoteErrorKind::Interrupted(_))
        {
            *kind = RemoteErrorKind::Proxy;
        }
        self
    }

    /// Whether the server does not send an object by its id: it is missing, or no ref points to it.
    pub(super) fn is_about_objects(&self) -> bool {
        let text = self.to_string();
        ["not our ref", "unadvertised object", "not valid"]
            .iter()
            .any(|sign| text.contains(sign))
    }

    /// The kind of the error; `None` if this program reacts to the failure instead of reporting it.
    pub(super) fn kind(&self) -> Option<RemoteErrorKind> {
        match self {
            Self::Remote { kind, .. } => Some(*kind),
            Self::NotPacketLines => Some(RemoteErrorKind::ServerFailure),
            Self::Rejected { .. } | Self::LengthRequired => Some(RemoteErrorKind::RequestRefused),
            Self::Complete(error) => Some(error.kind),
            Self::NeedsGit(_) | Self::ContradictsNotes(_) => None,
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
            io::ErrorKind::UnexpectedEof => {
                "the connection ended before the response was complete".to_owned()
            }
            _ => error.to_string(),
        };
        Self::new(kind, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_passes_through_an_io_error_unchanged() {
        let failure = Failure::new(RemoteErrorKind::Forbidden, "read only");
        let back = Failure::from(io::Error::from(failure));
        assert_eq!(back.kind(), Some(RemoteErrorKind::Forbidden));
        assert_eq!(back.to_string(), "Forbidden: read only");
    }

    #[test]
    fn io_errors_have_a_kind() {
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
