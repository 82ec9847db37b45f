//! The user's git configuration, read from the files and variables that git itself reads.

use std::collections::BTreeMap;
use std::path::Path;

use crate::environment::Environment;

/// The user's settings. Those in environment variables (`GIT_CONFIG_COUNT`) take precedence over those in files.
pub struct GitConfig {
    files: Option<git2::Config>,
    /// The settings in variables, by their key in lower case.
    carried: BTreeMap<String, String>,
}

impl GitConfig {
    /// Opens the system, XDG and global configuration. `GIT_CONFIG_GLOBAL`, `GIT_CONFIG_SYSTEM` and
    /// `GIT_CONFIG_NOSYSTEM` have the same effect as in git. A missing or invalid file counts as empty, because git
    /// itself will report it.
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

    /// The value of a key without a subsection; `None` if it is not set or empty.
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

/// Whether the user has configured git to sign commits. The commits of a sync are not signed, so the user is warned.
pub fn wants_signing(environment: &Environment) -> bool {
    let value = GitConfig::open(environment).text("commit.gpgsign");
    value.is_some_and(|value| git2::Config::parse_bool(value).unwrap_or(false))
}

/// Whether the user has configured the command that runs ssh.
pub fn has_ssh_command(environment: &Environment) -> bool {
    ["GIT_SSH_COMMAND", "GIT_SSH"]
        .iter()
        .any(|name| environment.get(name).is_some())
        || GitConfig::open(environment)
            .text("core.sshcommand")
            .is_some()
}
