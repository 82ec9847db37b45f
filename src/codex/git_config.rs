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

/// Every setting of the user in the order in which git reads them, keys as git prints them: section and name in lower
/// case, the subsection as it is written. Values of `GIT_CONFIG_COUNT` come last.
pub fn entries(environment: &Environment) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let all = files(environment);
    if let Some(entries) = all.as_ref().and_then(|config| config.entries(None).ok()) {
        // A file that is broken in the middle ends the list; git itself will complain.
        let _ = entries.for_each(|entry| {
            // A key without `=` is a boolean that is true.
            let value = if entry.has_value() {
                entry.value().unwrap_or_default()
            } else {
                "true"
            };
            let name = entry.name().ok();
            found.extend(name.map(|name| (name.to_owned(), value.to_owned())));
        });
    }
    found.extend(carried(environment));
    found
}

/// The settings in `GIT_CONFIG_KEY_…` and `GIT_CONFIG_VALUE_…`.
fn carried(environment: &Environment) -> Vec<(String, String)> {
    let count = environment
        .get("GIT_CONFIG_COUNT")
        .and_then(|count| count.parse().ok())
        .unwrap_or(0u32);
    let pair = |number| {
        let part = |part| environment.get(&format!("GIT_CONFIG_{part}_{number}"));
        let value = part("VALUE").unwrap_or_default().to_owned();
        Some((canonical(part("KEY")?), value))
    };
    (0..count.min(1000)).filter_map(pair).collect()
}

/// A key as git prints it: everything but the subsection in lower case.
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

/// Whether git itself would sign commits: then a user should know that these are not.
pub fn wants_signing(environment: &Environment) -> bool {
    let value = GitConfig::open(environment).text("commit.gpgsign");
    value.is_some_and(|value| git2::Config::parse_bool(value).unwrap_or(false))
}

/// Whether the user chose how ssh is run.
pub fn has_ssh_command(environment: &Environment) -> bool {
    ["GIT_SSH_COMMAND", "GIT_SSH"]
        .iter()
        .any(|name| environment.get(name).is_some())
        || GitConfig::open(environment)
            .text("core.sshcommand")
            .is_some()
}
