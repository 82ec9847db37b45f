//! Which source file goes where in the codex, and, read backwards, which path of the codex is a project's own.
//!
//! A project owns a path of the codex when it lies under its `to` and the source that would become it is matched by its
//! include or a mapping and by no exclude; nothing else there is ever touched. Everything here is pure and works on
//! `/`-separated bytes.

use std::collections::BTreeSet;

use globset::{Candidate, GlobSet};

use crate::glob::{self, InvalidGlob};
use crate::paths::{CodexPath, InvalidPath};

/// What `default_excludes` leaves out, at any depth.
pub const DEFAULT_EXCLUDES: [&str; 6] = [
    "node_modules",
    ".git",
    ".DS_Store",
    "Thumbs.db",
    "*.log",
    ".env*",
];

/// A pattern that cannot be used, and why.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidPattern {
    /// A glob.
    #[error(transparent)]
    Glob(InvalidGlob),
    /// A mapping's destination.
    #[error("`{to}`: {reason}")]
    Destination {
        /// The destination as written.
        to: String,
        /// What is wrong with it.
        reason: InvalidPath,
    },
}

/// The patterns of one project as the configuration gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClaimPatterns {
    /// Globs under the root, kept at the same path under `to`.
    pub include: Vec<String>,
    /// Globs that leave a source file out, whatever claims it.
    pub exclude: Vec<String>,
    /// Globs with a place of their own.
    pub mappings: Vec<MappingPatterns>,
    /// Whether [`DEFAULT_EXCLUDES`] count.
    pub default_excludes: bool,
}

/// One entry of `mappings`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MappingPatterns {
    /// Glob under the root.
    pub from: String,
    /// A directory under the project's place, if it ends in `/`; else the file itself.
    pub to: String,
    /// Globs that keep a source file out of this mapping.
    pub exclude: Vec<String>,
}

/// The compiled rules of one project.
#[derive(Debug, Clone)]
pub struct Claims {
    patterns: ClaimPatterns,
    rules: Vec<Rule>,
    sources: GlobSet,
    directories: GlobSet,
    excluded: GlobSet,
    covered: GlobSet,
}

/// One pattern and where its matches go.
#[derive(Debug, Clone)]
struct Rule {
    pattern: String,
    glob: GlobSet,
    /// The directories before the first segment with a metacharacter, with a trailing `/`; empty at the root.
    lead: Vec<u8>,
    place: Place,
    excluded: GlobSet,
}

#[derive(Debug, Clone)]
enum Place {
    /// Below this directory (empty: the project's own), what follows the lead is kept.
    Directory(Vec<u8>),
    /// This very file.
    File(Vec<u8>),
}

/// A place that a source file is claimed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The path below the project's `to`.
    pub destination: Vec<u8>,
    /// The pattern that says so.
    pub pattern: usize,
}

impl Claims {
    /// Compiles `patterns`. Every bad one is told.
    pub fn new(patterns: ClaimPatterns) -> Result<Self, Vec<InvalidPattern>> {
        let mut errors = Vec::new();
        let mut rules = Vec::new();
        for pattern in &patterns.include {
            // An include keeps the whole path, so nothing of it is a lead to cut off.
            rules.push(Rule {
                pattern: pattern.clone(),
                glob: set(std::slice::from_ref(pattern), &mut errors),
                lead: Vec::new(),
                place: Place::Directory(Vec::new()),
                excluded: GlobSet::empty(),
            });
        }
        for mapping in &patterns.mappings {
            let place = destination(&mapping.to).unwrap_or_else(|error| {
                errors.push(error);
                Place::Directory(Vec::new())
            });
            let excluded = set(&mapping.exclude, &mut errors);
            let glob = set(std::slice::from_ref(&mapping.from), &mut errors);
            rules.push(Rule {
                pattern: mapping.from.clone(),
                glob,
                lead: literal_lead(&mapping.from),
                place,
                excluded,
            });
        }
        let sources: Vec<_> = rules.iter().map(|rule| rule.pattern.clone()).collect();
        let directories: BTreeSet<String> = sources
            .iter()
            .flat_map(|pattern| prefixes(pattern))
            .collect();
        let mut exclude = patterns.exclude.clone();
        if patterns.default_excludes {
            for name in DEFAULT_EXCLUDES {
                exclude.push(format!("**/{name}"));
                exclude.push(format!("**/{name}/**"));
            }
        }
        let covered: Vec<_> = exclude
            .iter()
            .filter_map(|p| p.strip_suffix("/**"))
            .map(str::to_owned)
            .collect();
        let compiled = Self {
            sources: set(&sources, &mut Vec::new()),
            directories: set(
                &directories.into_iter().collect::<Vec<_>>(),
                &mut Vec::new(),
            ),
            excluded: set(&exclude, &mut errors),
            covered: set(&covered, &mut Vec::new()),
            rules,
            patterns,
        };
        if errors.is_empty() {
            Ok(compiled)
        } else {
            Err(errors)
        }
    }

    /// The patterns this was made from.
    pub fn patterns(&self) -> &ClaimPatterns {
        &self.patterns
    }

    /// The pattern with this number, as in [`Claim::pattern`].
    pub fn pattern(&self, number: usize) -> &str {
        &self.rules[number].pattern
    }

    /// Where the file at `source` (below the root) goes; more than one place if mappings say so, each once.
    pub fn claim(&self, source: &[u8]) -> Vec<Claim> {
        let candidate = candidate(source);
        let matched = self.sources.matches_candidate(&candidate);
        if matched.is_empty() || self.excluded.is_match_candidate(&candidate) {
            return Vec::new();
        }
        let mut claims: Vec<Claim> = Vec::new();
        for pattern in matched {
            let rule = &self.rules[pattern];
            if rule.excluded.is_match_candidate(&candidate) {
                continue;
            }
            let destination = rule.destination(source);
            if claims.iter().all(|claim| claim.destination != destination) {
                claims.push(Claim {
                    destination,
                    pattern,
                });
            }
        }
        claims
    }

    /// Whether the path `below` the project's `to` is the project's: some source file, existing or not, would go there.
    pub fn owns(&self, below: &[u8]) -> bool {
        self.rules.iter().any(|rule| {
            rule.source_of(below)
                .is_some_and(|source| self.takes(rule, &source))
        })
    }

    /// The source paths that would go to the path `below` the project's `to`.
    pub fn sources(&self, below: &[u8]) -> Vec<Vec<u8>> {
        let sources = self
            .rules
            .iter()
            .filter_map(|rule| Some((rule, rule.source_of(below)?)));
        sources
            .filter(|(rule, source)| self.takes(rule, source))
            .map(|(_, source)| source)
            .collect()
    }

    fn takes(&self, rule: &Rule, source: &[u8]) -> bool {
        let candidate = candidate(source);
        match rule.place {
            // Whatever file fills it: the pattern stands for all of them, and excludes can only speak of a literal one.
            Place::File(_) if !glob::is_literal(&rule.pattern) => true,
            Place::File(_) => !self.is_excluded(rule, &candidate),
            Place::Directory(_) => {
                rule.glob.is_match_candidate(&candidate) && !self.is_excluded(rule, &candidate)
            }
        }
    }

    fn is_excluded(&self, rule: &Rule, candidate: &Candidate<'_>) -> bool {
        self.excluded.is_match_candidate(candidate) || rule.excluded.is_match_candidate(candidate)
    }

    /// Whether the path `below` the project's `to` is kept out by an exclude: such a path is never pruned.
    pub fn is_excluded_path(&self, below: &[u8]) -> bool {
        let by_rule = |rule: &Rule| {
            let source = rule.source_of(below)?;
            let candidate = candidate(&source);
            Some(rule.glob.is_match_candidate(&candidate) && self.is_excluded(rule, &candidate))
        };
        self.excluded.is_match_candidate(&candidate(below))
            || self
                .rules
                .iter()
                .filter_map(by_rule)
                .any(|excluded| excluded)
    }

    /// Whether the directory at `source` can hold a claimed file: some pattern can match below it and no exclude
    /// covers all of it. The walk enters nothing else.
    pub fn can_hold(&self, source: &[u8]) -> bool {
        let candidate = candidate(source);
        self.directories.is_match_candidate(&candidate)
            && !self.covered.is_match_candidate(&candidate)
    }
}

impl Rule {
    /// The source that this rule would put at `below`; for a single file that a glob may fill, the glob's own text
    /// stands for it.
    fn source_of(&self, below: &[u8]) -> Option<Vec<u8>> {
        match &self.place {
            Place::File(path) => (path == below).then(|| self.pattern.clone().into_bytes()),
            Place::Directory(directory) => Some(
                [
                    self.lead.as_slice(),
                    below.strip_prefix(directory.as_slice())?,
                ]
                .concat(),
            ),
        }
    }

    fn destination(&self, source: &[u8]) -> Vec<u8> {
        match &self.place {
            Place::File(path) => path.clone(),
            Place::Directory(directory) => {
                [directory.as_slice(), &source[self.lead.len()..]].concat()
            }
        }
    }
}

/// Compiles many globs into one set; the ones that fail are added to `errors`.
fn set(patterns: &[String], errors: &mut Vec<InvalidPattern>) -> GlobSet {
    glob::set(patterns).unwrap_or_else(|bad| {
        errors.extend(bad.into_iter().map(InvalidPattern::Glob));
        GlobSet::empty()
    })
}

fn candidate(path: &[u8]) -> Candidate<'_> {
    Candidate::from_bytes(path)
}

fn destination(to: &str) -> Result<Place, InvalidPattern> {
    let checked = CodexPath::new(to.as_bytes()).map_err(|reason| InvalidPattern::Destination {
        to: to.to_owned(),
        reason,
    })?;
    let mut path = checked.as_bstr().to_vec();
    Ok(if to.ends_with('/') {
        path.push(b'/');
        Place::Directory(path)
    } else {
        Place::File(path)
    })
}

/// The directories before the first segment with a metacharacter; without one, the parent directory.
fn literal_lead(pattern: &str) -> Vec<u8> {
    let literal = pattern
        .find(glob::METACHARACTERS)
        .map_or(pattern, |at| &pattern[..at]);
    literal
        .rfind('/')
        .map_or(Vec::new(), |slash| literal.as_bytes()[..=slash].to_vec())
}

/// The patterns of the directories that lead to a match of `pattern`: each proper prefix of its segments, up to the
/// first `**` or the first that is no pattern by itself (a brace or class crosses its `/`), behind which anything may
/// follow.
fn prefixes(pattern: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut prefix = String::new();
    let segments: Vec<_> = pattern.split('/').collect();
    for segment in &segments[..segments.len() - 1] {
        if *segment == "**" || glob::compile(&format!("{prefix}{segment}")).is_err() {
            found.push(format!("{prefix}**"));
            return found;
        }
        prefix.push_str(segment);
        found.push(prefix.clone());
        prefix.push('/');
    }
    if segments.last() == Some(&"**") {
        found.push(format!("{prefix}**"));
    }
    found
}

#[cfg(test)]
mod tests;
