//! From the text of a pattern to alternatives of segments.

use super::error::InvalidGlob;
use super::segments::{Alternative, Class, Segment, Wild};

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

/// A lexical element of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
    /// `**`
    Deep,
    Class(Class),
    Slash,
    Open,
    Comma,
    Close,
}

/// Parses a pattern. No text can exhaust memory or stack: every step is bounded.
pub(super) fn alternatives(pattern: &str) -> Result<Vec<Alternative>, InvalidGlob> {
    if pattern.is_empty() {
        return Err(InvalidGlob::Empty);
    }
    let parser = Parser { pattern };
    if pattern.len() > MAX_BYTES {
        return Err(parser.too_large(format!(
            "the pattern has {} bytes, more than {MAX_BYTES}",
            pattern.len()
        )));
    }
    let tokens = parser.tokens()?;
    let mut found = Vec::new();
    for expanded in parser.expanded(tokens)? {
        // An empty alternative, as in `{,docs}`, matches nothing.
        if !expanded.is_empty() {
            found.push(parser.alternative(expanded)?);
        }
    }
    if found.is_empty() {
        return Err(InvalidGlob::Empty);
    }
    Ok(found)
}

/// Parses one pattern. Every error names the pattern as it was written.
struct Parser<'p> {
    pattern: &'p str,
}

impl Parser<'_> {
    /// The error of a pattern that is not well-formed.
    fn syntax(&self, reason: &'static str) -> InvalidGlob {
        InvalidGlob::Syntax {
            pattern: self.pattern.to_owned(),
            reason,
        }
    }

    /// The error of a pattern that exceeds a limit.
    fn too_large(&self, excess: String) -> InvalidGlob {
        InvalidGlob::TooLarge {
            pattern: self.pattern.to_owned(),
            excess,
        }
    }

    /// The error of a construct that other dialects of globs have.
    fn unsupported(&self, construct: &str, instead: &'static str) -> InvalidGlob {
        InvalidGlob::Unsupported {
            pattern: self.pattern.to_owned(),
            construct: construct.to_owned(),
            instead,
        }
    }

    /// The error of two or more stars that are not a segment of their own.
    fn part_of_a_segment(&self, stars: &str) -> InvalidGlob {
        let instead = "write `*`, or `**` alone between slashes";
        self.unsupported(&format!("{stars} as a part of a segment"), instead)
    }

    /// Splits the pattern into tokens. Braces are balanced in the result: an opening or closing
    /// brace without its counterpart is an error here.
    fn tokens(&self) -> Result<Vec<Token>, InvalidGlob> {
        let lexer = Lexer {
            parser: self,
            text: without_dot(self.pattern).chars().collect(),
            at: 0,
            tokens: Vec::new(),
            open: Vec::new(),
        };
        lexer.tokens()
    }

    /// Parses the class that begins before `at`, and returns the position behind its `]`.
    fn class(&self, text: &[char], mut at: usize) -> Result<(Class, usize), InvalidGlob> {
        let unclosed = || self.syntax("unclosed character class; missing ']'");
        let negated = matches!(text.get(at), Some('!' | '^'));
        at += usize::from(negated);
        let start = at;
        let mut ranges = Vec::new();
        loop {
            let c = *text.get(at).ok_or_else(unclosed)?;
            if c == ']' && at > start {
                break;
            }
            if c == '[' {
                self.check_posix(&text[at..])?;
            }
            let (first, after) = member(text, at).ok_or_else(unclosed)?;
            at = after;
            let mut last = first;
            if text.get(at) == Some(&'-') && text.get(at + 1).is_some_and(|c| *c != ']') {
                (last, at) = member(text, at + 1).ok_or_else(unclosed)?;
            }
            if first > last {
                return Err(self.syntax("a range in a class ends before it begins"));
            }
            if !negated && (first == '/' || last == '/') {
                return Err(self.syntax("a class never matches `/`"));
            }
            ranges.push((first, last));
        }
        Ok((Class { negated, ranges }, at + 1))
    }

    /// Rejects `[:alpha:]`, `[.a.]` and `[=a=]`.
    fn check_posix(&self, text: &[char]) -> Result<(), InvalidGlob> {
        let Some(kind) = text.get(1).filter(|c| matches!(c, ':' | '.' | '=')) else {
            return Ok(());
        };
        let end = text[2..]
            .windows(2)
            .position(|pair| pair[0] == *kind && pair[1] == ']');
        match end {
            Some(end) => {
                let construct: String = text[..end + 4].iter().collect();
                Err(self.unsupported(&construct, "write a range such as `[a-z]`"))
            }
            None => Ok(()),
        }
    }

    /// Expands braces into lists of tokens without braces.
    fn expanded(&self, tokens: Vec<Token>) -> Result<Vec<Vec<Token>>, InvalidGlob> {
        let mut expansion = Expansion {
            parser: self,
            budget: MAX_TOKENS,
        };
        expansion.list(&mut tokens.into_iter())
    }

    /// Converts tokens without braces to segments. Redundant forms are unified: `**/**` becomes
    /// `**`, and a trailing `/` or `**` becomes [`Segment::Any`] with everything below it.
    fn alternative(&self, tokens: Vec<Token>) -> Result<Alternative, InvalidGlob> {
        let mut segments: Vec<Segment> = Vec::new();
        let mut names: Vec<&[Token]> = tokens.split(|token| *token == Token::Slash).collect();
        let outside = || InvalidGlob::Outside(self.pattern.to_owned());
        if names[0].is_empty() {
            return Err(outside());
        }
        let is_directory = names.last().is_some_and(|name| name.is_empty());
        if is_directory {
            names.pop();
        }
        for name in names {
            let segment = self.segment(name)?;
            match &segment {
                Segment::Literal(name) if matches!(name.as_str(), "." | "..") => {
                    return Err(outside());
                }
                Segment::Deep if segments.last() == Some(&Segment::Deep) => continue,
                _ => segments.push(segment),
            }
        }
        // A trailing `**` or `/` means everything below.
        let mut subtree = is_directory;
        if segments.last() == Some(&Segment::Deep) {
            segments.pop();
            subtree = true;
            if is_directory && segments.is_empty() {
                // `**/`: every directory, but not the root.
                segments.push(Segment::Any);
            }
        }
        if subtree {
            segments.push(Segment::Any);
        }
        if segments.len() > MAX_SEGMENTS {
            let excess = format!("the pattern has more than {MAX_SEGMENTS} segments");
            return Err(self.too_large(excess));
        }
        let deep = segments
            .iter()
            .enumerate()
            .filter(|(_, segment)| **segment == Segment::Deep)
            .fold(0, |bits, (at, _)| bits | 1 << at);
        Ok(Alternative {
            segments,
            deep,
            subtree,
        })
    }

    /// Converts the tokens between two slashes to a segment.
    fn segment(&self, tokens: &[Token]) -> Result<Segment, InvalidGlob> {
        match tokens {
            [] => return Err(self.syntax("a segment is empty (`//`)")),
            [Token::Deep] => return Ok(Segment::Deep),
            [Token::Many] => return Ok(Segment::Any),
            _ => {}
        }
        let mut wild = Vec::with_capacity(tokens.len());
        for token in tokens {
            wild.push(match token {
                Token::Char(c) => Wild::Char(*c),
                Token::One => Wild::One,
                Token::Many if wild.last() == Some(&Wild::Many) => continue,
                Token::Many => Wild::Many,
                Token::Class(class) => Wild::Class(class.clone()),
                Token::Deep => return Err(self.part_of_a_segment("**")),
                Token::Slash | Token::Open | Token::Comma | Token::Close => {
                    unreachable!("braces are expanded and slashes split")
                }
            });
        }
        Ok(simplified(wild))
    }
}

/// Splits one pattern into tokens.
struct Lexer<'p> {
    parser: &'p Parser<'p>,
    text: Vec<char>,
    /// The position of the next character.
    at: usize,
    tokens: Vec<Token>,
    /// The open braces, the innermost one last.
    open: Vec<OpenBrace>,
}

/// An opening brace whose closing brace was not parsed yet.
struct OpenBrace {
    /// The position of the first character inside.
    start: usize,
    has_comma: bool,
}

impl Lexer<'_> {
    fn tokens(mut self) -> Result<Vec<Token>, InvalidGlob> {
        while let Some(c) = self.text.get(self.at).copied() {
            self.check_dialect(c)?;
            self.at += 1;
            let token = self.token(c)?;
            self.tokens.push(token);
        }
        if self.open.is_empty() {
            Ok(self.tokens)
        } else {
            Err(self.parser.syntax("a `{` without a `}`"))
        }
    }

    /// Rejects groups such as `@(a|b)`, and a `!` at the beginning of a pattern or of an
    /// alternative.
    fn check_dialect(&self, c: char) -> Result<(), InvalidGlob> {
        let is_group = matches!(c, '@' | '!' | '+' | '?' | '*');
        if is_group && self.text.get(self.at + 1) == Some(&'(') {
            let instead = "write `{a,b}`, or `[(]` for a parenthesis";
            return Err(self.parser.unsupported(&format!("{c}("), instead));
        }
        let begins = matches!(self.tokens.last(), None | Some(Token::Open | Token::Comma));
        if c == '!' && begins {
            return Err(InvalidGlob::Negated(self.parser.pattern.to_owned()));
        }
        Ok(())
    }

    /// The token that begins with `c`, the character before the current position.
    fn token(&mut self, c: char) -> Result<Token, InvalidGlob> {
        match c {
            '\\' => self.escaped(),
            '/' => Ok(Token::Slash),
            '?' => Ok(Token::One),
            '*' => self.stars(),
            '[' => {
                let (class, end) = self.parser.class(&self.text, self.at)?;
                self.at = end;
                Ok(Token::Class(class))
            }
            '{' => self.open_brace(),
            ',' => Ok(match self.open.last_mut() {
                Some(open) => {
                    open.has_comma = true;
                    Token::Comma
                }
                None => Token::Char(','),
            }),
            '}' => self.close_brace(),
            c => Ok(Token::Char(c)),
        }
    }

    /// The character after a `\`.
    fn escaped(&mut self) -> Result<Token, InvalidGlob> {
        let escaped = self.text.get(self.at).copied();
        self.at += 1;
        match escaped {
            Some('/') => Ok(Token::Slash),
            Some(c) => Ok(Token::Char(c)),
            None => Err(self.parser.syntax("a `\\` escapes nothing")),
        }
    }

    /// All consecutive stars after the first one.
    fn stars(&mut self) -> Result<Token, InvalidGlob> {
        let rest = &self.text[self.at..];
        let more = rest.iter().take_while(|c| **c == '*').count();
        self.at += more;
        match more {
            0 => Ok(Token::Many),
            1 => Ok(Token::Deep),
            _ => Err(self.parser.part_of_a_segment("***")),
        }
    }

    fn open_brace(&mut self) -> Result<Token, InvalidGlob> {
        self.open.push(OpenBrace {
            start: self.at,
            has_comma: false,
        });
        if self.open.len() > MAX_NESTING {
            let excess = format!("braces are nested more than {MAX_NESTING} deep");
            return Err(self.parser.too_large(excess));
        }
        Ok(Token::Open)
    }

    /// Closes the innermost brace. A range such as `{1..3}` is rejected.
    fn close_brace(&mut self) -> Result<Token, InvalidGlob> {
        let open = self.open.pop();
        let open = open.ok_or_else(|| self.parser.syntax("a `}` without a `{`"))?;
        let inside: String = self.text[open.start..self.at - 1].iter().collect();
        if !open.has_comma && inside.contains("..") {
            let construct = format!("{{{inside}}}");
            return Err(self.parser.unsupported(&construct, "write `{1,2,3}`"));
        }
        Ok(Token::Close)
    }
}

/// The simplest segment that matches the same names.
fn simplified(wild: Vec<Wild>) -> Segment {
    let text = |wild: &[Wild]| {
        wild.iter()
            .map(|one| match one {
                Wild::Char(c) => Some(*c),
                _ => None,
            })
            .collect::<Option<String>>()
    };
    if let Some(name) = text(&wild) {
        return Segment::Literal(name);
    }
    if wild == [Wild::Many] {
        return Segment::Any;
    }
    let star = wild.iter().position(|one| *one == Wild::Many);
    let around = star.and_then(|at| text(&wild[..at]).zip(text(&wild[at + 1..])));
    match around {
        Some((prefix, suffix)) => Segment::Affixes(prefix, suffix),
        None => Segment::Wild(wild),
    }
}

/// The member of a class at `at`, and the position behind it. A `\` escapes.
fn member(text: &[char], at: usize) -> Option<(char, usize)> {
    match *text.get(at)? {
        '\\' => Some((*text.get(at + 1)?, at + 2)),
        c => Some((c, at + 1)),
    }
}

/// The expansion of one pattern's braces, with its remaining budget of tokens.
struct Expansion<'p> {
    parser: &'p Parser<'p>,
    budget: usize,
}

impl Expansion<'_> {
    /// The alternatives up to the end of the list or of the pattern.
    fn list(
        &mut self,
        tokens: &mut std::vec::IntoIter<Token>,
    ) -> Result<Vec<Vec<Token>>, InvalidGlob> {
        let mut finished = Vec::new();
        let mut current: Vec<Vec<Token>> = vec![Vec::new()];
        while let Some(token) = tokens.next() {
            match token {
                Token::Close => break,
                Token::Comma => {
                    finished.append(&mut current);
                    current.push(Vec::new());
                }
                Token::Open => {
                    let choices = self.list(tokens)?;
                    current = self.combined(&current, &choices)?;
                }
                token => {
                    self.spend(current.len())?;
                    for alternative in &mut current {
                        alternative.push(token.clone());
                    }
                }
            }
            if finished.len() + current.len() > MAX_ALTERNATIVES {
                return Err(self.excess());
            }
        }
        finished.append(&mut current);
        Ok(finished)
    }

    /// Appends each of `choices` to each of `before`. The size is checked before anything is
    /// copied.
    fn combined(
        &mut self,
        before: &[Vec<Token>],
        choices: &[Vec<Token>],
    ) -> Result<Vec<Vec<Token>>, InvalidGlob> {
        if before.len() * choices.len() > MAX_ALTERNATIVES {
            return Err(self.excess());
        }
        let mut combined = Vec::with_capacity(before.len() * choices.len());
        for start in before {
            for choice in choices {
                self.spend(start.len() + choice.len())?;
                combined.push([start.as_slice(), choice].concat());
            }
        }
        Ok(combined)
    }

    /// Subtracts `tokens` from the budget. An error if the budget is used up.
    fn spend(&mut self, tokens: usize) -> Result<(), InvalidGlob> {
        self.budget = self
            .budget
            .checked_sub(tokens)
            .ok_or_else(|| self.excess())?;
        Ok(())
    }

    /// The error of braces that expand to too many alternatives or tokens.
    fn excess(&self) -> InvalidGlob {
        self.parser.too_large(format!(
            "its braces expand to more than {MAX_ALTERNATIVES} alternatives"
        ))
    }
}

/// A pattern without a leading `./`.
pub(crate) fn without_dot(pattern: &str) -> &str {
    let mut rest = pattern;
    while let Some(below) = rest.strip_prefix("./") {
        rest = below;
    }
    rest
}
