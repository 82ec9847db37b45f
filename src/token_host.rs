//! The host that a token may be sent to.

use std::fmt;
use std::str::FromStr;

use crate::url::RemoteUrl;

/// A host, with a port if one was given.
///
/// Hosts are compared as names: in any case, with or without the trailing dot of an absolute name.
/// A host without a port means all of its ports; the host of a URL always has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenHost {
    name: String,
    port: Option<u16>,
}

/// A text that is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a host, such as `git.acme.com` or `git.acme.com:8443`")]
pub(crate) struct InvalidHost;

impl TokenHost {
    /// The host of an http URL, with its port. `None` for other URLs, which no token is sent to.
    pub(crate) fn of(url: &RemoteUrl) -> Option<Self> {
        if !url.is_http() {
            return None;
        }
        Some(Self {
            name: normalized(url.host()?),
            port: url.port_or_default(),
        })
    }

    /// The host of the forge behind a URL of any scheme. `None` for a path.
    pub(crate) fn of_forge(url: &RemoteUrl) -> Option<Self> {
        let port = Self::of(url).and_then(|host| host.port);
        Some(Self {
            name: url.forge_host()?,
            port,
        })
    }

    /// Whether this is the host of the forge behind `url`. The port of an ssh server is not that of
    /// its web server, so ports only count for http.
    pub(crate) fn is_of_forge(&self, url: &RemoteUrl) -> bool {
        if url.is_http() {
            return self.is_of(url);
        }
        url.forge_host().is_some_and(|host| host == self.name)
    }

    /// The host of GitHub's own service.
    pub(crate) fn github() -> Self {
        Self {
            name: "github.com".to_owned(),
            port: None,
        }
    }

    /// Whether a request to `url` goes to this host.
    pub(crate) fn is_of(&self, url: &RemoteUrl) -> bool {
        Self::of(url).is_some_and(|other| {
            other.name == self.name && (self.port.is_none() || self.port == other.port)
        })
    }
}

/// A name in lower case, without a trailing dot and without the `:` of an empty port.
fn normalized(host: &str) -> String {
    let host = host.strip_suffix(':').unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

impl FromStr for TokenHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let (name, port) = match text.rsplit_once(':') {
            // The last `:` of an IPv6 address is not before a port.
            Some((name, port)) if !port.ends_with(']') => {
                let port: u16 = port.parse().map_err(|_| InvalidHost)?;
                (name, Some(port))
            }
            _ => (text, None),
        };

        let inside = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let is_host = match inside {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !name.is_empty()
                    && !name.starts_with(['-', '.'])
                    && name
                        .chars()
                        .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
            }
        };
        if !is_host {
            return Err(InvalidHost);
        }
        Ok(Self {
            name: normalized(name),
            port,
        })
    }
}

impl fmt::Display for TokenHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_host_is_compared_as_a_name_and_a_port_where_one_is_named() {
        for (host, url, expected) in [
            ("git.acme.com", "https://git.acme.com/x.git", true),
            ("git.acme.com", "https://GIT.acme.com:8443/x.git", true),
            ("Git.Acme.Com.", "https://git.acme.com./x.git", true),
            ("git.acme.com", "https://git.acme.com:/x.git", true),
            ("git.acme.com:443", "https://git.acme.com/x.git", true),
            ("git.acme.com:443", "http://git.acme.com/x.git", false),
            ("git.acme.com:443", "https://git.acme.com:8443/x.git", false),
            ("git.acme.com", "https://ada@git.acme.com/x.git", true),
            ("git.acme.com", "https://git.acme.com@evil.com/x.git", false),
            (
                "git.acme.com",
                "https://git.acme.com:443@evil.com/x.git",
                false,
            ),
            ("git.acme.com", "https://evil.com/git.acme.com", false),
            (
                "git.acme.com",
                "https://evil.com?@git.acme.com/x.git",
                false,
            ),
            (
                "git.acme.com",
                "https://evil.com#@git.acme.com/x.git",
                false,
            ),
            ("git.acme.com", "https://git.acme.com.evil.com/x.git", false),
            (
                "git.acme.com",
                "https://git.acme.com%2eevil.com/x.git",
                false,
            ),
            ("git.acme.com", "https://xgit.acme.com/x.git", false),
            ("git.acme.com", "https://acme.com/x.git", false),
            ("git.acme.com", "ssh://git@git.acme.com/x.git", false),
            ("git.acme.com", "git@git.acme.com:x.git", false),
            ("git.acme.com", "/git.acme.com/x.git", false),
            ("[::1]:8080", "http://[::1]:8080/x.git", true),
            ("[::1]", "http://[::1]:8080/x.git", true),
            ("127.0.0.1", "http://127.0.0.1:8080/x.git", true),
            ("localhost", "http://127.0.0.1:8080/x.git", false),
        ] {
            let host: TokenHost = host.parse().unwrap();
            let parsed = RemoteUrl::parse(url, Path::new("/")).unwrap();
            assert_eq!(host.is_of(&parsed), expected, "{host} {url}");
        }
    }

    #[test]
    fn text_that_is_not_only_a_host_is_rejected() {
        for text in [
            "",
            "https://git.acme.com",
            "git.acme.com/docs",
            "ada@git.acme.com",
            "git.acme.com:port",
            "git.acme.com:99999",
            "git acme",
            "*.acme.com",
            "[::1",
            "::1",
            ".",
        ] {
            assert_eq!(text.parse::<TokenHost>(), Err(InvalidHost), "{text}");
        }
    }
}
