//! Globs: the one interpretation of every pattern in configuration, on the command line and in the
//! codex.
//!
//! A pattern is parsed into alternatives (one per combination of its braces), each a list of
//! segments. A path is matched segment by segment, and inside a segment character by character, so
//! that no wildcard and no class can match `/`. Whether a file matches, whether anything below a
//! directory can match, and whether everything below it matches, are three questions to the same
//! segments: a walk that prunes directories cannot disagree with the match of a file.
//!
//! `*`, `?`, `[a-z]`, `[!a]` and `{a,b}` work, and `**` as a whole segment. A pattern without `/`
//! matches at the root only. Dot files match like any other. An invalid UTF-8 byte counts as one
//! character. Constructs of other dialects are rejected by name, because a pattern that silently
//! matches nothing publishes or deletes the wrong files.

mod error;
mod parse;
mod segments;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

pub use error::InvalidGlob;
pub(crate) use parse::without_dot;
use segments::OTHER;
pub(crate) use segments::{Alternative, Segment};

/// Characters that make a pattern more than a path.
const METACHARACTERS: [char; 6] = ['*', '?', '[', '{', '\\', ']'];

/// Whether a text has wildcards, rather than being a plain path.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(METACHARACTERS)
}

/// The pattern that matches `text` alone.
pub(crate) fn escape(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '/' | '.' | '-' | '_') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    pattern: String,
    alternatives: Vec<Alternative>,
}

impl Glob {
    /// Compiles a pattern that matches only the paths that it describes, and nothing below them.
    pub(crate) fn new(pattern: &str) -> Result<Self, InvalidGlob> {
        Ok(Self {
            alternatives: parse::alternatives(pattern)?,
            pattern: pattern.to_owned(),
        })
    }

    /// Compiles a pattern that selects files: one whose last segment is literal also selects
    /// everything below a directory of that name.
    pub(crate) fn selecting(pattern: &str) -> Result<Self, InvalidGlob> {
        let mut glob = Self::new(pattern)?;
        for alternative in &mut glob.alternatives {
            alternative.subtree |= matches!(alternative.segments.last(), Some(Segment::Literal(_)));
        }
        Ok(glob)
    }

    /// Compiles a pattern that leaves files out: whatever it matches, it also matches everything
    /// below.
    pub(crate) fn excluding(pattern: &str) -> Result<Self, InvalidGlob> {
        let mut glob = Self::new(pattern)?;
        for alternative in &mut glob.alternatives {
            alternative.subtree = true;
        }
        Ok(glob)
    }

    /// The pattern as written.
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The patterns without braces that it expands to.
    pub(crate) fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }

    /// The directories before the first segment with a metacharacter, with a trailing `/`; without
    /// a metacharacter, the parent directory. Empty at the root.
    pub(crate) fn lead(&self) -> &str {
        let pattern = without_dot(&self.pattern);
        let literal = pattern
            .find(METACHARACTERS)
            .map_or(pattern, |at| &pattern[..at]);
        literal.rfind('/').map_or("", |slash| &literal[..=slash])
    }

    /// The path of the file that the pattern names, if it has no wildcards or choices.
    pub(crate) fn file_path(&self) -> Option<String> {
        let [alternative] = self.alternatives.as_slice() else {
            return None;
        };
        let names: Option<Vec<_>> = alternative.segments.iter().map(Segment::literal).collect();
        Some(names?.join("/"))
    }

    /// Whether the path of a file matches.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        self.alternatives.iter().any(|one| one.matches(path))
    }

    /// Whether a path below the directory can match.
    pub(crate) fn can_match_below(&self, directory: &[u8]) -> bool {
        self.alternatives
            .iter()
            .any(|one| one.can_match_below(directory))
    }

    /// Whether every path below the directory matches.
    pub(crate) fn covers(&self, directory: &[u8]) -> bool {
        self.alternatives.iter().any(|one| one.covers(directory))
    }

    /// Whether some path matches this pattern and none of `others`. Only sample paths are tried, so
    /// `false` can be wrong for unusual patterns. In each sample, all wildcards are one character: a
    /// rare one, or an end of a range such as `[a-z]` in `others`.
    pub(crate) fn is_wider_than(&self, others: &[&Glob]) -> bool {
        let named = others.iter().flat_map(|other| &other.alternatives);
        let named = named.flat_map(|one| one.segments.iter().flat_map(Segment::class_ends));
        let named = named.filter(|c| *c != '/');
        let mut fillers: Vec<char> = std::iter::once(OTHER).chain(named).collect();
        fillers.sort_unstable();
        fillers.dedup();
        let is_free = |path: &Vec<u8>| others.iter().all(|other| !other.matches(path));
        fillers
            .into_iter()
            .any(|filler| self.specimens(filler).iter().any(is_free))
    }

    /// Some paths that match, with `filler` in place of wildcards.
    fn specimens(&self, filler: char) -> Vec<Vec<u8>> {
        self.alternatives
            .iter()
            .flat_map(|one| one.specimens(filler))
            .collect()
    }
}

/// Many patterns, of which few match any one path.
#[derive(Debug, Clone)]
pub(crate) struct Globs {
    globs: Vec<Glob>,
    sieve: Option<Sieve>,
}

/// A [`GlobSet`] of patterns that match at least what ours match, to rule most of them out at once:
/// `?` and classes, which globset matches by bytes, are widened to `*`.
#[derive(Debug, Clone)]
struct Sieve {
    set: GlobSet,
    /// The number of the pattern that each glob of the set was made from.
    origins: Vec<usize>,
}

impl Globs {
    /// The number of patterns from which on a sieve is used. With fewer patterns, it is faster to
    /// match each of them.
    const WORTH_A_SIEVE: usize = 16;

    pub(crate) fn new(globs: Vec<Glob>) -> Self {
        let sieve = (globs.len() >= Self::WORTH_A_SIEVE)
            .then(|| Sieve::new(&globs))
            .flatten();
        Self { globs, sieve }
    }

    /// The numbers of the patterns that match the path of a file, in order.
    pub(crate) fn matching(&self, path: &[u8]) -> Vec<usize> {
        let matches = |number: &usize| self.globs[*number].matches(path);
        match &self.sieve {
            Some(sieve) => sieve.candidates(path).into_iter().filter(matches).collect(),
            None => (0..self.globs.len()).filter(matches).collect(),
        }
    }
}

impl Sieve {
    /// `None` if globset rejects a pattern, because the set is too large for it: every pattern is
    /// matched then.
    fn new(globs: &[Glob]) -> Option<Self> {
        let mut builder = GlobSetBuilder::new();
        let mut origins = Vec::new();
        for (number, glob) in globs.iter().enumerate() {
            for alternative in &glob.alternatives {
                let itself = alternative.widened();
                let below = alternative.subtree.then(|| format!("{itself}/**"));
                for pattern in std::iter::once(itself).chain(below) {
                    let glob = GlobBuilder::new(&pattern)
                        .literal_separator(true)
                        .backslash_escape(false)
                        .build();
                    builder.add(glob.ok()?);
                    origins.push(number);
                }
            }
        }
        let set = builder.build().ok()?;
        Some(Self { set, origins })
    }

    fn candidates(&self, path: &[u8]) -> Vec<usize> {
        let matched = self
            .set
            .matches_candidate(&globset::Candidate::from_bytes(path));
        let mut numbers: Vec<_> = matched.into_iter().map(|at| self.origins[at]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

#[cfg(test)]
mod tests;
