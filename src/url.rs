//! The URL of a git remote, read as git reads it, kept as written, printed without its secret.

use std::borrow::Cow;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use bstr::ByteSlice;
use gix_url::{Scheme, Url};

use crate::platform;
use crate::secret::Secret;
use crate::url_query::UrlQuery;

/// The users in http URLs that are no secret: the names that servers and forges accept together with a
/// token.
pub(crate) const PUBLIC_USERS: &[&str] = &[
    "git",
    "gitlab-ci-token",
    "oauth2",
    "token",
    "x-access-token",
    "x-token-auth",
];

/// A git URL or path. `Display` masks everything that can be a secret: a password, the user of an
/// http URL without a password, and the values of its query. [`RemoteUrl::for_git`] never contains one.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl(UrlForm);

#[derive(Clone)]
enum UrlForm {
    /// A repository on this machine: the one path that is checked, created, passed to git and
    /// printed.
    Local {
        path: PathBuf,
        /// The URL as written, if it is a `file://` URL.
        text: Option<String>,
    },
    /// A repository behind a server.
    Network {
        /// The URL as written.
        text: String,
        /// The URL in parts. The host is in lower case here: use [`RemoteUrl::host`].
        url: Url,
    },
}

impl PartialEq for UrlForm {
    /// A path equals the `file://` URL of the same path.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Local { path: one, .. }, Self::Local { path: other, .. }) => one == other,
            (Self::Network { text: one, .. }, Self::Network { text: other, .. }) => one == other,
            _ => false,
        }
    }
}

impl Eq for UrlForm {}

/// Why a text is not the URL of a remote.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// The text is not a URL that git would read. The message does not repeat it, because it may
    /// contain a password.
    #[error("not a git URL or path")]
    Malformed,
    /// The URL has a scheme that no transport supports.
    #[error("the scheme `{0}` is not supported: use https, http, ssh, git, file or a path")]
    Scheme(String),
    /// The text has a user and a password, but no scheme before them. It would count as a path, and
    /// be printed with the password.
    #[error("a user and a password stand in it, but no scheme before them: write `https://…`")]
    NoScheme,
    /// A host or path that a child program would read as an option.
    #[error("the {0} starts with `-`")]
    OptionLike(&'static str),
}

impl RemoteUrl {
    /// Reads `text`; a relative path is taken relative to `base`.
    ///
    /// A path is used byte for byte; the path of a `file://` URL is percent-decoded, as git does
    /// it.
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
        if text.is_empty() || text.contains('\0') {
            return Err(InvalidUrl::Malformed);
        }
        if is_path(text) {
            if segments_name_password(text) {
                return Err(InvalidUrl::NoScheme);
            }
            return Ok(Self(UrlForm::Local {
                path: absolute(base, Path::new(text)),
                text: None,
            }));
        }
        if let Some(rest) = text.strip_prefix("file://") {
            let path = decoded_path(rest)?;
            let text = Some(text.to_owned());
            return Ok(Self(UrlForm::Local { path, text }));
        }
        Self::parse_network(text)
    }

    /// Parses a URL of another machine. Forms that git would read as a command or an option are
    /// rejected.
    fn parse_network(text: &str) -> Result<Self, InvalidUrl> {
        if text.contains(['\n', '\r']) {
            return Err(InvalidUrl::Malformed);
        }
        let url = gix_url::parse(text.as_bytes().as_bstr()).map_err(|_| InvalidUrl::Malformed)?;
        match &url.scheme {
            Scheme::Https | Scheme::Http | Scheme::Ssh | Scheme::Git => {}
            // git reads `file:path` as a path on the host `file`; it is more likely a mistake.
            Scheme::File => return Err(InvalidUrl::Malformed),
            Scheme::Ext | Scheme::Helper(_) | Scheme::HelperUrl(_) => {
                let scheme = text.split(':').next().unwrap_or_default();
                return Err(InvalidUrl::Scheme(
                    crate::paths::escaped(scheme.as_bytes()).to_string(),
                ));
            }
        }
        if url.serialize_alternative_form && names_password(&url) {
            return Err(InvalidUrl::NoScheme);
        }
        if url.host.as_deref().unwrap_or_default().is_empty() {
            return Err(InvalidUrl::Malformed);
        }
        if url
            .host
            .as_deref()
            .is_some_and(|host| host.starts_with('-'))
        {
            return Err(InvalidUrl::OptionLike("host"));
        }
        if url
            .user
            .as_deref()
            .is_some_and(|user| user.starts_with('-'))
        {
            return Err(InvalidUrl::OptionLike("user"));
        }
        let text = text.to_owned();
        Ok(Self(UrlForm::Network { text, url }))
    }

    /// The path of a remote on this machine.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.0 {
            UrlForm::Local { path, .. } => Some(path),
            UrlForm::Network { .. } => None,
        }
    }

    fn url(&self) -> Option<&Url> {
        match &self.0 {
            UrlForm::Local { .. } => None,
            UrlForm::Network { url, .. } => Some(url),
        }
    }

    /// The protocol's name in git's configuration: `https`, `http`, `ssh`, `git` or `file`.
    pub fn protocol(&self) -> &str {
        self.url().map_or("file", |url| url.scheme.as_str())
    }

    /// Whether the scheme is http or https. Only these can carry a token.
    pub fn is_http(&self) -> bool {
        self.url()
            .is_some_and(|url| matches!(url.scheme, Scheme::Http | Scheme::Https))
    }

    /// Whether the traffic can be read on the way: plain http.
    pub fn is_plain_http(&self) -> bool {
        self.url().is_some_and(|url| url.scheme == Scheme::Http)
    }

    /// Whether the remote is reached over ssh.
    pub fn is_ssh(&self) -> bool {
        self.url().is_some_and(|url| url.scheme == Scheme::Ssh)
    }

    /// The host's name as written, without port; `None` for a path.
    pub fn host(&self) -> Option<&str> {
        let UrlForm::Network { text, url } = &self.0 else {
            return None;
        };
        let host = url.host.as_deref()?;
        let (_, authority) = user_and_authority(text);
        let authority = authority.trim_start_matches('[');
        let written = authority.get(..host.len());
        Some(
            written
                .filter(|written| written.eq_ignore_ascii_case(host))
                .unwrap_or(host),
        )
    }

    /// The port, if the URL has one.
    pub fn port(&self) -> Option<u16> {
        self.url()?.port
    }

    /// The port of connections to the URL: the given one, or else the default of the scheme.
    pub(crate) fn port_or_default(&self) -> Option<u16> {
        self.url()?.port_or_default()
    }

    /// The host, with the port if the URL has one; for a local remote, the path.
    pub fn host_or_path(&self) -> String {
        match (self.host(), self.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => self.to_string(),
        }
    }

    /// Whether both are reached over the same scheme at the same host and port: a credential for
    /// one is one for the other.
    pub fn has_origin_of(&self, other: &Self) -> bool {
        let origin = |url: &Url| (url.scheme.clone(), url.host.clone(), url.port_or_default());
        match (self.url(), other.url()) {
            (Some(one), Some(other)) => origin(one) == origin(other),
            _ => false,
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
    pub(crate) fn credentials(&self) -> Option<(String, Secret)> {
        let url = self.url().filter(|_| self.is_http())?;
        let given = url.password.is_some() || self.user_is_secret();
        given.then(|| {
            (
                url.user.clone().unwrap_or_default(),
                Secret::new(url.password.clone().unwrap_or_default()),
            )
        })
    }

    /// Whether the user part is a token, as hosting services take it: with nothing or
    /// `x-oauth-basic` for a password, or alone and longer than the name of a user.
    pub fn user_is_secret(&self) -> bool {
        let Some(url) = self.url().filter(|_| self.is_http()) else {
            return false;
        };
        let Some(user) = url.user.as_deref() else {
            return false;
        };
        match url.password.as_deref() {
            Some(password) => password.is_empty() || password == "x-oauth-basic",
            None => {
                user.len() >= 20
                    && user
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
            }
        }
    }

    /// Whether the user of an http URL without a password can be a token: a short one looks like the
    /// name of a user.
    fn user_can_be_secret(&self) -> bool {
        let url = self.url().filter(|_| self.is_http());
        url.filter(|url| url.password.is_none())
            .and_then(|url| url.user.as_deref())
            .is_some_and(|user| !PUBLIC_USERS.contains(&user))
    }

    /// `ORG/REPO`, the last two segments of the path without `.git`: how the older tool names a
    /// remote.
    pub fn repository(&self) -> String {
        let path: Cow<'_, str> = match &self.0 {
            UrlForm::Local { path, .. } => path.to_string_lossy(),
            UrlForm::Network { url, .. } => url.path.to_str_lossy(),
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let mut segments: Vec<_> = path.rsplit('/').take(2).collect();
        segments.reverse();
        segments.join("/")
    }

    /// The owner of the repository on its server, as the URL has it. On Azure DevOps it is the
    /// organization: between it and the name are a project and a fixed segment. `None` for a path.
    pub(crate) fn owner(&self) -> Option<String> {
        let host = self.host()?.to_ascii_lowercase();
        let path = self.repository_path()?;
        let segments: Vec<&str> = path.split('/').filter(|one| !one.is_empty()).collect();
        let is_azure_ssh = ["ssh.dev.azure.com", "vs-ssh.visualstudio.com"].contains(&&*host);
        let owner = match segments.as_slice() {
            ["v3", organization, ..] if is_azure_ssh => organization,
            [.., "_git", _] if host.ends_with(".visualstudio.com") => host.split('.').next()?,
            [organization, "_git", _] | [.., organization, _, "_git", _] => organization,
            [.., owner, _] => owner,
            _ => return None,
        };
        Some(owner.to_owned())
    }

    /// The URL for a file that others read: without what can be a secret, and without the name of a
    /// person. A user `git` of ssh stays.
    pub(crate) fn shared(&self) -> String {
        let text = self.without_secrets();
        let (user, _) = user_and_authority(&text);
        match user.is_empty() || self.is_ssh() && user == "git" {
            true => text,
            false => replace_user(&text, None),
        }
    }

    /// The host of the forge behind this URL, in lower case: the host itself, or that of the
    /// service whose ssh server on port 443 has a host of its own. `None` for a path.
    pub(crate) fn forge_host(&self) -> Option<String> {
        let host = self.host()?.trim_end_matches('.').to_ascii_lowercase();
        Some(match host.as_str() {
            "ssh.github.com" => "github.com".to_owned(),
            "altssh.gitlab.com" => "gitlab.com".to_owned(),
            _ => host,
        })
    }

    /// The host of the API, if this URL is on a service of GitHub: github.com, or an organization's
    /// own host below ghe.com. A GitHub server of an organization has its API below a path instead.
    pub(crate) fn github_api_host(&self) -> Option<String> {
        let host = self.forge_host()?;
        let is_service = host == "github.com" || host.ends_with(".ghe.com");
        is_service.then(|| format!("api.{host}"))
    }

    /// The path of an http URL, without a slash at the end; `None` for other URLs.
    pub(crate) fn http_path(&self) -> Option<String> {
        let url = self.url().filter(|_| self.is_http())?;
        let path = url.path.to_str_lossy();
        Some(path.trim_end_matches('/').to_owned())
    }

    /// The segments of the path of the repository on its server, without `.git` at the end. `None`
    /// for a path of this machine.
    pub(crate) fn repository_path(&self) -> Option<String> {
        let path = self.url()?.path.to_str_lossy();
        let path = path.trim_start_matches("/~/").trim_matches('/');
        Some(path.strip_suffix(".git").unwrap_or(path).to_owned())
    }

    /// The form to pass to git: as written, without a password. A local path becomes a `file://`
    /// URL whose decoded path is exactly that path.
    pub fn for_git(&self) -> String {
        match &self.0 {
            UrlForm::Local { path, .. } => file_url(path),
            UrlForm::Network { text, url } => {
                let (user, _) = user_and_authority(text);
                if self.credentials().is_some() {
                    replace_user(text, None)
                } else if url.password.is_some() {
                    replace_user(text, user.split(':').next())
                } else {
                    text.clone()
                }
            }
        }
    }

    /// The form that `url.*.insteadOf` of git's configuration is compared with: the text that git
    /// would be given, credentials included. Never print it.
    pub fn written(&self) -> String {
        match &self.0 {
            UrlForm::Local {
                text: Some(text), ..
            }
            | UrlForm::Network { text, .. } => text.clone(),
            UrlForm::Local { path, text: None } => path.to_string_lossy().into_owned(),
        }
    }

    /// The form to store in a file: without a user, query and fragment that can be or contain a
    /// secret.
    pub(crate) fn without_secrets(&self) -> String {
        let UrlForm::Network { text, .. } = &self.0 else {
            return self.to_string();
        };
        let text = match self.credentials().is_some() || self.user_can_be_secret() {
            true => replace_user(text, None),
            false => self.for_git(),
        };
        UrlQuery::of(&text).address.to_owned()
    }

    /// Masks in `text` what [`Display`](fmt::Display) masks in the URL: a server or git may repeat it.
    pub(crate) fn mask_in(&self, text: &str) -> String {
        let parts = self.masked_parts();
        parts
            .iter()
            .fold(text.to_owned(), |text, part| part.mask_in(&text))
    }

    /// The parts that are masked, as written and decoded.
    fn masked_parts(&self) -> Vec<MaskedPart> {
        let UrlForm::Network { text, url } = &self.0 else {
            return Vec::new();
        };
        let mut parts = Vec::new();
        let mut add = |before: String, secret: &str, after: &'static str| {
            let decoded = String::from_utf8_lossy(&percent_decoded(secret)).into_owned();
            for secret in [secret.to_owned(), decoded] {
                parts.push(MaskedPart {
                    before: before.clone(),
                    secret,
                    after,
                });
            }
        };

        let (user, _) = user_and_authority(text);
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        if url.password.is_some() {
            add(":".to_owned(), password, "@");
        }
        if self.user_is_secret() || self.user_can_be_secret() {
            add(String::new(), user, "@");
        }
        if self.is_http() {
            for (before, value) in UrlQuery::of(text).values() {
                add(before, value, "");
            }
        }
        parts.retain(|part| !part.secret.is_empty());
        parts
    }

    /// The form to publish (a commit's `Codex-Source`): without user, query and fragment, which can
    /// contain a secret. `None` for a path of this machine.
    pub fn public(&self) -> Option<String> {
        match &self.0 {
            UrlForm::Local { .. } => None,
            UrlForm::Network { text, .. } => {
                let text = replace_user(text, None);
                Some(UrlQuery::of(&text).address.to_owned())
            }
        }
    }
}

/// A part of a URL that can be a secret, and the text around it in the URL.
struct MaskedPart {
    before: String,
    secret: String,
    after: &'static str,
}

impl MaskedPart {
    /// A shorter secret is only masked with the text around it, because other words can contain it.
    const LONG: usize = 6;

    fn mask_in(&self, text: &str) -> String {
        let Self {
            before,
            secret,
            after,
        } = self;
        match secret.len() < Self::LONG {
            true => text.replace(
                &format!("{before}{secret}{after}"),
                &format!("{before}***{after}"),
            ),
            false => text.replace(secret, "***"),
        }
    }
}

/// Whether git reads `text` as a path: no colon, or a slash before the first one.
fn is_path(text: &str) -> bool {
    let slash = text.find('/').unwrap_or(usize::MAX);
    platform::has_drive(text) || text.find(':').is_none_or(|colon| slash < colon)
}

/// The path of a `file://` URL, decoded as git does it: `%` and two hexadecimal digits are one
/// byte, except NUL; any host is ignored.
fn decoded_path(rest: &str) -> Result<PathBuf, InvalidUrl> {
    let decoded = percent_decoded(rest);
    let start = decoded.iter().position(|byte| *byte == b'/');
    let path = &decoded[start.ok_or(InvalidUrl::Malformed)?..];
    Ok(platform::path_of_url(path).to_owned())
}

/// The `file://` URL that git decodes to `path`.
fn file_url(path: &Path) -> String {
    format!(
        "file://{}",
        percent_encoded(&platform::url_path(path), b"/-._~+,=@")
    )
}

/// Decodes `%XX`. `%00` is kept, as no path and no name can contain a NUL.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(|byte| *byte != 0);
        decoded.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    decoded
}

/// Percent-encodes all bytes but ASCII letters, digits and those in `kept`.
pub(crate) fn percent_encoded(bytes: &[u8], kept: &[u8]) -> String {
    let mut encoded = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || kept.contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// `path` as seen from `base`. `..` is resolved by name only where that leads to the same
/// directory: after a symlink it is kept for the system to resolve.
fn absolute(base: &Path, path: &Path) -> PathBuf {
    let mut absolute = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if absolute.ends_with("..") || absolute.is_symlink() => {
                absolute.push("..");
            }
            Component::ParentDir => {
                absolute.pop();
            }
            other => absolute.push(other),
        }
    }
    absolute
}

/// The user part of a network URL, without the `@`, and the text from the host on.
fn user_and_authority(text: &str) -> (&str, &str) {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let end = if rest.len() == text.len() {
        // `user@host:path`
        rest.find([':', '/'])
    } else {
        rest.find(['/', '?', '#'])
    };
    match rest[..end.unwrap_or(rest.len())].rfind('@') {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => ("", rest),
    }
}

/// A network URL with another user part, or none.
fn replace_user(text: &str, user: Option<&str>) -> String {
    let (old, authority) = user_and_authority(text);
    let before = text.len() - authority.len();
    let before = &text[..before - old.len() - usize::from(text[..before].ends_with('@'))];
    match user {
        Some(user) => format!("{before}{user}@{authority}"),
        None => format!("{before}{authority}"),
    }
}

/// Whether a segment of a path looks like `user:password@host`: a URL with a mistake in its scheme.
fn segments_name_password(path: &str) -> bool {
    path.split('/').any(|segment| {
        segment
            .split_once(':')
            .is_some_and(|(_, rest)| rest.contains('@'))
    })
}

/// Whether `host:path` is `user:password@host` without a scheme.
fn names_password(url: &Url) -> bool {
    let path = url.path.to_str_lossy();
    url.user.is_none()
        && path
            .trim_start_matches('/')
            .split('/')
            .next()
            .is_some_and(|segment| segment.contains('@'))
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, url) = match &self.0 {
            UrlForm::Local { path, .. } => return crate::paths::shown(path).fmt(f),
            UrlForm::Network { text, url } => (text, url),
        };
        let (user, _) = user_and_authority(text);
        let masked = if self.user_is_secret() || self.user_can_be_secret() {
            replace_user(text, Some("***"))
        } else if url.password.is_some() {
            let name = user.split(':').next().unwrap_or_default();
            replace_user(text, Some(&format!("{name}:***")))
        } else {
            text.clone()
        };
        let masked = match self.is_http() {
            true => UrlQuery::of(&masked).to_string(),
            false => masked,
        };
        crate::paths::escaped(masked.as_bytes()).fmt(f)
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
            ("https://***@github.com/acme/codex.git", false)
        );
        assert_eq!(u.without_secrets(), "https://github.com/acme/codex.git");
        for (text, shown) in [
            ("http://t0k@h/x", "http://***@h/x"),
            ("https://oauth2@h/x", "https://oauth2@h/x"),
            (
                "https://h/x?private_token=s3",
                "https://h/x?private_token=***",
            ),
            (
                "https://git@h/x?a=s3&b=&s3#s3",
                "https://git@h/x?a=***&b=&***#***",
            ),
            ("https://h/x#s3", "https://h/x#***"),
        ] {
            assert_eq!(url(text).to_string(), shown);
            assert_eq!(url(text).for_git(), text);
        }
        let masked = |url_text: &str, text: &str| url(url_text).mask_in(text);
        for (url, text, shown) in [
            (
                "http://t0kens3cret@h/x?key=s%2B3&long=s3cret#s3",
                "for 'http://t0kens3cret@h': key=s+3, key=s%2B3, s3cret, s3 of #s3",
                "for 'http://***@h': key=***, key=***, ***, s3 of #***",
            ),
            ("https://ada:s3@h/x", "ada:s3@h, s3", "ada:***@h, s3"),
            ("ssh://git@h/x?s3cret", "git@h s3cret", "git@h s3cret"),
        ] {
            assert_eq!(masked(url, text), shown);
        }
        for (text, shared, owner) in [
            ("git@h:a/b.git", "git@h:a/b.git", "a"),
            ("ada@h:a/b.git", "h:a/b.git", "a"),
            ("ssh://ada@h:22/a/b", "ssh://h:22/a/b", "a"),
            ("https://t:x@h/g/a/b?c=d", "https://h/g/a/b", "a"),
            (
                "https://dev.azure.com/acme/P/_git/web",
                "https://dev.azure.com/acme/P/_git/web",
                "acme",
            ),
            (
                "https://acme@dev.azure.com/acme/_git/web",
                "https://dev.azure.com/acme/_git/web",
                "acme",
            ),
            (
                "https://acme.visualstudio.com/P/_git/web",
                "https://acme.visualstudio.com/P/_git/web",
                "acme",
            ),
            (
                "git@ssh.dev.azure.com:v3/acme/P/web",
                "git@ssh.dev.azure.com:v3/acme/P/web",
                "acme",
            ),
        ] {
            assert_eq!(url(text).shared(), shared);
            assert_eq!(url(text).owner().as_deref(), Some(owner));
        }
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
        assert_eq!(url("ssh://git@h:2222/x.git").host_or_path(), "h:2222");
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
            "FILE:///d/x",
            "ext::sh -c x",
            "ssh://-oProxyCommand=x/y",
            "file://relative",
            "a\0b",
            "https://h/a\nb",
        ] {
            assert!(RemoteUrl::parse(bad, Path::new("/ws")).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_is_used_byte_for_byte_and_a_file_url_is_decoded_once() {
        for (text, path, for_git) in [
            ("/d/a%20b.git", "/d/a%20b.git", "file:///d/a%2520b.git"),
            (
                "/d/a b#c?d.git",
                "/d/a b#c?d.git",
                "file:///d/a%20b%23c%3Fd.git",
            ),
            ("./a:b", "/ws/a:b", "file:///ws/a%3Ab"),
            ("-x", "/ws/-x", "file:///ws/-x"),
            ("~/x", "/ws/~/x", "file:///ws/~/x"),
            ("/d/x/", "/d/x", "file:///d/x"),
            ("../x", "/x", "file:///x"),
            ("file:///d/a%20b.git", "/d/a b.git", "file:///d/a%20b.git"),
            ("file:///d/a%2520b", "/d/a%20b", "file:///d/a%2520b"),
            (
                "file:///d/%zz%00%2",
                "/d/%zz%00%2",
                "file:///d/%25zz%2500%252",
            ),
            ("file://localhost/d/x", "/d/x", "file:///d/x"),
        ] {
            let u = url(text);
            assert_eq!(u.local_path(), Some(Path::new(path)), "{text}");
            assert_eq!(u.for_git(), for_git, "{text}");
            assert_eq!(u.to_string(), path, "{text}");
            assert_eq!(url(&u.for_git()), u, "{text}");
        }
        let u = url("file:///d/%ff");
        assert_eq!(*platform::bytes_of(u.local_path().unwrap()), *b"/d/\xff");
        assert_eq!(u.for_git(), "file:///d/%FF");
    }

    #[test]
    fn a_url_is_passed_on_as_written() {
        for text in [
            "git@Codex-Host:acme/Codex.git",
            "Codex-Host:acme/codex.git",
            "https://Git.Acme.com/a%20b/C.git/",
            "ssh://git@Host:2222/~me/x.git",
            "https://git@git.acme.com/x",
            "git://h/x",
        ] {
            assert_eq!(url(text).for_git(), text);
            assert_eq!(url(text).to_string(), text);
        }
        assert_eq!(url("git@Codex-Host:x").host(), Some("Codex-Host"));
        assert_eq!(url("ssh://git@Host:2222/x").host_or_path(), "Host:2222");
        let u = url("https://me:s%40cret@Git.acme.com/X.git");
        assert_eq!(u.for_git(), "https://Git.acme.com/X.git");
        assert_eq!(u.credentials().unwrap().1.reveal(), "s@cret");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |one, other| url(one).has_origin_of(&url(other));
        assert!(same("https://h/a", "https://H:443/b"));
        assert!(!same("https://h/a", "http://h/a"));
        assert!(!same("https://h/a", "https://h:444/a"));
        assert!(!same("/a", "/a"));
    }
}
