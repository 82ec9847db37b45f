//! Environment variables as a value. The library never reads the process's own: the command line hands them in, and
//! tests hand in theirs.

use std::collections::BTreeMap;

/// The variable that sets the time of what is made, for reproducible results.
pub const SOURCE_DATE: &str = "SOURCE_DATE_EPOCH";

/// A `SOURCE_DATE_EPOCH` that is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{SOURCE_DATE}`: `{0}` is not a number of seconds from 0 (1970) to 253402300799 (the end of 9999)"
)]
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
/// Values that are not UTF-8 are not kept: no key of ours can hold them.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The value of `name`; an empty one counts as not set, as CI systems pass unset secrets on as empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// All variables, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The time that is written into what a run makes: `SOURCE_DATE_EPOCH` where it is set, else `now`. Seconds since the
    /// epoch. A value that is none was refused when the configuration was loaded.
    pub fn time(&self, now: i64) -> i64 {
        self.source_date().ok().flatten().unwrap_or(now)
    }

    /// `SOURCE_DATE_EPOCH`, if it is set; an error unless it is a number of seconds that a commit can hold and every
    /// calendar can show: up to the end of the year 9999.
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

    /// Adds a variable unless it is there already.
    pub fn set_default(&mut self, name: String, value: String) {
        self.0.entry(name).or_insert(value);
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}
