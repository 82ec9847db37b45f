//! Maps source files to paths of the codex and, in the other direction, decides which paths of the
//! codex a project owns.
//!
//! A project owns a path of the codex when it lies under its `to` and the source that would be
//! published there is matched by its include or a mapping and by no exclude. No other path is
//! changed, except that `prune` deletes unclaimed files under `to`. Everything here is pure and
//! works on `/`-separated bytes.

use std::sync::LazyLock;

use crate::glob::{Glob, Globs, InvalidGlob};
use crate::paths::{CodexPath, InvalidPath};

/// Names that `default_excludes` leaves out, at any depth.
pub(crate) const DEFAULT_EXCLUDES: [&str; 9] = [
    "node_modules",
    ".git",
    ".DS_Store",
    "Thumbs.db",
    "*.log",
    ".env*",
    "dist",
    "build",
    "coverage",
];

/// [`DEFAULT_EXCLUDES`] as globs, in the same order. Every pattern is compared with them.
static DEFAULT_EXCLUDE_GLOBS: LazyLock<Vec<Glob>> = LazyLock::new(|| {
    let globs = DEFAULT_EXCLUDES.into_iter().map(Glob::new);
    globs.collect::<Result<_, _>>().unwrap_or_default()
});

/// The default exclude that matches a literal segment of `glob`.
pub(super) fn default_exclude_named_by(glob: &Glob) -> Option<&'static str> {
    let segments = || {
        let alternatives = glob.alternatives().iter();
        alternatives.flat_map(|one| one.segments().iter().filter_map(|one| one.literal()))
    };
    let excludes = || DEFAULT_EXCLUDES.into_iter().zip(&*DEFAULT_EXCLUDE_GLOBS);
    excludes()
        .find(|(_, exclude)| segments().any(|segment| exclude.matches(segment.as_bytes())))
        .map(|(name, _)| name)
}

/// The error for an invalid pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPattern {
    /// A glob is invalid.
    #[error(transparent)]
    Glob(InvalidGlob),
    /// The destination of a mapping is invalid.
    #[error("`{to}`: {reason}")]
    Destination {
        /// The configured destination.
        to: String,
        /// The reason.
        reason: InvalidPath,
    },
}

/// The patterns of one project as the configuration gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "fuzz targets construct it")]
pub struct ClaimPatterns {
    /// Globs under the root, kept at the same path under `to`.
    pub include: Vec<String>,
    /// The origin of `include`.
    pub include_origin: IncludeOrigin,
    /// Globs that leave a source file out, whatever claims it.
    pub exclude: Vec<String>,
    /// Globs with their own destination.
    pub mappings: Vec<MappingPatterns>,
    /// Whether `DEFAULT_EXCLUDES` are applied.
    pub default_excludes: bool,
}

/// The origin of a list of includes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IncludeOrigin {
    /// The list is given for the project itself.
    #[default]
    Project,
    /// The list is given for all projects.
    AllProjects,
    /// The list is the default.
    Defaults,
}

/// One entry of `mappings`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "fuzz targets construct it")]
pub struct MappingPatterns {
    /// Glob under the root.
    pub from: String,
    /// The destination below the project's `to`: a directory if it ends in `/`, otherwise a file.
    pub to: String,
    /// Globs that keep a source file out of this mapping.
    pub exclude: Vec<String>,
}

/// The compiled patterns of one project: the only answer to which file is published where, to which
/// directories the walk enters, and to which paths of the codex the project owns.
#[derive(Debug, Clone)]
pub struct Claims {
    patterns: ClaimPatterns,
    rules: Vec<Rule>,
    /// The globs of `rules`, in the order of `rules`.
    sources: Globs,
    excluded: Vec<Glob>,
}

/// One include or mapping.
#[derive(Debug, Clone)]
struct Rule {
    glob: Glob,
    /// The directories of the pattern that are not kept in the destination, with a trailing `/`;
    /// empty at the root.
    lead: Vec<u8>,
    destination: Destination,
    excluded: Vec<Glob>,
}

#[derive(Debug, Clone)]
enum Destination {
    /// A file is published below this directory (empty: the project's own). The part of its path
    /// after the literal lead of the pattern is kept.
    Directory(Vec<u8>),
    /// A file is published as exactly this file.
    File {
        path: Vec<u8>,
        /// Whether any source can be published there: the excludes leave a part of the pattern's
        /// matches.
        fillable: bool,
    },
}

/// A path that a source file is claimed for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// The path below the project's `to`.
    pub destination: Vec<u8>,
    /// The number of the rule that claims it.
    pub pattern: usize,
}

impl Claims {
    /// Compiles `patterns`. All invalid ones are reported.
    pub fn new(patterns: ClaimPatterns) -> Result<Self, Vec<InvalidPattern>> {
        let mut errors = Vec::new();
        let mut rules = Vec::new();
        for pattern in &patterns.include {
            // An include keeps the whole path, so that it has no lead.
            rules.extend(selecting(pattern, &mut errors).map(|glob| Rule {
                glob,
                lead: Vec::new(),
                destination: Destination::Directory(Vec::new()),
                excluded: Vec::new(),
            }));
        }
        for mapping in &patterns.mappings {
            let destination = destination(&mapping.to).map_err(|error| errors.push(error));
            let excluded = excluding(&mapping.exclude, &mut errors);
            let glob = selecting(&mapping.from, &mut errors);
            rules.extend(glob.zip(destination.ok()).map(|(glob, destination)| Rule {
                lead: glob.lead().into(),
                glob,
                destination,
                excluded,
            }));
        }
        let mut excluded = excluding(&patterns.exclude, &mut errors);
        if patterns.default_excludes {
            let anywhere = DEFAULT_EXCLUDES.map(|name| format!("**/{name}"));
            excluded.extend(excluding(&anywhere, &mut errors));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        for rule in &mut rules {
            rule.find_fillable(&excluded);
        }
        Ok(Self {
            sources: Globs::new(rules.iter().map(|rule| rule.glob.clone()).collect()),
            excluded,
            rules,
            patterns,
        })
    }

    /// The patterns this was made from.
    pub fn patterns(&self) -> &ClaimPatterns {
        &self.patterns
    }

    /// The pattern of the rule with this number, as in [`Claim::pattern`].
    pub fn pattern(&self, number: usize) -> &str {
        self.rules[number].glob.pattern()
    }

    /// The numbers of the rules: the includes first, then the mappings, in their order.
    pub fn rules(&self) -> std::ops::Range<usize> {
        0..self.rules.len()
    }

    /// The rules that publish the file at `source` (below the root).
    pub fn matching(&self, source: &[u8]) -> Vec<usize> {
        let mut matching = self.sources.matching(source);
        if matching.is_empty() || any_matches(&self.excluded, source) {
            return Vec::new();
        }
        matching.retain(|number| !any_matches(&self.rules[*number].excluded, source));
        matching
    }

    /// The paths to which the file at `source` (below the root) is published. Mappings can publish
    /// a file to several paths.
    pub fn claim(&self, source: &[u8]) -> Vec<Claim> {
        self.destinations(source, &self.matching(source))
    }

    /// The paths to which `rules` publish the file at `source`. All of them must match it.
    pub fn destinations(&self, source: &[u8], rules: &[usize]) -> Vec<Claim> {
        let mut claims: Vec<Claim> = Vec::with_capacity(rules.len());
        for number in rules {
            let destination = self.rules[*number].destination(source);
            if claims.iter().all(|claim| claim.destination != destination) {
                claims.push(Claim {
                    destination,
                    pattern: *number,
                });
            }
        }
        claims
    }

    /// Whether the project owns the path `below` its `to`: some source file, existing or not, would
    /// be published there.
    pub fn owns(&self, below: &[u8]) -> bool {
        self.rules.iter().any(|rule| match &rule.destination {
            Destination::File { path, fillable } => *fillable && path == below,
            Destination::Directory(_) => rule
                .source_of(below)
                .is_some_and(|source| self.takes(rule, &source)),
        })
    }

    /// The sources that the rules would publish to the path `below` the project's `to`, as far as
    /// they follow from that path: those of rules that keep paths, or that name a single file.
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

    /// The paths below the project's `to` to which rules with a single destination publish a file
    /// at `source`, or, if there may be files `below` it, could publish one of them.
    pub fn files_fed_by(&self, source: &[u8], below: bool) -> Vec<&[u8]> {
        let feeds =
            |rule: &&Rule| self.takes(rule, source) || (below && self.reaches(rule, source));
        let rules = self.rules.iter().filter(feeds);
        rules
            .filter_map(|rule| match &rule.destination {
                Destination::File { path, .. } => Some(path.as_slice()),
                Destination::Directory(_) => None,
            })
            .collect()
    }

    /// The rules that publish a file at `source`, or that could publish one below it.
    pub fn reaching(&self, source: &[u8]) -> Vec<usize> {
        self.rules()
            .filter(|number| self.reaches(&self.rules[*number], source))
            .collect()
    }

    /// Whether the path `below` the project's `to` is excluded: such a path is never pruned.
    pub fn is_excluded_path(&self, below: &[u8]) -> bool {
        let by_rule = |rule: &Rule| match &rule.destination {
            Destination::File { path, fillable } => path == below && !fillable,
            Destination::Directory(_) => rule
                .source_of(below)
                .is_some_and(|source| rule.glob.matches(&source) && self.excludes(rule, &source)),
        };
        any_matches(&self.excluded, below) || self.rules.iter().any(by_rule)
    }

    /// Whether a claimed file can be below the directory at `source`: some rule can match there,
    /// and no exclude covers all of it. The walk enters only such directories.
    pub fn can_hold(&self, source: &[u8]) -> bool {
        let can_match =
            |rule: &Rule| rule.glob.can_match_below(source) && !any_covers(&rule.excluded, source);
        self.rules.iter().any(can_match) && !any_covers(&self.excluded, source)
    }

    /// The default exclude that leaves out files which the rule names: one that matches a literal
    /// segment of its pattern.
    pub fn default_exclude_of(&self, number: usize) -> Option<&'static str> {
        let named = || default_exclude_named_by(&self.rules[number].glob);
        self.patterns.default_excludes.then(named).flatten()
    }

    /// Whether the rule publishes a file at `source`.
    fn takes(&self, rule: &Rule, source: &[u8]) -> bool {
        rule.glob.matches(source) && !self.excludes(rule, source)
    }

    /// Whether the rule publishes a file at `source`, or can publish one below it.
    fn reaches(&self, rule: &Rule, source: &[u8]) -> bool {
        let covered = || any_covers(&self.excluded, source) || any_covers(&rule.excluded, source);
        self.takes(rule, source) || (rule.glob.can_match_below(source) && !covered())
    }

    fn excludes(&self, rule: &Rule, source: &[u8]) -> bool {
        any_matches(&self.excluded, source) || any_matches(&rule.excluded, source)
    }
}

impl Rule {
    /// The source that this rule would publish to `below`, if the rule keeps paths or names a single
    /// file.
    fn source_of(&self, below: &[u8]) -> Option<Vec<u8>> {
        match &self.destination {
            Destination::File { path, .. } if path == below => {
                self.glob.file_path().map(String::into_bytes)
            }
            Destination::File { .. } => None,
            Destination::Directory(directory) => {
                let kept = below.strip_prefix(directory.as_slice())?;
                Some([self.lead.as_slice(), kept].concat())
            }
        }
    }

    fn destination(&self, source: &[u8]) -> Vec<u8> {
        match &self.destination {
            Destination::File { path, .. } => path.clone(),
            Destination::Directory(directory) => {
                [directory.as_slice(), &source[self.lead.len()..]].concat()
            }
        }
    }

    /// Decides whether the excludes leave a part of the matches of the pattern.
    fn find_fillable(&mut self, everywhere: &[Glob]) {
        if let Destination::File { fillable, .. } = &mut self.destination {
            let excluded: Vec<_> = everywhere.iter().chain(&self.excluded).collect();
            *fillable = self.glob.is_wider_than(&excluded);
        }
    }
}

fn any_matches(globs: &[Glob], path: &[u8]) -> bool {
    globs.iter().any(|glob| glob.matches(path))
}

fn any_covers(globs: &[Glob], directory: &[u8]) -> bool {
    globs.iter().any(|glob| glob.covers(directory))
}

/// Compiles a pattern that selects files. Adds an error to `errors`.
fn selecting(pattern: &str, errors: &mut Vec<InvalidPattern>) -> Option<Glob> {
    let glob = Glob::selecting(pattern);
    glob.map_err(|error| errors.push(InvalidPattern::Glob(error)))
        .ok()
}

/// Compiles patterns that exclude files. Adds errors to `errors`.
fn excluding(patterns: &[String], errors: &mut Vec<InvalidPattern>) -> Vec<Glob> {
    let mut globs = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        match Glob::excluding(pattern) {
            Ok(glob) => globs.push(glob),
            Err(error) => errors.push(InvalidPattern::Glob(error)),
        }
    }
    globs
}

fn destination(to: &str) -> Result<Destination, InvalidPattern> {
    let checked = CodexPath::new(to.as_bytes()).map_err(|reason| InvalidPattern::Destination {
        to: to.to_owned(),
        reason,
    })?;
    let mut path = checked.as_bstr().to_vec();
    Ok(if to.ends_with('/') {
        path.push(b'/');
        Destination::Directory(path)
    } else {
        Destination::File {
            path,
            fillable: true,
        }
    })
}

#[cfg(test)]
mod tests;
