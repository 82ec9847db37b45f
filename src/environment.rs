//! Environment variables as a value. The library never reads the variables of the process: the
//! command line, or a test, passes them in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

/// The variables with the token of a job on GitHub, in the order of precedence. They reach the run
/// also from the `.env` file of a workspace.
pub(crate) const JOB_TOKENS: [&str; 2] = ["GITHUB_TOKEN", "GH_TOKEN"];

/// The variable that sets the time of commits and reports, for reproducible results.
pub const SOURCE_DATE: &str = "SOURCE_DATE_EPOCH";

/// An invalid value of `SOURCE_DATE_EPOCH`. The message does not name the variable, because it
/// follows a location that does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a number of seconds from 0 (1970) to 253402300799 (the end of 9999)")]
pub struct InvalidSourceDate(String);

/// Variables by name.
///
/// ```
/// use fractary_codex::environment::Environment;
///
/// let environment = Environment::from_iter([("CI".to_owned(), "true".to_owned()), ("TOKEN".to_owned(), String::new())]);
/// assert_eq!((environment.get("CI"), environment.get("TOKEN")), (Some("true"), None));
/// ```
///
/// Values that are not UTF-8 are not kept, because no configuration key can hold them; the names of
/// such variables are.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    unreadable: BTreeSet<String>,
}

impl Environment {
    /// The value of `name`. An empty value counts as not set, because CI systems pass missing
    /// secrets as empty variables.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// All variables, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names of the variables whose name or value is not UTF-8 text, in order.
    pub fn unreadable(&self) -> impl Iterator<Item = &str> {
        self.unreadable.iter().map(String::as_str)
    }

    /// Adds a variable that is not UTF-8 text.
    #[cfg(test)]
    pub(crate) fn with_unreadable(mut self, name: &str) -> Self {
        self.unreadable.insert(name.to_owned());
        self
    }

    /// Whether the value of the variable is not UTF-8 text.
    pub fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }

    /// The time to write into commits and reports: `SOURCE_DATE_EPOCH` if it is set, otherwise
    /// `now`. Both are in seconds since the epoch.
    ///
    /// Invalid values were rejected when the configuration was loaded.
    pub fn time(&self, now: i64) -> i64 {
        self.source_date().ok().flatten().unwrap_or(now)
    }

    /// `SOURCE_DATE_EPOCH`, if it is set; an error unless it is a number of seconds that a commit
    /// can hold and every calendar can show: up to the end of the year 9999.
    pub fn source_date(&self) -> Result<Option<i64>, InvalidSourceDate> {
        const LAST: i64 = 253_402_300_799;
        let Some(text) = self.get(SOURCE_DATE) else {
            return Ok(None);
        };
        match text.trim().parse() {
            Ok(seconds @ 0..=LAST) => Ok(Some(seconds)),
            _ => Err(InvalidSourceDate(text.to_owned())),
        }
    }

    /// Adds a variable unless it is already set.
    pub fn set_default(&mut self, name: String, value: String) {
        self.values.entry(name).or_insert(value);
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self {
            values: variables.into_iter().collect(),
            unreadable: BTreeSet::new(),
        }
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        let mut environment = Self::default();

        for (name, value) in variables {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => {
                    environment.values.insert(name, value);
                }
                (Ok(name), Err(_)) => {
                    environment.unreadable.insert(name);
                }
                (Err(name), _) => {
                    environment
                        .unreadable
                        .insert(name.to_string_lossy().into_owned());
                }
            }
        }
        environment
    }
}
