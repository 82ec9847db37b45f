//! Sorts libgit2's errors by cause: by code and class where these tell, else by the words that git uses too.

use git2::{ErrorClass, ErrorCode};

use super::ssh;
use crate::codex::error::RemoteErrorKind;
use crate::codex::transport::bound::Bound;
use crate::codex::transport::classify::classify;

/// The cause that an error points to; `lines` are its message and what the server said.
pub(super) fn kind(error: &git2::Error, lines: &[String], bound: &Bound) -> RemoteErrorKind {
    match of_code(error.code(), error.class()) {
        // libgit2 has one error for both.
        RemoteErrorKind::SshHostUnknown
            if ssh::knows_host(&bound.remote.url, &bound.environment) =>
        {
            RemoteErrorKind::SshHostChanged
        }
        RemoteErrorKind::Other => match classify(lines) {
            RemoteErrorKind::Other => of_class(error),
            kind => kind,
        },
        kind => kind,
    }
}

fn of_code(code: ErrorCode, class: ErrorClass) -> RemoteErrorKind {
    match (code, class) {
        (ErrorCode::Owner, _) => RemoteErrorKind::DubiousOwnership,
        (ErrorCode::Auth, ErrorClass::Ssh) => RemoteErrorKind::SshKeyRefused,
        (ErrorCode::Certificate, ErrorClass::Ssh) => RemoteErrorKind::SshHostUnknown,
        _ => RemoteErrorKind::Other,
    }
}

/// Where neither code nor words tell.
fn of_class(error: &git2::Error) -> RemoteErrorKind {
    let message = error.message();
    match error.class() {
        ErrorClass::Net if message.starts_with("failed to resolve address") => {
            RemoteErrorKind::HostUnknown
        }
        ErrorClass::Os | ErrorClass::Net if message.starts_with("failed to connect") => {
            RemoteErrorKind::Refused
        }
        // The server ended the channel before it said anything of git's.
        ErrorClass::Ssh if error.code() == ErrorCode::Eof => RemoteErrorKind::NotFound,
        // An answer that breaks off or is none of git's.
        ErrorClass::Net | ErrorClass::Indexer | ErrorClass::Zlib | ErrorClass::Ssh => {
            RemoteErrorKind::ServerFailure
        }
        _ => RemoteErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::codex::auth::Helpers;
    use crate::config::TransportChoice;
    use crate::environment::Environment;
    use crate::event::Silent;
    use crate::interrupt::Interrupt;
    use crate::url::RemoteUrl;
    use crate::workspace::{Remote, Timeouts};

    fn bound(url: &str, home: &Path) -> Bound {
        let timeout = std::time::Duration::from_secs(1);
        let remote = Remote {
            url: RemoteUrl::parse(url, Path::new("/")).unwrap(),
            branch: None,
            token: None,
            repository_token: None,
            unused_tokens: Vec::new(),
            unset_token_variables: Vec::new(),
            username: String::new(),
            create: false,
            transport: TransportChoice::Libgit2,
            allow_insecure: false,
            timeout: Timeouts {
                connect: timeout,
                idle: timeout,
                push_verdict: timeout,
            },
        };
        let environment = Environment::from_iter([("HOME".to_owned(), home.display().to_string())]);
        Bound::new(
            &remote,
            &environment,
            &Interrupt::default(),
            Arc::new(Silent),
            Helpers::None,
        )
        .unwrap()
    }

    #[test]
    fn each_error_has_its_cause() {
        use ErrorClass as Class;
        use ErrorCode as Code;
        use RemoteErrorKind as Kind;
        let home = tempfile::tempdir().unwrap();
        let bound = bound("ssh://git.acme.com/x.git", home.path());
        for (code, class, message, expected) in [
            (
                Code::Owner,
                Class::Config,
                "repository path '/x' is not owned by current user",
                Kind::DubiousOwnership,
            ),
            (
                Code::Auth,
                Class::Ssh,
                "no key of the agent or of `~/.ssh` was taken",
                Kind::SshKeyRefused,
            ),
            (
                Code::Certificate,
                Class::Ssh,
                "invalid or unknown remote ssh hostkey",
                Kind::SshHostUnknown,
            ),
            (
                Code::Eof,
                Class::Ssh,
                "'/x' does not appear to be a git repository",
                Kind::NotFound,
            ),
            (
                Code::Eof,
                Class::Ssh,
                "could not read refs from remote repository",
                Kind::NotFound,
            ),
            (
                Code::GenericError,
                Class::Net,
                "failed to resolve address for x: Name or service",
                Kind::HostUnknown,
            ),
            (
                Code::GenericError,
                Class::Os,
                "failed to connect to x: Connection refused",
                Kind::Refused,
            ),
            (
                Code::GenericError,
                Class::Os,
                "failed to connect to x: No route to host",
                Kind::Refused,
            ),
            (
                Code::GenericError,
                Class::Net,
                "failed to connect to x: Operation timed out",
                Kind::TimedOut,
            ),
            (
                Code::GenericError,
                Class::Net,
                "unexpected end of packet",
                Kind::ServerFailure,
            ),
            (
                Code::GenericError,
                Class::Indexer,
                "packfile trailer mismatch",
                Kind::ServerFailure,
            ),
            (
                Code::GenericError,
                Class::Os,
                "failed to write: No space left on device",
                Kind::DiskFull,
            ),
            (
                Code::GenericError,
                Class::Reference,
                "something else",
                Kind::Other,
            ),
        ] {
            let error = git2::Error::new(code, class, message);
            assert_eq!(
                kind(&error, &[message.to_owned()], &bound),
                expected,
                "{message}"
            );
        }
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        std::fs::write(
            home.path().join(".ssh/known_hosts"),
            "git.acme.com ssh-ed25519 AAAA\n",
        )
        .unwrap();
        let changed = git2::Error::new(
            Code::Certificate,
            Class::Ssh,
            "invalid or unknown remote ssh hostkey",
        );
        assert_eq!(
            kind(&changed, &[changed.message().to_owned()], &bound),
            Kind::SshHostChanged
        );
    }
}
