//! Git's own configuration of the user, where git would look for it.

use std::path::Path;

use crate::environment::Environment;

/// Opens system, XDG and global configuration, honouring `GIT_CONFIG_GLOBAL`, `GIT_CONFIG_SYSTEM` and
/// `GIT_CONFIG_NOSYSTEM` as git does. Files that are missing or broken count as empty: git itself will complain.
pub fn open(environment: &Environment) -> Option<git2::Config> {
    let mut config = git2::Config::new().ok()?;
    let mut add = |path: &Path, level| config.add_file(path, level, false);
    if environment.get("GIT_CONFIG_NOSYSTEM").is_none() {
        let system = environment.get("GIT_CONFIG_SYSTEM").map(Into::into).or_else(|| git2::Config::find_system().ok());
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
    open(environment).is_some_and(|config| config.get_bool("commit.gpgsign").unwrap_or(false))
}

/// Whether the user chose how ssh is run.
pub fn has_ssh_command(environment: &Environment) -> bool {
    ["GIT_SSH_COMMAND", "GIT_SSH"].iter().any(|name| environment.get(name).is_some())
        || open(environment).is_some_and(|config| config.get_string("core.sshcommand").is_ok())
}
