//! Errors of remotes, classified by cause.

use std::time::Duration;

use crate::interrupt::Interrupted;
use crate::url::RemoteUrl;

/// A failure to reach, read or write the remote.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.headline())]
#[non_exhaustive]
pub struct RemoteError {
    /// The cause.
    pub kind: RemoteErrorKind,
    /// The host or, for a local remote, the path.
    pub place: String,
    /// The URL, without secrets.
    pub url: String,
    /// The messages of git and the server, one string per line, without secrets.
    pub detail: Vec<String>,
    /// For authentication errors: the credentials that were tried, and the sources that had none.
    pub tried: Vec<String>,
    /// Values for the hint.
    pub advice: Box<Advice>,
}

/// Values for the hint of an error that depends on more than its kind.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Advice {
    /// How long the server asks to wait before the next request (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// The command that fixes the error.
    pub command: Option<String>,
}

/// The causes of remote errors. Each has its own message and hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteErrorKind {
    /// The server requires credentials, and none were found.
    NoCredentials,
    /// The server rejected the credentials.
    WrongCredentials,
    /// The credentials are valid, but do not permit the operation.
    Forbidden,
    /// The repository does not exist, or the user has no access to it.
    NotFound,
    /// The host name cannot be resolved.
    HostUnknown,
    /// The connection was refused.
    Refused,
    /// No data was transferred for too long.
    TimedOut,
    /// The TLS handshake failed, or the certificate is not trusted.
    Tls,
    /// The URL has the scheme https, but the server speaks plain http.
    PlainHttp,
    /// The proxy cannot be reached, or rejects the connection.
    Proxy,
    /// The response is not in git's protocol: a web page, for example.
    NotGit,
    /// The server limits the number of requests.
    RateLimited,
    /// The repository uses an object format other than SHA-1.
    ObjectFormat,
    /// The server serves only branches, not single objects by id.
    Unadvertised,
    /// The user's git configuration cannot be read.
    GitConfig,
    /// The user's git configuration rewrites the URL to one that is not supported.
    Rewritten,
    /// The server accepts none of the ssh keys.
    SshKeyRefused,
    /// The ssh server has no git on the PATH of a login without a terminal.
    ServerWithoutGit,
    /// The login shell of the ssh server prints text before git starts.
    ShellNoise,
    /// The repository on the ssh server belongs to a user other than the login user.
    ServerOwnership,
    /// The host's ssh key is not in `known_hosts`.
    SshHostUnknown,
    /// The host's ssh key differs from the one in `known_hosts`.
    SshHostChanged,
    /// The server redirects a request that carries a token.
    Redirected,
    /// A token would be sent over plain http.
    Insecure,
    /// The branch does not exist.
    BranchMissing,
    /// The local repository belongs to another user, so git rejects it.
    DubiousOwnership,
    /// Objects of the repository are damaged or missing.
    Damaged,
    /// The server reported an internal error (5xx), or closed the connection early.
    ServerFailure,
    /// The server rejected the request, with a status 4xx that has no kind of its own (such as 400,
    /// 405 or 411).
    RequestRefused,
    /// No transport is available: `git` is missing or too old.
    NoTransport,
    /// The user's git configuration does not allow this kind of URL.
    ProtocolNotAllowed,
    /// A missing local repository cannot be created (`remote.create`).
    NotCreated,
    /// The ssh program is missing.
    NoSsh,
    /// Only the `git` program can do what this remote needs, and `remote.transport: native`
    /// excludes it.
    NeedsGit,
    /// The disk is full.
    DiskFull,
    /// A signal ended the operation.
    Interrupted(Interrupted),
    /// Any other cause; see the details.
    Other,
}

impl RemoteErrorKind {
    /// Whether the same call may succeed if it is repeated.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::TimedOut | Self::ServerFailure | Self::Refused | Self::RateLimited
        )
    }

    /// Whether a read request is repeated in the same run: the server reported a temporary problem, or
    /// the connection broke. Time-outs are not repeated, because the user has already waited.
    pub fn is_repeated(self) -> bool {
        matches!(self, Self::ServerFailure | Self::RateLimited)
    }

    /// Whether the server does not give this client access to the repository at this URL. It
    /// responds so before it reads a push.
    pub fn denies_access(self) -> bool {
        matches!(
            self,
            Self::NoCredentials
                | Self::WrongCredentials
                | Self::Forbidden
                | Self::NotFound
                | Self::Redirected
        )
    }

    /// Whether the server responded without reading the request. A push with this error has not
    /// landed and cannot land later, even if all of it was sent.
    pub fn precludes_landing(self) -> bool {
        self.denies_access() || matches!(self, Self::RequestRefused | Self::RateLimited)
    }

    /// The stable identifier of the kind, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCredentials => "no-credentials",
            Self::WrongCredentials => "wrong-credentials",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::HostUnknown => "host-unknown",
            Self::Refused => "connection-refused",
            Self::TimedOut => "timed-out",
            Self::Tls => "tls",
            Self::SshKeyRefused => "ssh-key-refused",
            Self::ServerWithoutGit => "server-without-git",
            Self::ShellNoise => "shell-noise",
            Self::ServerOwnership => "server-ownership",
            Self::PlainHttp => "plain-http",
            Self::Proxy => "proxy",
            Self::NotGit => "not-git",
            Self::RateLimited => "rate-limited",
            Self::ObjectFormat => "object-format",
            Self::Unadvertised => "unadvertised-object",
            Self::GitConfig => "git-configuration",
            Self::Rewritten => "rewritten-url",
            Self::SshHostUnknown => "ssh-host-unknown",
            Self::SshHostChanged => "ssh-host-changed",
            Self::Redirected => "redirected",
            Self::Insecure => "insecure",
            Self::BranchMissing => "branch-missing",
            Self::DubiousOwnership => "dubious-ownership",
            Self::Damaged => "damaged-repository",
            Self::ServerFailure => "server-failure",
            Self::RequestRefused => "request-refused",
            Self::NoTransport => "no-transport",
            Self::ProtocolNotAllowed => "protocol-not-allowed",
            Self::NotCreated => "not-created",
            Self::NoSsh => "no-ssh",
            Self::NeedsGit => "needs-git",
            Self::DiskFull => "disk-full",
            Self::Interrupted(_) => "interrupted",
            Self::Other => "remote",
        }
    }
}

impl RemoteError {
    /// An error about the remote at `url`, without advice.
    pub fn new(kind: RemoteErrorKind, url: &RemoteUrl, detail: Vec<String>) -> Self {
        Self {
            kind,
            place: url.host_or_path(),
            url: url.to_string(),
            detail,
            tried: Vec::new(),
            advice: Box::default(),
        }
    }

    fn headline(&self) -> String {
        let Self { place, url, .. } = self;
        match self.kind {
            RemoteErrorKind::NoCredentials => {
                format!("authentication required: no credentials for `{place}`")
            }
            RemoteErrorKind::WrongCredentials => format!("`{place}` rejected the credentials"),
            RemoteErrorKind::Forbidden => format!("access denied to `{url}`"),
            RemoteErrorKind::NotFound => format!("repository `{url}` not found"),
            RemoteErrorKind::HostUnknown => format!("could not resolve host `{}`", host(place)),
            RemoteErrorKind::Refused => format!("cannot connect to `{place}`"),
            RemoteErrorKind::TimedOut => format!("`{place}` stopped answering"),
            RemoteErrorKind::Tls => format!("no trusted TLS connection to `{place}`"),
            RemoteErrorKind::SshKeyRefused => format!("`{place}` accepts none of the ssh keys"),
            RemoteErrorKind::ServerWithoutGit => format!("git was not found on `{place}`"),
            RemoteErrorKind::ShellNoise => {
                format!("the login shell of `{place}` prints text before git starts")
            }
            RemoteErrorKind::ServerOwnership => {
                format!(
                    "git on `{place}` rejects the repository, which belongs to another user there"
                )
            }
            RemoteErrorKind::PlainHttp => format!("`{place}` serves plain http, not https"),
            RemoteErrorKind::Proxy => format!("cannot connect to the proxy for `{place}`"),
            RemoteErrorKind::NotGit => {
                format!("`{url}` is not a git repository: `{place}` sent something else")
            }
            RemoteErrorKind::RateLimited => format!("`{place}` limits the rate of requests"),
            RemoteErrorKind::ObjectFormat => format!("`{url}` uses an unsupported object format"),
            RemoteErrorKind::Unadvertised => {
                format!("`{place}` does not serve single objects by id")
            }
            RemoteErrorKind::GitConfig => "git cannot read its configuration".to_owned(),
            RemoteErrorKind::Rewritten => {
                "git's configuration rewrites the URL of the codex to one that is not supported"
                    .to_owned()
            }
            RemoteErrorKind::SshHostUnknown => {
                format!("the ssh host key of `{place}` is not known")
            }
            RemoteErrorKind::SshHostChanged => format!("the ssh host key of `{place}` has changed"),
            RemoteErrorKind::Redirected => {
                format!("`{url}` redirects; tokens are not sent to redirect targets")
            }
            RemoteErrorKind::Insecure => {
                format!("a token would be sent to `{url}` over plain http")
            }
            RemoteErrorKind::BranchMissing => format!("the branch does not exist in `{url}`"),
            RemoteErrorKind::DubiousOwnership => {
                format!("git rejects `{url}`, which belongs to another user")
            }
            RemoteErrorKind::Damaged => format!("the repository `{url}` is damaged"),
            RemoteErrorKind::ServerFailure => format!("`{place}` failed to respond"),
            RemoteErrorKind::RequestRefused => format!("`{place}` rejected the request"),
            RemoteErrorKind::NoTransport => "no usable `git` was found".to_owned(),
            RemoteErrorKind::ProtocolNotAllowed => {
                format!("git's settings do not allow the protocol of `{url}`")
            }
            RemoteErrorKind::NotCreated => format!("cannot create a repository at `{url}`"),
            RemoteErrorKind::NoSsh => "no usable `ssh` was found".to_owned(),
            RemoteErrorKind::NeedsGit => format!("only the `git` program can talk to `{place}`"),
            RemoteErrorKind::DiskFull => "the disk is full".to_owned(),
            RemoteErrorKind::Interrupted(Interrupted(signal)) => {
                format!("interrupted by signal {signal}")
            }
            RemoteErrorKind::Other => format!("git failed on `{url}`"),
        }
    }
}

/// The host of a place, without its port.
fn host(place: &str) -> &str {
    match place.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => place,
    }
}
