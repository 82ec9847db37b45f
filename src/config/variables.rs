//! The environment variables of a load: those of the process, and those of the workspace's `.env`
//! file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::diagnostics::Diagnostics;
use super::dotenv;
use super::location::{LayerKind, Location, Origin};
use super::problem::{self, Problem};
use super::schema;
use crate::environment::{Environment, JOB_TOKENS};
use crate::paths::FRACTARY_DIR;

/// The prefix of this program's variables.
pub(crate) const PREFIX: &str = "FRACTARY_CODEX_";

/// The variable with the path of the workspace's file.
pub(super) const CONFIG: &str = "FRACTARY_CODEX_CONFIG";

/// The variable with the name of the environment, as `--env`.
pub(super) const ENV: &str = "FRACTARY_CODEX_ENV";

/// The variable with the log filter.
pub(super) const LOG: &str = "FRACTARY_CODEX_LOG";

/// The variable with the directories whose files are read regardless of their owner.
pub(super) const SAFE_DIRECTORY: &str = "FRACTARY_CODEX_SAFE_DIRECTORY";

/// This program's variables that do not set a key.
const NOT_KEYS: [&str; 4] = [CONFIG, ENV, LOG, SAFE_DIRECTORY];

/// Variables that are only read from the environment of the process. The workspace's file must
/// neither choose the workspace nor declare itself safe.
const PROCESS_ONLY: [&str; 3] = [CONFIG, LOG, SAFE_DIRECTORY];

/// Other variables of the process that a run reads.
const OTHERS: [&str; 6] = [
    "GITHUB_SERVER_URL",
    "SOURCE_DATE_EPOCH",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
];

/// The variables of a load, and which of them come from the workspace's `.env` file.
pub(crate) struct Variables {
    all: Environment,
    file: PathBuf,
    from_file: BTreeSet<String>,
}

impl Variables {
    /// The variables of the process, for the workspace at `root`.
    pub(crate) fn of_process(environment: &Environment, root: &Path) -> Self {
        Self {
            all: environment.clone(),
            file: Self::file(root),
            from_file: BTreeSet::new(),
        }
    }

    /// The `.env` file of the workspace at `root`.
    pub(crate) fn file(root: &Path) -> PathBuf {
        root.join(FRACTARY_DIR).join("env/.env")
    }

    /// Adds the variables of the workspace's `.env` file, if it exists. The process's own variables
    /// take precedence.
    pub(crate) fn read_file(&mut self, diagnostics: &mut Diagnostics) {
        let whole = Origin::whole(
            LayerKind::Environment,
            Location::File(self.file.clone()),
            &self.file,
        );
        let is_set = |all: &Environment, name: &str| {
            all.iter().any(|(known, _)| known == name) || all.is_unreadable(name)
        };

        // If the file sets a variable twice, the last value counts, as in node's dotenv.
        let mut values = BTreeMap::new();
        for (name, value) in dotenv::read(&self.file, &whole, &mut diagnostics.problems) {
            if PROCESS_ONLY.contains(&name.as_str()) {
                let message =
                    format!("`{name}` has no effect here: it is read before this file is found");
                diagnostics.warnings.push(
                    Problem::new(message)
                        .at(&whole)
                        .hint("set it in the environment of the process"),
                );
            } else if !is_set(&self.all, &name) {
                values.insert(name, value);
            }
        }
        for (name, value) in values {
            self.from_file.insert(name.clone());
            self.all.set_default(name, value);
        }
    }

    /// All variables.
    pub(crate) fn all(&self) -> &Environment {
        &self.all
    }

    /// The variables that set a key, with the rest of their names: first those of the `.env` file,
    /// then those of the process, which take precedence also if the file sets a part of the same
    /// map.
    ///
    /// Empty variables are left out, because CI systems pass missing secrets as empty variables.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let (of_file, of_process): (Vec<_>, Vec<_>) = self
            .all
            .iter()
            .partition(|(name, _)| self.from_file.contains(*name));

        of_file
            .into_iter()
            .chain(of_process)
            .filter(|(name, value)| !NOT_KEYS.contains(name) && !value.is_empty())
            .filter_map(|(name, value)| Some((name, name.strip_prefix(PREFIX)?, value)))
    }

    /// The variables that the run itself can read. Of the `.env` file, these are only this program's
    /// own variables and the tokens of the job, because the file must change neither git's behaviour
    /// nor the host of a token. Its other variables are only for `${VAR}`.
    pub(crate) fn of_run(&self) -> Environment {
        let reaches_run = |name: &str| {
            !self.from_file.contains(name) || name.starts_with(PREFIX) || JOB_TOKENS.contains(&name)
        };
        self.all
            .iter()
            .filter(|(name, _)| reaches_run(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// The location of the variable `name`.
    pub(super) fn location(&self, name: &str) -> Location {
        Location::Variable {
            name: name.to_owned(),
            file: self.from_file.contains(name).then(|| self.file.clone()),
        }
    }
}

/// Reports variables that a run would read and that are not UTF-8 text, so that none of them counts
/// as not set.
pub(super) fn check_encoding(environment: &Environment, cwd: &Path, problems: &mut Vec<Problem>) {
    let is_read = |name: &str| {
        name.starts_with(PREFIX) || JOB_TOKENS.contains(&name) || OTHERS.contains(&name)
    };

    for name in environment.unreadable().filter(|name| is_read(name)) {
        let location = Location::Variable {
            name: name.to_owned(),
            file: None,
        };
        let at = Origin::whole(LayerKind::Environment, location, cwd);
        problems.push(Problem::new("the variable is not UTF-8 text").at(&at));
    }
}

/// The name of the variable that sets the key at `path`.
pub(crate) fn variable<S: AsRef<str>>(path: &[S]) -> String {
    let segments: Vec<String> = path
        .iter()
        .map(|segment| segment.as_ref().to_uppercase())
        .collect();
    format!("{PREFIX}{}", segments.join("__"))
}

/// A hint with the known variables that `name` can be meant for: those of keys with the same name at
/// another depth, or else the closest one. The common prefix is left out of the comparison: it would
/// make all names look alike.
pub(crate) fn did_you_mean(name: &str) -> Option<String> {
    let rest = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let last = |name: &str| name.rsplit("__").next().unwrap_or(name).to_owned();
    let known: Vec<String> = schema::keys()
        .iter()
        .map(|key| variable(key))
        .filter(|known| known != name)
        .map(|known| rest(&known))
        .collect();

    let own = last(&rest(name));
    let mut meant: Vec<&str> = known.iter().map(String::as_str).collect();
    meant.retain(|known| last(known) == own);
    if meant.is_empty() {
        meant.push(problem::closest(
            &rest(name),
            known.iter().map(String::as_str),
        )?);
    }
    let meant: Vec<_> = meant
        .iter()
        .map(|known| format!("`{PREFIX}{known}`"))
        .collect();
    Some(format!("did you mean {}?", meant.join(" or ")))
}
