//! Where a value was given: its layer, the file, variable or flag, and the line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::paths::{escaped, shown};

/// The layers, lowest first: the order is the precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerKind {
    /// Built in.
    Defaults,
    /// The user's own file.
    User,
    /// The workspace's file.
    Workspace,
    /// The file beside it that is not shared.
    Local,
    /// The files of the projects' own directories.
    Member,
    /// `FRACTARY_CODEX_*`.
    Environment,
    /// Options and `--config`.
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

/// What a value was read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// The built-in defaults.
    Default,
    /// The git remote of the workspace.
    Detected,
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
        /// The `.env` file that sets it, unless it is the process's own.
        file: Option<PathBuf>,
    },
    /// An option, as it is written on the command line.
    Flag(String),
}

/// One source of values: where it is, which layer it belongs to, what its relative paths are relative to.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The layer.
    pub layer: LayerKind,
    /// The place.
    pub location: Location,
    /// The directory that relative paths start from.
    pub base: PathBuf,
}

impl Source {
    /// Who decides what is given here.
    pub(crate) fn authority(&self) -> Authority {
        match (&self.layer, &self.location) {
            (LayerKind::Defaults, _) => Authority::BuiltIn,
            (LayerKind::User, _) => Authority::User,
            // The variables that a workspace's own `.env` sets are the workspace's.
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

/// Who decides a value. The table in SECURITY.md says what each may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    /// The program.
    BuiltIn,
    /// The user, in a file of their own.
    User,
    /// The files of the workspace, which a checkout may bring along.
    Workspace,
    /// The person or pipeline that starts the run, by flags and variables.
    Run,
}

impl Authority {
    /// Whether the user or the run decides, rather than what a checkout brings along.
    pub(crate) fn is_users(self) -> bool {
        matches!(self, Self::User | Self::Run)
    }
}

/// Where exactly a key or value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file, variable or flag.
    pub source: Arc<Source>,
    /// Line, from 1; 0 where it is not known or makes no sense.
    pub line: u32,
    /// Column, from 1, in characters; 0 as for `line`.
    pub column: u32,
}

impl Origin {
    /// A source as a whole; relative paths in it start from `base`.
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

    /// The file, where it is one.
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
            // The built-in file is not where a user would look.
            _ if self.source.location == Location::Default => Ok(()),
            (0, _) => Ok(()),
            (line, 0) => write!(f, ":{line}"),
            (line, column) => write!(f, ":{line}:{column}"),
        }
    }
}
