//! Addresses of http servers, and the matching of URLs in git's configuration.

use std::fmt;

/// The parts of an `http://` or `https://` URL, without the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::codex) struct Address {
    pub(in crate::codex) is_tls: bool,
    /// The host in lower case; IPv6 addresses without brackets.
    pub(in crate::codex) host: String,
    pub(in crate::codex) port: u16,
    /// The path, from the first `/`, without a slash at the end.
    pub(in crate::codex) path: String,
    pub(in crate::codex) user: Option<String>,
}

impl Address {
    /// Parses `url`; `None` if it is not http.
    pub(in crate::codex) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let (host, port) = split_port(authority)?;
        let default = if is_tls { 443 } else { 80 };
        let user = user.and_then(|user| user.split(':').next());
        Some(Self {
            is_tls,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(default),
            path: path.trim_end_matches('/').to_owned(),
            user: user.filter(|user| !user.is_empty()).map(str::to_owned),
        })
    }

    pub(in crate::codex) fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    /// The value of a `Host` header: the host, with the port if it is not the scheme's default.
    pub(in crate::codex) fn host_and_port(&self) -> String {
        let host = bracketed(&self.host);
        match (self.is_tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// `HOST:PORT`, as in a request to a proxy.
    pub(in crate::codex) fn authority(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// Whether requests to both can use one connection.
    pub(in crate::codex) fn same_server(&self, other: &Self) -> bool {
        (self.is_tls, &self.host, self.port) == (other.is_tls, &other.host, other.port)
    }

    /// Matches `pattern`, the URL of a key `http.URL.*`, by the rules of `git help config` under
    /// `http.<url>.*`. Returns how specific the match is: the length of the host, the length of the
    /// path, and whether it includes a user.
    pub(in crate::codex) fn matched_by(&self, pattern: &str) -> Option<(usize, usize, bool)> {
        let pattern = Self::parse(pattern)?;
        let same_place = (pattern.is_tls, pattern.port) == (self.is_tls, self.port);
        let host = host_matches(&pattern.host, &self.host)?;
        let rest = self.path.strip_prefix(&pattern.path)?;
        let whole_segments = rest.is_empty() || rest.starts_with('/');
        let user = pattern.user.is_some();
        let same_user = !user || pattern.user == self.user;
        (same_place && whole_segments && same_user).then_some((host, pattern.path.len(), user))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}{}",
            self.scheme(),
            self.host_and_port(),
            self.path
        )
    }
}

/// Splits `HOST` or `HOST:PORT`. An IPv6 address is in brackets.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some("") | None if rest.len() <= 1 => None,
        Some(port) => Some(port.parse().ok()?),
        None => return None,
    };
    (!host.is_empty()).then_some((host, port))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// Matches a host with a pattern in which `*` matches one label. Returns the number of literal
/// characters of the pattern.
fn host_matches(pattern: &str, host: &str) -> Option<usize> {
    let labels = pattern.split('.').zip(host.split('.'));
    let all = labels
        .clone()
        .all(|(pattern, label)| pattern == "*" || pattern == label);
    let same_count = pattern.split('.').count() == host.split('.').count();
    let literal = pattern.chars().filter(|c| *c != '*').count();
    (all && same_count).then_some(literal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_parsed() {
        for (url, shown, authority) in [
            (
                "https://Git.Acme.com/docs/",
                "https://git.acme.com/docs",
                "git.acme.com:443",
            ),
            ("http://me:pw@h:8080/x", "http://h:8080/x", "h:8080"),
            ("http://[::1]:81", "http://[::1]:81", "[::1]:81"),
            ("https://h:443/x", "https://h/x", "h:443"),
            ("https://h:/x", "https://h/x", "h:443"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(
                (address.to_string().as_str(), address.authority().as_str()),
                (shown, authority)
            );
        }
        for bad in [
            "ssh://h/x",
            "https://",
            "https://h:x/",
            "https://[::1/",
            "h/x",
            "https://h:99999/",
        ] {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn user_in_a_pattern_must_match() {
        let address = Address::parse("https://ada@h/x").unwrap();
        assert_eq!(address.matched_by("https://ada@h"), Some((1, 0, true)));
        assert_eq!(address.matched_by("https://bob@h"), None);
        assert_eq!(address.matched_by("https://h/x/"), Some((1, 2, false)));
    }
}
