//! What is wrong with a configuration, and where: values that the command line prints.

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
pub enum Place {
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
    pub place: Place,
    /// The directory that relative paths start from.
    pub base: PathBuf,
}

impl Source {
    /// Who decides what is given here.
    pub(crate) fn authority(&self) -> Authority {
        match (&self.layer, &self.place) {
            (LayerKind::Defaults, _) => Authority::BuiltIn,
            (LayerKind::User, _) => Authority::User,
            // The variables that a workspace's own `.env` sets are the workspace's.
            (LayerKind::Environment, Place::Variable { file: Some(_), .. }) => Authority::Workspace,
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
    pub fn whole(layer: LayerKind, place: Place, base: &Path) -> Self {
        Self {
            source: Arc::new(Source {
                layer,
                place,
                base: base.to_owned(),
            }),
            line: 0,
            column: 0,
        }
    }

    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.source.place {
            Place::File(path) => Some(path),
            _ => None,
        }
    }
}

impl fmt::Display for Place {
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
        self.source.place.fmt(f)?;
        match (self.line, self.column) {
            // The built-in file is not where a user would look.
            _ if self.source.place == Place::Default => Ok(()),
            (0, _) => Ok(()),
            (line, 0) => write!(f, ":{line}"),
            (line, column) => write!(f, ":{line}:{column}"),
        }
    }
}

/// One thing that is wrong, or, among the warnings, odd. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, as a lowercase fragment that names the key.
    pub message: String,
    /// The key's path, as `config explain` takes it.
    pub key: Option<String>,
    /// Where.
    pub origin: Option<Origin>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without place.
    /// Its text, and that of the hint, may quote a file or variable: what could drive a terminal is escaped.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: escaped(message.into().as_bytes()).to_string(),
            key: None,
            origin: None,
            hint: None,
        }
    }

    /// Adds the place.
    pub fn at(mut self, origin: &Origin) -> Self {
        self.origin = Some(origin.clone());
        self
    }

    /// Adds the key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Adds the hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(escaped(hint.into().as_bytes()).to_string());
        self
    }

    /// Adds the hint, if there is one.
    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// What is told while reading.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

/// Everything that is wrong, in the order of places, each once.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Err` if there is any problem, after sorting.
    pub fn none_of(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        problems.dedup();
        Err(Self(problems))
    }

    /// The problems as a list.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// The problems.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

/// Layer first, so that a cause stands before what it breaks; problems without place come last.
pub(super) fn sort_key(problem: &Problem) -> impl Ord + '_ {
    let place = problem
        .origin
        .as_ref()
        .map(|o| (o.source.layer, &o.source.place, o.line, o.column));
    (place.is_none(), place, problem.message.as_str())
}

impl<'p> IntoIterator for &'p Problems {
    type Item = &'p Problem;
    type IntoIter = std::slice::Iter<'p, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The candidate that `given` was most likely meant to be, if one is close.
pub(crate) fn closest<'c>(
    given: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let allowed = (given.chars().count() / 3).max(1) + 1;
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&given.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| {
            *distance <= allowed && *distance < candidate.chars().count()
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// "did you mean", for [`closest`].
pub(crate) fn did_you_mean<'c>(
    given: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    closest(given, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}
