//! What can go wrong with a remote, sorted by cause.

use std::time::Duration;

use crate::interrupt::Interrupted;

/// A failure to reach, read or write the remote. `detail` is git's or the server's own words, secrets removed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.headline())]
pub struct RemoteError {
    /// The cause.
    pub kind: RemoteErrorKind,
    /// Host, or path of a local remote.
    pub place: String,
    /// The remote as it is shown.
    pub url: String,
    /// What was said, a line each.
    pub detail: Vec<String>,
    /// Credentials that were tried or found missing, for authentication errors.
    pub tried: Vec<String>,
    /// What else helps to fix it.
    pub advice: Box<Advice>,
}

/// What helps to fix an error, where it depends on more than the kind.
#[derive(Debug, Default)]
pub struct Advice {
    /// How long the server asks to wait before the next request (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// A command to type.
    pub command: Option<String>,
}

/// Causes, each with its own message and hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteErrorKind {
    /// No credentials, and the server wants some.
    NoCredentials,
    /// The server refused the credentials.
    WrongCredentials,
    /// Known to the server, but not allowed.
    Forbidden,
    /// No such repository, or none that this user may see.
    NotFound,
    /// The name has no address.
    HostUnknown,
    /// Nothing answers at that address.
    Refused,
    /// Nothing moved for too long.
    TimedOut,
    /// The TLS certificate does not hold, or there is no TLS.
    Tls,
    /// https was asked for and the server speaks plain http.
    PlainHttp,
    /// The proxy cannot be reached, or refuses the connection.
    Proxy,
    /// The response is a web page, or anything else that git does not send.
    NotGit,
    /// The server limits the number of requests.
    RateLimited,
    /// The repository stores objects of another format.
    ObjectFormat,
    /// The server sends no objects by their ids, only branches.
    Unadvertised,
    /// The user's git configuration cannot be read.
    GitConfig,
    /// The user's git configuration rewrites the URL to one that is not supported.
    Rewritten,
    /// The server does not take the ssh key.
    SshKeyRefused,
    /// The ssh server has no git, or not on the PATH of a login without a terminal.
    ServerWithoutGit,
    /// The login shell of the ssh server prints text before git speaks.
    ShellNoise,
    /// The repository on the ssh server belongs to another user than the one who logs in there.
    ServerOwnership,
    /// The host's ssh key is not known here.
    SshHostUnknown,
    /// The host's ssh key is another than the known one.
    SshHostChanged,
    /// The server leads to another URL, and a token is attached.
    Redirected,
    /// A token would go over plain http.
    Insecure,
    /// The branch is not there.
    BranchMissing,
    /// The repository belongs to another user and git will not touch it.
    DubiousOwnership,
    /// The server says it cannot now (5xx) or broke off.
    ServerFailure,
    /// The server does not accept the request (400, 405, 411).
    RequestRefused,
    /// No transport is at hand: `git` is missing or too old.
    NoTransport,
    /// `remote.transport: libgit2` in a build without it.
    NotBuiltIn,
    /// The disk is full.
    DiskFull,
    /// Stopped by a signal.
    Interrupted(Interrupted),
    /// Anything else; the detail tells.
    Other,
}

impl RemoteErrorKind {
    /// Whether the same call may succeed a moment later.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::TimedOut | Self::ServerFailure | Self::Refused | Self::RateLimited
        )
    }

    /// Whether a request that only reads is repeated at once: the server answered that it cannot now, or the connection
    /// broke. Time-outs are not repeated: the user has waited long enough.
    pub fn is_repeated(self) -> bool {
        matches!(self, Self::ServerFailure | Self::RateLimited)
    }

    /// Whether a push that failed so did not land, even if all of it was sent: the server's own answer says so.
    pub fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::NoCredentials
                | Self::WrongCredentials
                | Self::Forbidden
                | Self::NotFound
                | Self::Redirected
        )
    }

    /// Whether a push that failed so cannot land later: the server answered the request without reading it.
    pub fn precludes_landing(self) -> bool {
        self.is_refusal() || matches!(self, Self::RequestRefused | Self::RateLimited)
    }

    /// A stable name for machines.
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
            Self::ServerFailure => "server-failure",
            Self::RequestRefused => "request-refused",
            Self::NoTransport | Self::NotBuiltIn => "no-transport",
            Self::DiskFull => "disk-full",
            Self::Interrupted(_) => "interrupted",
            Self::Other => "remote",
        }
    }
}

impl RemoteError {
    fn headline(&self) -> String {
        let Self { place, url, .. } = self;
        match self.kind {
            RemoteErrorKind::NoCredentials => format!("authentication required: no credentials for `{place}`"),
            RemoteErrorKind::WrongCredentials => format!("`{place}` rejected the credentials"),
            RemoteErrorKind::Forbidden => format!("access denied to `{url}`"),
            RemoteErrorKind::NotFound => format!("repository `{url}` not found"),
            RemoteErrorKind::HostUnknown => format!("could not resolve host `{}`", host(place)),
            RemoteErrorKind::Refused => format!("cannot connect to `{place}`"),
            RemoteErrorKind::TimedOut => format!("`{place}` stopped answering"),
            RemoteErrorKind::Tls => format!("no trusted TLS connection to `{place}`"),
            RemoteErrorKind::SshKeyRefused => format!("`{place}` accepts none of the ssh keys"),
            RemoteErrorKind::ServerWithoutGit => format!("git was not found on `{place}`"),
            RemoteErrorKind::ShellNoise => format!("the login shell of `{place}` prints text before git starts"),
            RemoteErrorKind::ServerOwnership => {
                format!("git on `{place}` rejects the repository, which belongs to another user there")
            }
            RemoteErrorKind::PlainHttp => format!("`{place}` serves plain http, not https"),
            RemoteErrorKind::Proxy => format!("cannot connect to the proxy for `{place}`"),
            RemoteErrorKind::NotGit => format!("`{url}` is not a git repository: `{place}` sent something else"),
            RemoteErrorKind::RateLimited => format!("`{place}` limits the rate of requests"),
            RemoteErrorKind::ObjectFormat => format!("`{url}` uses an unsupported object format"),
            RemoteErrorKind::Unadvertised => format!("`{place}` does not serve single objects by id"),
            RemoteErrorKind::GitConfig => "git cannot read its configuration".to_owned(),
            RemoteErrorKind::Rewritten => "git's configuration rewrites the URL of the codex to one that is not supported".to_owned(),
            RemoteErrorKind::SshHostUnknown => format!("the ssh host key of `{place}` is not known"),
            RemoteErrorKind::SshHostChanged => format!("the ssh host key of `{place}` has changed"),
            RemoteErrorKind::Redirected => format!("`{url}` redirects; tokens are not sent to redirect targets"),
            RemoteErrorKind::Insecure => format!("a token would be sent to `{url}` over plain http"),
            RemoteErrorKind::BranchMissing => format!("the branch does not exist in `{url}`"),
            RemoteErrorKind::DubiousOwnership => format!("git rejects `{url}`, which belongs to another user"),
            RemoteErrorKind::ServerFailure => format!("`{place}` failed to respond"),
            RemoteErrorKind::RequestRefused => format!("`{place}` rejected the request"),
            RemoteErrorKind::NoTransport => "no usable `git` was found".to_owned(),
            RemoteErrorKind::NotBuiltIn => {
                "`remote.transport: libgit2` is not available: this program was built without the embedded transport".to_owned()
            }
            RemoteErrorKind::DiskFull => "the disk is full".to_owned(),
            RemoteErrorKind::Interrupted(Interrupted(signal)) => format!("interrupted by signal {signal}"),
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
