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

mod parse;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::paths::escaped;

/// Characters that make a pattern more than a path.
const METACHARACTERS: [char; 6] = ['*', '?', '[', '{', '\\', ']'];

/// A pattern may have this many bytes.
const MAX_BYTES: usize = 4096;
/// Braces may nest this deep.
const MAX_NESTING: usize = 32;
/// Braces may expand to this many alternatives.
const MAX_ALTERNATIVES: usize = 1000;
/// All alternatives of a pattern together may have this many tokens.
const MAX_TOKENS: usize = 100_000;
/// An alternative may have this many segments: the states of a match are the bits of a `u64`.
const MAX_SEGMENTS: usize = 63;

/// The reason for which a pattern is rejected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidGlob {
    /// The pattern is empty.
    #[error("the pattern is empty")]
    Empty,
    /// A leading `!`. Excludes are given under `exclude`.
    #[error("`{}`: `!` does not negate a pattern", named(.0))]
    Negated(String),
    /// A pattern that could only match outside the root.
    #[error("`{}`: a pattern is relative to the project's root, without `.` and `..` segments", named(.0))]
    Outside(String),
    /// A construct of another dialect.
    #[error("`{}`: `{construct}` is not supported: {instead}", named(pattern))]
    Unsupported {
        /// The pattern as written.
        pattern: String,
        /// The construct.
        construct: String,
        /// The supported form.
        instead: &'static str,
    },
    /// A limit is exceeded.
    #[error("`{}`: {excess}", named(pattern))]
    TooLarge {
        /// The pattern as written.
        pattern: String,
        /// The limit and the size.
        excess: String,
    },
    /// A syntax error.
    #[error("`{}`: {reason}", named(pattern))]
    Syntax {
        /// The pattern as written.
        pattern: String,
        /// The reason.
        reason: &'static str,
    },
}

impl InvalidGlob {
    /// A hint for the user, if `is_exclude` is set for a pattern that excludes files.
    pub(crate) fn hint(&self, is_exclude: bool) -> Option<&'static str> {
        match self {
            Self::Negated(_) if is_exclude => {
                Some("an exclude cannot be undone: write narrower excludes instead")
            }
            Self::Negated(_) => Some("put the pattern under `exclude`, without `!`"),
            _ => None,
        }
    }
}

/// A pattern fit for a message: escaped, and cut after 80 characters.
fn named(pattern: &str) -> String {
    let mut shown: String = pattern.chars().take(80).collect();
    if shown.len() < pattern.len() {
        shown.push('…');
    }
    escaped(shown.as_bytes()).to_string()
}

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

/// A pattern without a leading `./`.
pub(crate) fn without_dot(pattern: &str) -> &str {
    let mut rest = pattern;
    while let Some(below) = rest.strip_prefix("./") {
        rest = below;
    }
    rest
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    pattern: String,
    alternatives: Vec<Alternative>,
}

/// One path pattern without braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alternative {
    segments: Vec<Segment>,
    /// The bits of the segments that are [`Segment::Deep`]. The last segment never is: a trailing
    /// `**` is parsed as [`Segment::Any`] with `subtree`, because it matches at least one name.
    deep: u64,
    /// Whether a match of all segments also matches everything below it.
    subtree: bool,
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// `**`: any number of names, none included.
    Deep,
    /// `*`: any one name.
    Any,
    /// This name.
    Literal(String),
    /// One `*` between two texts.
    Affixes(String, String),
    /// Anything else.
    Wild(Vec<Wild>),
}

/// An element of [`Segment::Wild`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wild {
    /// This character.
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
    /// `[…]`
    Class(Class),
}

/// A set of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Glob {
    /// Compiles a pattern that matches exactly what it says.
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

    /// Whether some path is matched by this pattern and by none of `others`. This is decided with
    /// sample paths. In these, wildcards are replaced by a character that no pattern is likely to
    /// name, or by one that a class of `others` names.
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

impl Alternative {
    /// Its segments. A trailing `**` is [`Segment::Any`] here.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether everything below a match matches too.
    pub(crate) fn is_subtree(&self) -> bool {
        self.subtree
    }

    fn matches(&self, path: &[u8]) -> bool {
        self.states(path) & self.end() != 0
    }

    fn can_match_below(&self, directory: &[u8]) -> bool {
        let states = self.states(directory);
        states & !self.end() != 0 || (self.subtree && states & self.end() != 0)
    }

    fn covers(&self, directory: &[u8]) -> bool {
        let mut covering = self.end();
        if self.segments.last() == Some(&Segment::Any) {
            covering |= self.end() >> 1;
        }
        self.subtree && self.states(directory) & covering != 0
    }

    /// The bit of the state in which all segments are matched.
    fn end(&self) -> u64 {
        1 << self.segments.len()
    }

    /// Adds the states that are reached without a name: `**` matches none, too.
    fn closed(&self, states: u64) -> u64 {
        states | ((states & self.deep) << 1)
    }

    /// The states after all names of `path`: bit `n` is set where the first `n` segments match
    /// them.
    fn states(&self, path: &[u8]) -> u64 {
        let end = self.end();
        let stays = self.deep | if self.subtree { end } else { 0 };
        let mut states = self.closed(1);
        for name in path.split(|byte| *byte == b'/') {
            let mut next = states & stays;
            let mut open = states & !self.deep & !end;
            while open != 0 {
                let at = open.trailing_zeros() as usize;
                open &= open - 1;
                if self.segments[at].matches(name) {
                    next |= 1 << (at + 1);
                }
            }
            states = self.closed(next);
            if states == 0 {
                break;
            }
        }
        states
    }

    fn specimens(&self, filler: char) -> Vec<Vec<u8>> {
        let depths: &[usize] = if self.deep == 0 { &[0] } else { &[0, 1, 2, 9] };
        let mut found = Vec::new();
        for (depth, choice) in depths
            .iter()
            .flat_map(|depth| (0..CHOICES).map(move |c| (depth, c)))
        {
            let mut names = Vec::new();
            for segment in &self.segments {
                match segment {
                    Segment::Deep => names.extend(std::iter::repeat_n(filler.to_string(), *depth)),
                    segment => names.push(segment.specimen(filler, choice)),
                }
            }
            found.push(names.join("/").into_bytes());
            if self.subtree {
                names.push(filler.to_string());
                found.push(names.join("/").into_bytes());
            }
        }
        found.sort();
        found.dedup();
        found
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
    /// With fewer patterns, matching each is faster.
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

impl Alternative {
    /// A pattern for globset that matches at least the same files.
    fn widened(&self) -> String {
        let names: Vec<_> = self.segments.iter().map(Segment::widened).collect();
        names.join("/")
    }
}

/// A class is represented by so many of its members.
const CHOICES: usize = 4;
/// A private-use character, for names that no pattern is likely to name.
const OTHER: char = '\u{10fffd}';

impl Segment {
    /// The name, if it is the only one that matches.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(name) => Some(name),
            _ => None,
        }
    }

    /// Whether the segment names hidden files: it begins with a `.`.
    pub(crate) fn is_hidden(&self) -> bool {
        match self {
            Self::Deep | Self::Any => false,
            Self::Literal(text) | Self::Affixes(text, _) => text.starts_with('.'),
            Self::Wild(wild) => wild.first() == Some(&Wild::Char('.')),
        }
    }

    /// Whether one name matches; `**` matches any.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Deep | Self::Any => true,
            Self::Literal(text) => name == text.as_bytes(),
            // In UTF-8, texts match by characters where they match by bytes.
            Self::Affixes(prefix, suffix) => {
                name.len() >= prefix.len() + suffix.len()
                    && name.starts_with(prefix.as_bytes())
                    && name.ends_with(suffix.as_bytes())
            }
            Self::Wild(wild) => matches_wild(wild, &characters(name)),
        }
    }

    fn widened(&self) -> String {
        match self {
            Self::Deep => "**".to_owned(),
            Self::Any => "*".to_owned(),
            Self::Literal(name) => globset::escape(name),
            Self::Affixes(prefix, suffix) => {
                format!("{}*{}", globset::escape(prefix), globset::escape(suffix))
            }
            Self::Wild(wild) => {
                let mut pattern = String::new();
                for one in wild {
                    match one {
                        Wild::Char(c) => pattern.push_str(&globset::escape(&c.to_string())),
                        _ if pattern.ends_with('*') => {}
                        _ => pattern.push('*'),
                    }
                }
                pattern
            }
        }
    }

    /// The first and last characters of its classes.
    fn class_ends(&self) -> Vec<char> {
        let Self::Wild(wild) = self else {
            return Vec::new();
        };
        let classes = wild.iter().filter_map(|one| match one {
            Wild::Class(class) => Some(class),
            _ => None,
        });
        classes.flat_map(Class::ends).collect()
    }

    fn specimen(&self, filler: char, choice: usize) -> String {
        match self {
            Self::Deep | Self::Any => filler.to_string(),
            Self::Literal(name) => name.clone(),
            Self::Affixes(prefix, suffix) => format!("{prefix}{filler}{suffix}"),
            Self::Wild(wild) => wild
                .iter()
                .map(|one| one.specimen(filler, choice))
                .collect(),
        }
    }
}

impl Wild {
    fn matches(&self, character: Character) -> bool {
        match self {
            Self::Char(c) => character == Ok(*c),
            Self::One | Self::Many => true,
            Self::Class(class) => class.matches(character),
        }
    }

    fn specimen(&self, filler: char, choice: usize) -> char {
        match self {
            Self::Char(c) => *c,
            Self::One | Self::Many => filler,
            Self::Class(class) => class.specimen(filler, choice),
        }
    }
}

impl Class {
    fn holds(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&c))
    }

    fn matches(&self, character: Character) -> bool {
        character.is_ok_and(|c| self.holds(c)) != self.negated
    }

    fn ends(&self) -> impl Iterator<Item = char> + Clone + '_ {
        self.ranges.iter().flat_map(|(first, last)| [*first, *last])
    }

    fn specimen(&self, filler: char, choice: usize) -> char {
        if self.matches(Ok(filler)) {
            filler
        } else if self.negated {
            // Down from the rarest one.
            ('\0'..=OTHER)
                .rev()
                .find(|c| !self.holds(*c) && *c != '/')
                .unwrap_or(OTHER)
        } else {
            self.ends().cycle().nth(choice).unwrap_or(OTHER)
        }
    }
}

/// A character, or a byte that is not part of one.
type Character = Result<char, u8>;

fn characters(name: &[u8]) -> Vec<Character> {
    let mut characters = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        characters.extend(chunk.valid().chars().map(Ok));
        characters.extend(chunk.invalid().iter().copied().map(Err));
    }
    characters
}

/// Matches by trying the shortest text for each `*` first. Only the last `*` is ever extended,
/// because an earlier one that took more could not match more.
fn matches_wild(wild: &[Wild], name: &[Character]) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut retry = None;
    while next < name.len() {
        match wild.get(at) {
            Some(Wild::Many) => {
                at += 1;
                retry = Some((at, next));
            }
            Some(one) if one.matches(name[next]) => {
                at += 1;
                next += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    at = after_star;
                    next = from + 1;
                    retry = Some((after_star, from + 1));
                }
                None => return false,
            },
        }
    }
    wild[at..].iter().all(|rest| *rest == Wild::Many)
}

#[cfg(test)]
mod tests;
