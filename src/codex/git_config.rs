//! Git's own configuration of the user, where git would look for it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::environment::Environment;

/// The user's settings: files, and above them what the environment carries (`GIT_CONFIG_COUNT`).
pub struct GitConfig {
    files: Option<git2::Config>,
    /// By key in lower case.
    carried: BTreeMap<String, String>,
}

impl GitConfig {
    /// Opens system, XDG and global configuration, honouring `GIT_CONFIG_GLOBAL`, `GIT_CONFIG_SYSTEM` and
    /// `GIT_CONFIG_NOSYSTEM` as git does. Files that are missing or broken count as empty: git itself will complain.
    pub fn open(environment: &Environment) -> Self {
        let count = environment
            .get("GIT_CONFIG_COUNT")
            .and_then(|count| count.parse().ok())
            .unwrap_or(0u32);
        let pair = |number| {
            let part = |part| environment.get(&format!("GIT_CONFIG_{part}_{number}"));
            Some((
                part("KEY")?.to_lowercase(),
                part("VALUE").unwrap_or_default().to_owned(),
            ))
        };
        Self {
            files: files(environment),
            carried: (0..count.min(1000)).filter_map(pair).collect(),
        }
    }

    /// The value of a key without a subsection, if it is set to something.
    pub fn text(&self, key: &str) -> Option<String> {
        let carried = self.carried.get(key).cloned();
        carried
            .or_else(|| self.files.as_ref()?.get_string(key).ok())
            .filter(|value| !value.is_empty())
    }
}

fn files(environment: &Environment) -> Option<git2::Config> {
    let mut config = git2::Config::new().ok()?;
    let mut add = |path: &Path, level| config.add_file(path, level, false);
    if environment.get("GIT_CONFIG_NOSYSTEM").is_none() {
        let system = environment
            .get("GIT_CONFIG_SYSTEM")
            .map(Into::into)
            .or_else(|| git2::Config::find_system().ok());
        let _ = system.map(|path| add(&path, git2::ConfigLevel::System));
    }
    match environment.get("GIT_CONFIG_GLOBAL") {
        Some(global) => {
            let _ = add(Path::new(global), git2::ConfigLevel::Global);
        }
        None => {
            let _ = git2::Config::find_xdg().map(|path| add(&path, git2::ConfigLevel::XDG));
            let _ = git2::Config::find_global().map(|path| add(&path, git2::ConfigLevel::Global));
        }
    }
    Some(config)
}

/// The user's settings as git itself reads them, outside any repository: included files, the environment and all.
#[derive(Debug, Clone, Default)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    /// Reads the output of `git config --list -z`.
    pub fn parse(listing: &str) -> Self {
        let entries = listing.split_terminator('\0').map(|entry| {
            let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            (key.to_owned(), value.to_owned())
        });
        Self(entries.collect())
    }

    /// The value of a key without a subsection, in lower case, if it is not empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(name, _)| name == key);
        last.map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The URL that git contacts when it is given `url`: `url.*.pushInsteadOf` counts for pushes, and before
    /// `url.*.insteadOf`. `None` where nothing rewrites it.
    pub fn rewritten(&self, url: &str, for_push: bool) -> Option<String> {
        let pushed = for_push.then(|| self.replaced(url, ".pushinsteadof"));
        pushed
            .flatten()
            .or_else(|| self.replaced(url, ".insteadof"))
    }

    /// As git does: the longest prefix counts, of equals the first, and only once.
    fn replaced(&self, url: &str, variable: &str) -> Option<String> {
        let mut longest: Option<(&str, &str)> = None;
        for (key, prefix) in &self.0 {
            let base = key
                .strip_prefix("url.")
                .and_then(|key| key.strip_suffix(variable));
            if let Some(base) = base
                && url.starts_with(prefix)
                && longest.is_none_or(|(_, before)| before.len() < prefix.len())
            {
                longest = Some((base, prefix));
            }
        }
        longest.map(|(base, prefix)| format!("{base}{}", &url[prefix.len()..]))
    }

    /// The values of `http.extraHeader` that git sends to `url`, in order.
    pub fn extra_headers(&self, url: &str) -> Vec<&str> {
        let mut headers = Vec::new();
        for (key, value) in &self.0 {
            let scope = key
                .strip_prefix("http.")
                .and_then(|key| key.strip_suffix("extraheader"));
            let applies = scope.is_some_and(|scope| {
                let prefix = scope.trim_end_matches(['.', '/']);
                let rest = url.strip_prefix(prefix);
                prefix.is_empty()
                    || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            if applies && value.is_empty() {
                headers.clear();
            } else if applies {
                headers.push(value.as_str());
            }
        }
        headers
    }
}

/// Whether git itself would sign commits: then a user should know that these are not.
pub fn wants_signing(environment: &Environment) -> bool {
    let value = GitConfig::open(environment).text("commit.gpgsign");
    value.is_some_and(|value| git2::Config::parse_bool(value).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(entries: &[(&str, &str)]) -> Settings {
        let listing: String = entries
            .iter()
            .map(|(key, value)| format!("{key}\n{value}\0"))
            .collect();
        Settings::parse(&listing)
    }

    #[test]
    fn the_longest_prefix_is_rewritten_once() {
        let settings = settings(&[
            ("url.https://mirror/.insteadof", "https://h/"),
            ("url.ssh://git@h/.insteadof", "https://h/acme/"),
            ("url.https://other/.insteadof", "https://h/acme/"),
            ("url.https://h/.insteadof", "ssh://git@h/"),
            ("url.git@h:.pushinsteadof", "https://h/"),
        ]);
        let fetched = |url| settings.rewritten(url, false);
        assert_eq!(fetched("https://h/x").unwrap(), "https://mirror/x");
        assert_eq!(fetched("https://h/acme/x").unwrap(), "ssh://git@h/x");
        assert_eq!(fetched("https://g/x"), None);
        let pushed = |url| settings.rewritten(url, true);
        assert_eq!(pushed("https://h/acme/x").unwrap(), "git@h:acme/x");
        assert_eq!(pushed("ssh://git@h/x").unwrap(), "https://h/x");
    }

    #[test]
    fn extra_headers_are_those_of_the_url() {
        let settings = settings(&[
            ("http.extraheader", "X-All: 1"),
            ("http.https://h/.extraheader", "X-Host: 1"),
            ("http.https://h/acme.extraheader", "X-Path: 1"),
            ("http.https://host/.extraheader", "X-Other: 1"),
        ]);
        assert_eq!(
            settings.extra_headers("https://h/acme/x"),
            ["X-All: 1", "X-Host: 1", "X-Path: 1"]
        );
        assert_eq!(settings.extra_headers("https://h.evil/x"), ["X-All: 1"]);
    }
}
