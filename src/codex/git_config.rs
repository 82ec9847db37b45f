//! The user's git configuration, read from the files and variables that git itself reads.

use std::fs::File;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::paths::below_home;

/// The key as git prints it: in lower case, except for the subsection.
fn canonical(key: &str) -> String {
    match (key.find('.'), key.rfind('.')) {
        (Some(first), Some(last)) if first < last => {
            let (section, rest) = key.split_at(first);
            let (subsection, name) = rest.split_at(last - first);
            section.to_lowercase() + subsection + &name.to_lowercase()
        }
        _ => key.to_lowercase(),
    }
}

fn files(environment: &Environment) -> Option<git2::Config> {
    let mut config = git2::Config::new().ok()?;
    let [system, xdg, global] = scope_files(environment);
    let levels = [
        (system, git2::ConfigLevel::System),
        (xdg, git2::ConfigLevel::XDG),
        (global, git2::ConfigLevel::Global),
    ];
    for (path, level) in levels {
        let _ = path.map(|path| config.add_file(&path, level, false));
    }
    Some(config)
}

/// The user's configuration files, lowest scope first.
fn scopes(environment: &Environment) -> Vec<PathBuf> {
    scope_files(environment).into_iter().flatten().collect()
}

/// The system, the XDG and the global configuration file, as far as git uses them.
fn scope_files(environment: &Environment) -> [Option<PathBuf>; 3] {
    let named = |name: &str| environment.get(name).map(PathBuf::from);
    let system = match environment.get("GIT_CONFIG_NOSYSTEM") {
        Some(_) => None,
        None => named("GIT_CONFIG_SYSTEM").or_else(|| git2::Config::find_system().ok()),
    };
    match named("GIT_CONFIG_GLOBAL") {
        Some(global) => [system, None, Some(global)],
        None => [
            system,
            git2::Config::find_xdg().ok(),
            git2::Config::find_global().ok(),
        ],
    }
}

/// Checks the user's configuration files. The error names the first invalid file and line. A file
/// without read permission is skipped, because git ignores it as well.
pub(crate) fn check_files(environment: &Environment) -> Result<(), String> {
    for file in scopes(environment) {
        if File::open(&file).is_ok() {
            git2::Config::open(&file).map_err(|error| error.message().to_owned())?;
        }
    }
    Ok(())
}

/// The entries of `safe.directory` in git's order, with `~` expanded. An empty entry resets the
/// list, so only those after the last empty one are returned. Only the user's own configuration
/// counts, never that of a repository.
pub(crate) fn safe_directories(environment: &Environment) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for file in scopes(environment) {
        let mut read = || {
            let config = git2::Config::open(&file).ok()?;
            let mut found = config.multivar("safe.directory", None).ok()?;
            while let Some(entry) = found.next() {
                entries.push(entry.ok()?.value().unwrap_or_default().to_owned());
            }
            Some(())
        };
        read();
    }
    entries.extend(values_in_variables(environment, "safe.directory"));

    let reset = entries.iter().rposition(String::is_empty);
    let entries = entries.split_off(reset.map_or(0, |reset| reset + 1));
    let home = environment.get("HOME");
    let entries = entries.iter();
    entries.map(|entry| below_home(entry, home)).collect()
}

/// The values of `key` in environment variables.
fn values_in_variables(environment: &Environment, key: &str) -> Vec<String> {
    let all = settings_in_variables(environment).into_iter();
    all.filter(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, value)| value)
        .collect()
}

/// The settings in environment variables: those of `GIT_CONFIG_COUNT`, then
/// `GIT_CONFIG_PARAMETERS`, which `git -c` sets.
fn settings_in_variables(environment: &Environment) -> Vec<(String, String)> {
    let parameters = environment.get("GIT_CONFIG_PARAMETERS").unwrap_or_default();
    let of_parameters = split_parameters(parameters).into_iter().map(|entry| {
        let (name, value) = entry.split_once('=').unwrap_or((&entry, ""));
        (name.to_owned(), value.to_owned())
    });
    let count = environment
        .get("GIT_CONFIG_COUNT")
        .and_then(|count| count.parse().ok())
        .unwrap_or(0u32);
    let of_count = (0..count.min(1000)).filter_map(|number| {
        let name = environment.get(&format!("GIT_CONFIG_KEY_{number}"))?;
        let value = environment.get(&format!("GIT_CONFIG_VALUE_{number}"));
        Some((name.to_owned(), value.unwrap_or_default().to_owned()))
    });
    of_count.chain(of_parameters).collect()
}

/// Splits `GIT_CONFIG_PARAMETERS` into its words. They are in single quotes and separated by
/// spaces; `'key'='value'` is one word.
fn split_parameters(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\'' => quoted = !quoted,
            '\\' if !quoted => words
                .last_mut()
                .into_iter()
                .for_each(|word| word.extend(characters.next())),
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The user's settings as git reads them outside a repository, with those of included files and
/// environment variables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(Vec<(String, String)>);

impl Settings {
    /// Reads the system, XDG and global configuration and the environment without git.
    /// `GIT_CONFIG_GLOBAL`, `GIT_CONFIG_SYSTEM` and `GIT_CONFIG_NOSYSTEM` have the same effect as
    /// in git. A missing or invalid file counts as empty.
    pub(crate) fn read(environment: &Environment) -> Self {
        let mut found = Vec::new();
        let all = files(environment);
        if let Some(entries) = all.as_ref().and_then(|config| config.entries(None).ok()) {
            // An invalid line ends the list.
            let _ = entries.for_each(|entry| {
                // A key without `=` is a boolean with the value true.
                let value = if entry.has_value() {
                    entry.value().unwrap_or_default()
                } else {
                    "true"
                };
                let name = entry.name().ok();
                found.extend(name.map(|name| (name.to_owned(), value.to_owned())));
            });
        }
        let in_variables = settings_in_variables(environment).into_iter();
        found.extend(in_variables.map(|(key, value)| (canonical(&key), value)));
        Self(found)
    }

    /// All settings in git's order, with keys as git prints them.
    pub(crate) fn entries(&self) -> &[(String, String)] {
        &self.0
    }

    /// Reads the output of `git config --list -z`.
    pub(crate) fn parse(listing: &str) -> Self {
        let entries = listing.split_terminator('\0').map(|entry| {
            let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            (key.to_owned(), value.to_owned())
        });
        Self(entries.collect())
    }

    /// The value of a key, which must be in lower case and have no subsection; `None` if it is not
    /// set or empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(name, _)| name == key);
        last.map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Of several keys with the same meaning, the one that was set last, with its value.
    pub(crate) fn last_of<'k>(&self, keys: &[&'k str]) -> Option<(&'k str, &str)> {
        self.0.iter().rev().find_map(|(name, value)| {
            let key = keys.iter().find(|key| *key == name)?;
            (!value.is_empty()).then_some((*key, value.as_str()))
        })
    }

    /// The URL that git uses instead of `url`, because of `url.*.insteadOf` or, for pushes, of
    /// `url.*.pushInsteadOf`, which takes precedence. `None` if no setting rewrites it.
    pub(crate) fn rewritten(&self, url: &str, for_push: bool) -> Option<String> {
        let pushed = for_push.then(|| self.replaced(url, ".pushinsteadof"));
        pushed
            .flatten()
            .or_else(|| self.replaced(url, ".insteadof"))
    }

    /// Applies the setting with the longest prefix, once. Of equal prefixes, the first one counts.
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
    fn url_is_rewritten_once_by_the_longest_prefix() {
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
    fn safe_directories_are_read_in_the_order_of_git() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "[safe]\n directory = /a\n directory =\n directory = ~/b\n directory = /c/*\n";
        std::fs::write(file.path(), text).unwrap();
        let read = |more: &[(&str, &str)]| {
            let global = file.path().to_str().unwrap();
            let base = [
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_CONFIG_GLOBAL", global),
                ("HOME", "/h"),
            ];
            let all = base.iter().chain(more);
            let pairs = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            safe_directories(&pairs.collect::<Environment>())
        };

        assert_eq!(read(&[]), ["/h/b", "/c/*"]);
        let count = [
            ("GIT_CONFIG_COUNT", "2"),
            ("GIT_CONFIG_KEY_0", "Safe.Directory"),
            ("GIT_CONFIG_VALUE_0", "/d"),
            ("GIT_CONFIG_KEY_1", "safe.bareRepository"),
            ("GIT_CONFIG_VALUE_1", "all"),
        ];
        assert_eq!(read(&count), ["/h/b", "/c/*", "/d"]);
        let parameters = "'safe.directory'='' 'safe.directory=/e f'";
        assert_eq!(read(&[("GIT_CONFIG_PARAMETERS", parameters)]), ["/e f"]);
    }
}
