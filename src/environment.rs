//! Environment variables as a value. The library never reads the process's own: the command line hands them in, and
//! tests hand in theirs.

use std::collections::BTreeMap;

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
    /// epoch.
    pub fn time(&self, now: i64) -> i64 {
        self.get("SOURCE_DATE_EPOCH")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(now)
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
