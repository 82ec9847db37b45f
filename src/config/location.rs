//! The origin of a value: its layer, the file, variable or flag, and the line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::paths::{escaped, shown};

/// The kinds of layers, lowest precedence first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Layer")]
#[non_exhaustive]
pub enum LayerKind {
    /// The built-in defaults.
    #[serde(rename = "default")]
    Defaults,
    /// The user's own file.
    User,
    /// The workspace's file.
    Workspace,
    /// The local file beside the workspace's file, which is not shared.
    Local,
    /// The files in the projects' own directories.
    Member,
    /// The variables `FRACTARY_CODEX_*`.
    Environment,
    /// Command line options, `--config` included.
    #[serde(rename = "flag")]
    Flags,
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Defaults => "default",
            Self::User => "user",
            Self::Workspace => "workspace",
            Self::Local => "local",
            Self::Member => "member",
            Self::Environment => "environment",
            Self::Flags => "flag",
        })
    }
}

/// The file, variable or flag that gives a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Location {
    /// The built-in defaults.
    Default,
    /// Detected from the git remote of the workspace's own repository.
    Detected,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable {
        /// The variable's name.
        name: String,
        /// The `.env` file that sets the variable; `None` for a variable of the process.
        file: Option<PathBuf>,
    },
    /// An option of the command line, in the form of the command line: `--config sync.prune`.
    Flag(String),
}

/// One source of values.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// The layer that the values belong to.
    pub layer: LayerKind,
    /// The file, variable or flag.
    pub location: Location,
    /// The directory from which relative paths in these values start.
    pub base: PathBuf,
}

impl Source {
    /// Returns who is responsible for these values.
    pub(crate) fn authority(&self) -> Authority {
        match (&self.layer, &self.location) {
            (LayerKind::Defaults, _) => Authority::BuiltIn,
            (LayerKind::User, _) => Authority::User,
            // Variables that the workspace's own `.env` file sets are a decision of the workspace.
            (LayerKind::Environment, Location::Variable { file: Some(_), .. }) => {
                Authority::Workspace
            }
            (LayerKind::Environment | LayerKind::Flags, _) => Authority::Run,
            (LayerKind::Workspace | LayerKind::Local | LayerKind::Member, _) => {
                Authority::Workspace
            }
        }
    }
}

/// The party that is responsible for a value. The table in SECURITY.md lists what each may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    /// The program itself, by its defaults.
    BuiltIn,
    /// The user, by their own configuration file.
    User,
    /// The authors of the workspace, by its files. A checkout can contain them.
    Workspace,
    /// The person or pipeline that starts the run, by flags and variables.
    Run,
}

impl Authority {
    /// Whether the user or the run is responsible, rather than a checkout.
    pub(crate) fn is_user_or_run(self) -> bool {
        matches!(self, Self::User | Self::Run)
    }
}

/// The exact position of a key or a value in its source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The file, variable or flag.
    pub source: Arc<Source>,
    /// The line number, from 1; 0 if it is unknown, or if the source has no lines.
    pub line: u32,
    /// The column in characters, from 1; 0 as for `line`.
    pub column: u32,
}

impl Origin {
    /// A source as a whole. Relative paths in it start from `base`.
    pub fn whole(layer: LayerKind, location: Location, base: &Path) -> Self {
        Self {
            source: Arc::new(Source {
                layer,
                location,
                base: base.to_owned(),
            }),
            line: 0,
            column: 0,
        }
    }

    /// The same source, without line and column.
    pub(crate) fn without_position(&self) -> Self {
        Self {
            source: self.source.clone(),
            line: 0,
            column: 0,
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.source.location {
            Location::File(path) => Some(path),
            _ => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the built-in defaults"),
            Self::Detected => f.write_str("the git remote of the workspace"),
            Self::File(path) => shown(path).fmt(f),
            Self::Variable { name, file: None } => {
                write!(f, "environment variable `{}`", escaped(name.as_bytes()))
            }
            Self::Variable {
                name,
                file: Some(file),
            } => {
                let file = shown(file);
                write!(
                    f,
                    "environment variable `{}` from {file}",
                    escaped(name.as_bytes())
                )
            }
            Self::Flag(flag) => write!(f, "`{}`", escaped(flag.as_bytes())),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.location.fmt(f)?;
        match (self.line, self.column) {
            // A line of the built-in file is of no use to a user.
            _ if self.source.location == Location::Default => Ok(()),
            (0, _) => Ok(()),
            (line, 0) => write!(f, ":{line}"),
            (line, column) => write!(f, ":{line}:{column}"),
        }
    }
}
