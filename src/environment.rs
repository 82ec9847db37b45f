//! Environment variables as a value. The library never reads those of the process: the command line, or a test, passes
//! them in.

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
/// Variables that are not UTF-8 are left out, as no configuration key can hold them.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The value of `name`. An empty value counts as not set, because CI systems pass missing secrets as empty
    /// variables.
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

    /// The time to write into commits and reports: `SOURCE_DATE_EPOCH` if it is set, otherwise `now`. Both are in
    /// seconds since the epoch.
    pub fn time(&self, now: i64) -> i64 {
        self.get("SOURCE_DATE_EPOCH")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(now)
    }

    /// Adds a variable unless it is already set.
    pub fn set_default(&mut self, name: String, value: String) {
        self.0.entry(name).or_insert(value);
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}
