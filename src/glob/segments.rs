//! The segments of a compiled pattern, and how they match a path.

/// A class is represented by so many of its members.
const CHOICES: usize = 4;
/// A private-use character, for names that no pattern is likely to name.
pub(super) const OTHER: char = '\u{10fffd}';

/// One path pattern without braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alternative {
    pub(super) segments: Vec<Segment>,
    /// A bit for each segment, which is set for [`Segment::Deep`]. The last bit is never set: a
    /// trailing `**` is parsed as [`Segment::Any`] with `subtree`, because it matches at least one
    /// name.
    pub(super) deep: u64,
    /// Whether the pattern also matches everything below a path that it matches.
    pub(super) subtree: bool,
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// `**`: zero or more names.
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
    pub(super) negated: bool,
    pub(super) ranges: Vec<(char, char)>,
}

impl Alternative {
    /// The segments. A trailing `**` is stored as [`Segment::Any`], and [`Self::is_subtree`] is then
    /// true.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether everything below a match matches too.
    pub(crate) fn is_subtree(&self) -> bool {
        self.subtree
    }

    pub(super) fn matches(&self, path: &[u8]) -> bool {
        self.states(path) & self.end() != 0
    }

    pub(super) fn can_match_below(&self, directory: &[u8]) -> bool {
        let states = self.states(directory);
        states & !self.end() != 0 || (self.subtree && states & self.end() != 0)
    }

    pub(super) fn covers(&self, directory: &[u8]) -> bool {
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

    /// Adds the states that follow a `**`, because `**` can match zero names.
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

    pub(super) fn specimens(&self, filler: char) -> Vec<Vec<u8>> {
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

    /// A pattern for globset that matches at least the same files.
    pub(super) fn widened(&self) -> String {
        let names: Vec<_> = self.segments.iter().map(Segment::widened).collect();
        names.join("/")
    }
}

impl Segment {
    /// The name that the segment matches, if it matches no other name.
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
    pub(super) fn class_ends(&self) -> Vec<char> {
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

/// `Ok` is a character, `Err` one byte that is not valid UTF-8.
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
