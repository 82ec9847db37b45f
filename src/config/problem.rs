//! What is wrong with a configuration, and where: values that the command line prints.

use std::fmt;

use super::location::Origin;
use crate::paths::escaped;

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
pub(crate) struct Diagnostics {
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
        .map(|o| (o.source.layer, &o.source.location, o.line, o.column));
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
