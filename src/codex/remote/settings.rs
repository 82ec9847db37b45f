//! The parts of git's configuration that decide how a server is reached: `http.*`, `http.URL.*`, `url.*.insteadOf`,
//! `core.sshCommand`, `ssh.variant`.

use std::path::{Path, PathBuf};

use super::address::Address;
use crate::codex::git_config;
use crate::environment::Environment;

/// Settings in the order in which git reads them: of two values for one key, the later one counts.
#[derive(Debug, Default)]
pub(super) struct Settings {
    entries: Vec<(String, String)>,
}

impl Settings {
    /// Reads the user's files, then the settings that the environment carries.
    pub(super) fn read(environment: &Environment) -> Self {
        Self {
            entries: git_config::entries(environment),
        }
    }

    /// The value of a key that may be set once.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let entry = self.entries.iter().rev().find(|(name, _)| name == key)?;
        Some(&entry.1)
    }

    /// The value of `http.NAME` for requests to `address`: that of the most specific `http.URL.NAME` that matches.
    pub(super) fn http(&self, address: &Address, name: &str) -> Option<&str> {
        self.http_values(address, name).last().copied()
    }

    /// The same for a key that may be set several times; an empty value forgets the values before it.
    pub(super) fn http_all(&self, address: &Address, name: &str) -> Vec<&str> {
        let values = self.http_values(address, name);
        let forgotten = values.iter().rposition(|value| value.is_empty());
        values[forgotten.map_or(0, |at| at + 1)..].to_vec()
    }

    /// Values that apply to `address`, the most specific last.
    fn http_values(&self, address: &Address, name: &str) -> Vec<&str> {
        let mut matching: Vec<_> = self
            .entries
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

    /// A boolean of `http.*`; `None` where it is not set.
    pub(super) fn http_flag(&self, address: &Address, name: &str) -> Option<bool> {
        flag(self.http(address, name)?)
    }

    /// A file that `http.NAME` names, `~` expanded.
    pub(super) fn http_path(
        &self,
        address: &Address,
        name: &str,
        home: Option<&str>,
    ) -> Option<PathBuf> {
        let value = self.http(address, name).filter(|value| !value.is_empty())?;
        Some(match (value.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => Path::new(home).join(rest),
            _ => PathBuf::from(value),
        })
    }

    /// `url` as `url.BASE.insteadOf` rewrites it, or for a push `url.BASE.pushInsteadOf`: the longest match counts.
    pub(super) fn rewritten(&self, url: &str, for_push: bool) -> String {
        let pushed = for_push
            .then(|| self.rewrite(url, "pushinsteadof"))
            .flatten();
        pushed
            .or_else(|| self.rewrite(url, "insteadof"))
            .unwrap_or_else(|| url.to_owned())
    }

    fn rewrite(&self, url: &str, key: &str) -> Option<String> {
        let bases = self.entries.iter().filter_map(|(name, prefix)| {
            let (base, last) = name.strip_prefix("url.")?.rsplit_once('.')?;
            let matches = last == key && !prefix.is_empty();
            let rest = url.strip_prefix(prefix.as_str()).filter(|_| matches)?;
            Some((prefix.len(), format!("{base}{rest}")))
        });
        bases.max_by_key(|(length, _)| *length).map(|(_, url)| url)
    }
}

/// A boolean as git writes it.
fn flag(value: &str) -> Option<bool> {
    git2::Config::parse_bool(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(entries: &[(&str, &str)]) -> Settings {
        let entries = entries.iter();
        Settings {
            entries: entries
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn address(url: &str) -> Address {
        Address::parse(url).unwrap()
    }

    #[test]
    fn the_most_specific_url_counts() {
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
    fn an_empty_value_forgets_those_before_it() {
        let settings = settings(&[
            ("http.extraheader", "A: 1"),
            ("http.extraheader", ""),
            ("http.extraheader", "B: 2"),
            ("http.extraheader", "C: 3"),
        ]);
        let headers = settings.http_all(&address("https://h/x"), "extraheader");
        assert_eq!(headers, ["B: 2", "C: 3"]);
    }

    #[test]
    fn the_longest_prefix_is_rewritten() {
        let settings = settings(&[
            ("url.https://mirror/.insteadof", "https://git.acme.com/"),
            (
                "url.ssh://git@host/.insteadof",
                "https://git.acme.com/docs/",
            ),
            (
                "url.https://write/.pushinsteadof",
                "https://git.acme.com/docs/",
            ),
        ]);
        let url = "https://git.acme.com/docs/codex.git";
        assert_eq!(settings.rewritten(url, false), "ssh://git@host/codex.git");
        assert_eq!(settings.rewritten(url, true), "https://write/codex.git");
        assert_eq!(settings.rewritten("https://else/x", true), "https://else/x");
    }
}
