//! The input of a load: the current directory, the process's variables, and the options of the
//! command line.

use std::path::{Path, PathBuf};

use crate::environment::Environment;

/// The input of [`load`](super::load).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LoadRequest {
    /// The current directory, absolute.
    pub cwd: PathBuf,
    /// The process's variables.
    pub environment: Environment,
    /// The file of `--config-file`, which is used instead of searching for the workspace's file.
    pub config_file: Option<PathBuf>,
    /// The text of that file, instead of the one on disk.
    pub(crate) config_text: Option<String>,
    /// The directory that holds the user's `fractary/config.*`.
    pub user_config_dir: Option<PathBuf>,
    /// The user's state directory.
    pub state_home: Option<PathBuf>,
    /// The directory of persistent clones.
    pub clone_home: Option<PathBuf>,
    /// The environment's name from `--env`.
    pub env_name: Option<String>,
    /// Reads `safe.directory` from git's own configuration.
    pub safe_directories: Option<fn(&Environment) -> Vec<String>>,
    /// Detects the organization if none is configured.
    pub detect_organization: Option<DetectOrganization>,
    /// Options that set a key.
    pub flags: Vec<FlagValue>,
    /// The arguments of `--config`, each `KEY=VALUE`.
    pub config_arguments: Vec<String>,
}

impl LoadRequest {
    /// A load of the workspace around `cwd`, an absolute path, with `environment` as the variables
    /// of the process. User configuration is not read, and nothing is detected, unless the other
    /// fields are set.
    pub fn new(cwd: PathBuf, environment: Environment) -> Self {
        Self {
            cwd,
            environment,
            ..Self::default()
        }
    }
}

/// Finds the organization in the git remote of the workspace at a path. Returns an error if the
/// path has a repository that cannot be read.
pub type DetectOrganization = fn(&Path) -> Result<Option<String>, String>;

/// An option that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagValue {
    /// The option as it is written: `--direction`.
    pub(super) flag: String,
    /// The dotted key: `sync.direction`.
    pub(super) key: String,
    pub(super) value: FlagText,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FlagText {
    One(String),
    Many(Vec<String>),
}

impl FlagValue {
    /// An option with a single value, which is parsed by the type of its key.
    pub fn text(flag: &str, key: &str, value: String) -> Self {
        Self {
            flag: flag.to_owned(),
            key: key.to_owned(),
            value: FlagText::One(value),
        }
    }

    /// An option with a list of strings.
    pub fn list(flag: &str, key: &str, value: Vec<String>) -> Self {
        Self {
            flag: flag.to_owned(),
            key: key.to_owned(),
            value: FlagText::Many(value),
        }
    }
}
