//! The URL of a git remote, read as git reads it, printed without its secret.

use std::fmt;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;
use gix_url::{Scheme, Url};

use crate::secret::Secret;

/// A git URL or path. `Display` masks a password; [`RemoteUrl::for_git`] has none in it at all.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    url: Url,
}

/// Why a text is not the URL of a remote.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUrl {
    /// Not a URL that git would read. The text itself is left out, for it may hold a password.
    #[error("not a git URL or path")]
    Malformed,
    /// A scheme that no transport here speaks.
    #[error("the scheme `{0}` is not supported: use https, http, ssh, git, file or a path")]
    Scheme(String),
    /// User and password where a host or a path would be: a mistyped URL, which would be shown and passed on as it is.
    #[error("a user and a password stand in it, but no scheme before them: write `https://…`")]
    NoScheme,
    /// A host or path that a child program would read as an option.
    #[error("the {0} starts with `-`")]
    OptionLike(&'static str),
}

impl RemoteUrl {
    /// Reads `text`; a relative path is taken relative to `base`.
    ///
    /// ```
    /// use fractary_codex::url::RemoteUrl;
    ///
    /// let url = RemoteUrl::parse("https://ada:secret@git.acme.com/docs/codex.git", "/".as_ref())?;
    /// assert!(!url.to_string().contains("secret"));
    /// assert_eq!((url.host(), url.for_git()), (Some("git.acme.com"), "https://git.acme.com/docs/codex.git".to_owned()));
    /// # Ok::<(), fractary_codex::url::InvalidUrl>(())
    /// ```
    pub fn parse(text: &str, base: &Path) -> Result<Self, InvalidUrl> {
        let mut url =
            gix_url::parse(text.as_bytes().as_bstr()).map_err(|_| InvalidUrl::Malformed)?;
        if url.serialize_alternative_form && names_password(&url) {
            return Err(InvalidUrl::NoScheme);
        }
        match &url.scheme {
            Scheme::File => {
                let path = PathBuf::from(url.path.to_os_str_lossy().into_owned());
                url.path = crate::paths::absolute(base, &path)
                    .into_os_string()
                    .into_encoded_bytes()
                    .into();
            }
            Scheme::Https | Scheme::Http | Scheme::Ssh | Scheme::Git => {
                if url.host.as_deref().unwrap_or_default().is_empty() {
                    return Err(InvalidUrl::Malformed);
                }
                if url.host.as_deref().is_some_and(|h| h.starts_with('-')) {
                    return Err(InvalidUrl::OptionLike("host"));
                }
                if url.user.as_deref().is_some_and(|u| u.starts_with('-')) {
                    return Err(InvalidUrl::OptionLike("user"));
                }
            }
            Scheme::Ext | Scheme::Helper(_) | Scheme::HelperUrl(_) => {
                let scheme = text.split(':').next().unwrap_or_default();
                return Err(InvalidUrl::Scheme(
                    crate::paths::escaped(scheme.as_bytes()).to_string(),
                ));
            }
        }
        Ok(Self { url })
    }

    /// The path of a remote on this machine.
    pub fn local_path(&self) -> Option<PathBuf> {
        (self.url.scheme == Scheme::File)
            .then(|| PathBuf::from(self.url.path.to_os_str_lossy().into_owned()))
    }

    /// Whether the remote is reached over http or https, where a token can be sent.
    pub fn is_http(&self) -> bool {
        matches!(self.url.scheme, Scheme::Http | Scheme::Https)
    }

    /// Whether what is sent can be read on the way: plain http.
    pub fn is_plain_http(&self) -> bool {
        self.url.scheme == Scheme::Http
    }

    /// Whether the remote is reached over ssh.
    pub fn is_ssh(&self) -> bool {
        self.url.scheme == Scheme::Ssh
    }

    /// The host's name, without port; `None` for a path.
    pub fn host(&self) -> Option<&str> {
        if self.url.scheme == Scheme::File {
            None
        } else {
            self.url.host.as_deref()
        }
    }

    /// The port, where the URL names one.
    pub fn port(&self) -> Option<u16> {
        self.url.port
    }

    /// `host`, with `:port` where the URL names one; the path itself for a local remote.
    pub fn place(&self) -> String {
        match (self.host(), self.url.port) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => self.to_string(),
        }
    }

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        self.host().is_some_and(|host| {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            host.eq_ignore_ascii_case("localhost")
                || bare
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// User and password written into an http URL.
    pub fn credentials(&self) -> Option<(String, Secret)> {
        let given = self.is_http() && (self.url.password.is_some() || self.user_is_secret());
        let Url { user, password, .. } = &self.url;
        given.then(|| {
            (
                user.clone().unwrap_or_default(),
                Secret::new(password.clone().unwrap_or_default()),
            )
        })
    }

    /// Whether the user part is a token, as hosting services take it: with nothing or `x-oauth-basic` for a password, or
    /// alone and such as no user is called.
    pub fn user_is_secret(&self) -> bool {
        let Some(user) = self.url.user.as_deref().filter(|_| self.is_http()) else {
            return false;
        };
        match self.url.password.as_deref() {
            Some(password) => password.is_empty() || password == "x-oauth-basic",
            None => {
                user.len() >= 20
                    && user
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            }
        }
    }

    /// `ORG/REPO`, the last two segments of the path without `.git`: how the older tool names a remote.
    pub fn repository(&self) -> String {
        let path = self.url.path.to_str_lossy();
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let mut segments: Vec<_> = path.rsplit('/').take(2).collect();
        segments.reverse();
        segments.join("/")
    }

    /// The form to give to git: no password ever; a local path as `file://`, so that `--depth` counts.
    pub fn for_git(&self) -> String {
        self.rendered(false)
    }

    /// The form to publish (a commit's `Codex-Source`): no user part at all, `None` for a path of this machine.
    pub fn public(&self) -> Option<String> {
        self.host()?;
        Some(self.rendered(true))
    }

    fn rendered(&self, strip_user: bool) -> String {
        let mut url = self.url.clone();
        url.password = None;
        if strip_user || self.credentials().is_some() {
            url.user = None;
        }
        if url.scheme == Scheme::File {
            url.serialize_alternative_form = false;
        }
        url.to_bstring().to_string()
    }
}

/// Whether what was read as `host:path`, or as a path, is `user:password@host` with a mistake before it.
fn names_password(url: &Url) -> bool {
    let path = url.path.to_str_lossy();
    match url.scheme {
        Scheme::File => path.split('/').any(|segment| {
            segment
                .split_once(':')
                .is_some_and(|(_, rest)| rest.contains('@'))
        }),
        _ => {
            url.user.is_none()
                && path
                    .trim_start_matches('/')
                    .split('/')
                    .next()
                    .is_some_and(|s| s.contains('@'))
        }
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut masked = self.url.clone();
        if self.user_is_secret() {
            (masked.user, masked.password) = (Some("***".into()), None);
        }
        masked.password = masked.password.map(|_| "***".into());
        let shown = if self.url.scheme == Scheme::File {
            self.url.path.to_string()
        } else {
            masked.to_bstring().to_string()
        };
        crate::paths::escaped(shown.as_bytes()).fmt(f)
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RemoteUrl {
        RemoteUrl::parse(text, Path::new("/ws")).unwrap()
    }

    #[test]
    fn secrets_are_masked_and_never_given_to_git() {
        let u = url("https://me:s3cret@git.acme.com/docs/codex.git");
        assert_eq!(u.to_string(), "https://me:***@git.acme.com/docs/codex.git");
        assert_eq!(format!("{u:?}"), u.to_string());
        assert_eq!(u.for_git(), "https://git.acme.com/docs/codex.git");
        assert_eq!(u.credentials().unwrap().1.reveal(), "s3cret");
        assert_eq!(u.repository(), "docs/codex");
        let u = url("ssh://git:s3cret@h/x.git");
        assert_eq!(
            (u.to_string().as_str(), u.for_git().as_str()),
            ("ssh://git:***@h/x.git", "ssh://git@h/x.git")
        );
    }

    #[test]
    fn a_token_as_user_is_a_secret_too() {
        let token = "ghp_0123456789abcdefghij";
        for user in [
            format!("{token}:"),
            format!("{token}:x-oauth-basic"),
            token.to_owned(),
        ] {
            let u = url(&format!("https://{user}@github.com/acme/codex.git"));
            assert_eq!(u.to_string(), "https://***@github.com/acme/codex.git");
            assert_eq!(u.for_git(), "https://github.com/acme/codex.git");
            assert_eq!(u.credentials().unwrap().0, token);
        }
        let u = url("https://ada@github.com/acme/codex.git");
        assert_eq!(
            (u.to_string().as_str(), u.credentials().is_some()),
            ("https://ada@github.com/acme/codex.git", false)
        );
        for bad in [
            "me:pw@host/x.git",
            "https:/me:pw@host/x.git",
            "https//me:pw@host/x.git",
        ] {
            assert!(
                matches!(
                    RemoteUrl::parse(bad, Path::new("/ws")),
                    Err(InvalidUrl::NoScheme)
                ),
                "{bad}"
            );
        }
        assert_eq!(url("git@host:~me/x@y.git").host(), Some("host"));
    }

    #[test]
    fn every_form_that_git_reads() {
        assert_eq!(
            url("git@github.com:acme/codex.git").for_git(),
            "git@github.com:acme/codex.git"
        );
        assert_eq!(
            url("git@github.com:acme/codex.git").public().unwrap(),
            "github.com:acme/codex.git"
        );
        assert_eq!(url("ssh://git@h:2222/x.git").place(), "h:2222");
        assert_eq!(
            url("codex.git").local_path().unwrap(),
            Path::new("/ws/codex.git")
        );
        assert_eq!(url("/srv/codex.git").for_git(), "file:///srv/codex.git");
        assert_eq!(
            url("file:///srv/codex.git").local_path().unwrap(),
            Path::new("/srv/codex.git")
        );
        assert_eq!(url("/srv/codex.git").public(), None);
        assert!(
            url("http://127.0.0.1:8080/x").is_loopback() && url("http://[::1]/x").is_loopback()
        );
        assert!(!url("https://example.com/x").is_loopback());
        for bad in [
            "",
            "https://",
            "ftp://h/x",
            "ext::sh -c x",
            "ssh://-oProxyCommand=x/y",
        ] {
            assert!(RemoteUrl::parse(bad, Path::new("/ws")).is_err(), "{bad}");
        }
    }
}
