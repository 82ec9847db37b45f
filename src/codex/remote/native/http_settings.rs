//! git's configuration for http servers: `http.*` and `http.URL.*`, of which the most specific
//! applies.

use std::path::PathBuf;

use super::address::Address;
use crate::codex::git_config::Settings;
use crate::paths::below_home;

impl Settings {
    /// The value of `http.NAME` for requests to `address`: that of the most specific
    /// `http.URL.NAME` that matches.
    pub(in crate::codex) fn http(&self, address: &Address, name: &str) -> Option<&str> {
        self.http_values(address, name).last().copied()
    }

    /// All values of a key that can be set several times. An empty value discards the previous
    /// ones.
    pub(in crate::codex) fn http_all(&self, address: &Address, name: &str) -> Vec<&str> {
        let values = self.http_values(address, name);
        let forgotten = values.iter().rposition(|value| value.is_empty());
        values[forgotten.map_or(0, |at| at + 1)..].to_vec()
    }

    /// The values of the `Authorization` headers in `http.extraHeader`, for whichever URL.
    pub(in crate::codex) fn authorization_headers(&self) -> impl Iterator<Item = &str> {
        let is_header = |key: &str| key.starts_with("http.") && key.ends_with(".extraheader");
        let headers = self.entries().iter().filter(move |(key, _)| is_header(key));
        headers.filter_map(|(_, header)| {
            let (_, value) = header.split_once(':')?;
            is_authorization(header).then_some(value)
        })
    }

    /// The values that apply to `address`, the most specific last.
    fn http_values(&self, address: &Address, name: &str) -> Vec<&str> {
        let mut matching: Vec<_> = self
            .entries()
            .iter()
            .filter_map(|(key, value)| {
                let rest = key.strip_prefix("http.")?;
                let scope = match rest.rsplit_once('.') {
                    Some((scope, last)) if last == name => Some(scope),
                    None if rest == name => None,
                    _ => return None,
                };
                let specificity = match scope {
                    Some(scope) => address.matched_by(scope)?,
                    None => (0, 0, false),
                };
                Some((specificity, value.as_str()))
            })
            .collect();
        matching.sort_by_key(|(specificity, _)| *specificity);
        matching.into_iter().map(|(_, value)| value).collect()
    }

    /// The boolean `http.NAME`; `None` if it is not set.
    pub(in crate::codex) fn http_flag(&self, address: &Address, name: &str) -> Option<bool> {
        flag(self.http(address, name)?)
    }

    /// The path `http.NAME`, with `~` expanded.
    pub(in crate::codex) fn http_path(
        &self,
        address: &Address,
        name: &str,
        home: Option<&str>,
    ) -> Option<PathBuf> {
        let value = self.http(address, name).filter(|value| !value.is_empty())?;
        Some(below_home(value, home).into())
    }
}

/// Whether a header in the form of `http.extraHeader` authorizes requests.
pub(in crate::codex) fn is_authorization(header: &str) -> bool {
    let name = header.split(':').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case("authorization")
}

/// Parses a boolean in git's syntax.
fn flag(value: &str) -> Option<bool> {
    git2::Config::parse_bool(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(entries: &[(&str, &str)]) -> Settings {
        let entries = entries.iter();
        let listing: String = entries
            .map(|(key, value)| format!("{key}\n{value}\0"))
            .collect();
        Settings::parse(&listing)
    }

    fn address(url: &str) -> Address {
        Address::parse(url).unwrap()
    }

    #[test]
    fn most_specific_url_applies() {
        let settings = settings(&[
            ("http.https://git.acme.com/docs.proxy", "docs"),
            ("http.https://git.acme.com.proxy", "host"),
            ("http.https://*.acme.com.proxy", "any"),
            ("http.proxy", "all"),
        ]);
        for (url, expected) in [
            ("https://git.acme.com/docs/codex.git", "docs"),
            ("https://git.acme.com/docsx/codex.git", "host"),
            ("https://other.acme.com/docs/codex.git", "any"),
            ("http://git.acme.com/docs/codex.git", "all"),
            ("https://git.acme.com:8443/docs/codex.git", "all"),
        ] {
            assert_eq!(
                settings.http(&address(url), "proxy"),
                Some(expected),
                "{url}"
            );
        }
    }

    #[test]
    fn empty_value_discards_the_previous_ones() {
        let settings = settings(&[
            ("http.extraheader", "A: 1"),
            ("http.extraheader", ""),
            ("http.extraheader", "B: 2"),
            ("http.extraheader", "C: 3"),
        ]);
        let headers = settings.http_all(&address("https://h/x"), "extraheader");
        assert_eq!(headers, ["B: 2", "C: 3"]);
    }
}
