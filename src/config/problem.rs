//! Errors and warnings about a configuration, with their location, as values that the command line
//! prints.

use std::fmt;

use super::location::Origin;
use super::token_shape::can_contain_token;
use crate::masked_urls::mask_urls;
use crate::paths::escaped;

/// An error or a warning. It never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The message: a lowercase fragment that names the key.
    pub message: String,
    /// The path of the key, in the form that `config explain` accepts.
    pub key: Option<String>,
    /// The location.
    pub origin: Option<Origin>,
    /// A way to fix the problem.
    pub hint: Option<String>,
    /// Whether the line at the location contains a secret, so that it must not be shown.
    pub(crate) hides_line: bool,
    /// The number of further errors that this one stands for, because they are not listed.
    pub(crate) omitted: usize,
}

impl Problem {
    /// A problem without a location. The message and the hint can quote a file or a variable, so
    /// control characters in them are escaped, and what looks like a secret is masked.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: shown(&message.into()),
            key: None,
            origin: None,
            hint: None,
            hides_line: false,
            omitted: 0,
        }
    }

    /// Adds the location.
    pub fn at(mut self, origin: &Origin) -> Self {
        self.origin = Some(origin.clone());
        self
    }

    /// Adds the location, if it is known.
    pub fn maybe_at(self, origin: Option<&Origin>) -> Self {
        match origin {
            Some(origin) => self.at(origin),
            None => self,
        }
    }

    /// Adds the key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(mask_urls(&key.into()).into_owned());
        self
    }

    /// Adds the hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(shown(&hint.into()));
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

/// A text that can quote others: without secrets, and with control characters escaped.
fn shown(text: &str) -> String {
    let text = mask_urls(text);
    let text = match can_contain_token(&text) {
        true => without_quoted_secrets(&text),
        false => text.into_owned(),
    };
    escaped(text.as_bytes()).to_string()
}

/// `text` with `***` for the parts in backticks that have the format of a secret.
fn without_quoted_secrets(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let masked = parts.map(|(number, part)| match number % 2 == 1 {
        true if can_contain_token(part) => "***",
        _ => part,
    });
    masked.collect::<Vec<_>>().join("`")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// The errors of a load, in the order of their locations, without duplicates.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Returns `Err` with the sorted problems unless there are none.
    pub fn none_of(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        problems.dedup();
        Err(Self(problems))
    }

    /// The number of problems, also of those that are not listed.
    pub(crate) fn total(&self) -> usize {
        let counts = self.0.iter().map(|problem| problem.omitted.max(1));
        counts.sum()
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

/// Sorts by layer first, so that a cause is before its effects. Problems without a location are
/// last.
pub(super) fn sort_key(problem: &Problem) -> impl Ord + '_ {
    let location = problem
        .origin
        .as_ref()
        .map(|o| (o.source.layer, &o.source.location, o.line, o.column));
    (location.is_none(), location, problem.message.as_str())
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

/// The candidate that is closest to `given`, if one is similar enough to be meant.
pub(crate) fn closest<'c>(
    given: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let given = given.to_lowercase();
    let length = given.chars().count();
    let allowed = (length / 3).max(1) + 1;
    candidates
        .into_iter()
        // The distance is at least the difference in length, which is faster to compute.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= allowed)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&given, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| {
            *distance <= allowed && *distance < candidate.chars().count()
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// A hint that names the [`closest`] candidate.
pub(crate) fn did_you_mean<'c>(
    given: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    closest(given, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}
