//! Checks claims with arbitrary patterns and paths: source and destination match in both
//! directions, a destination never leaves the project's directory, and the walk enters every
//! directory above a claimed file.
#![no_main]

use arbitrary::Arbitrary;
use fractary_codex::internals::{ClaimPatterns, Claims, MappingPatterns, check_segment};
use libfuzzer_sys::fuzz_target;

/// A piece of a pattern. Patterns are made of pieces, because random bytes would rarely contain the
/// special characters of globs.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Piece {
    Text(Letter),
    Slash,
    Star,
    Stars,
    Any,
    Open,
    Comma,
    Close,
    ClassOpen,
    Negation,
    ClassClose,
    Escape,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Letter {
    A,
    B,
    Dot,
    Md,
    Env,
    Wide,
    Dash,
    Brace,
}

impl Letter {
    fn text(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Dot => ".",
            Self::Md => ".md",
            Self::Env => ".env",
            Self::Wide => "ü",
            Self::Dash => "-",
            Self::Brace => "}",
        }
    }
}

impl Piece {
    fn text(self) -> &'static str {
        match self {
            Self::Text(letter) => letter.text(),
            Self::Slash => "/",
            Self::Star => "*",
            Self::Stars => "**",
            Self::Any => "?",
            Self::Open => "{",
            Self::Comma => ",",
            Self::Close => "}",
            Self::ClassOpen => "[",
            Self::Negation => "!",
            Self::ClassClose => "]",
            Self::Escape => "\\",
        }
    }
}

type Pattern = Vec<Piece>;

#[derive(Arbitrary, Debug)]
struct Input {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    mappings: Vec<(Pattern, Vec<Letter>, bool, Vec<Pattern>)>,
    default_excludes: bool,
    source: Vec<Vec<Letter>>,
    below: Vec<Vec<Letter>>,
}

fn pattern(pieces: &Pattern) -> String {
    pieces.iter().map(|piece| piece.text()).collect()
}

fn patterns(list: &[Pattern]) -> Vec<String> {
    list.iter().map(pattern).collect()
}

/// Joins the segments of a path; `None` if a walk or a tree cannot contain such a path.
fn path(segments: &[Vec<Letter>]) -> Option<Vec<u8>> {
    let segments: Vec<String> = segments.iter().map(|s| s.iter().map(|letter| letter.text()).collect()).collect();
    (!segments.is_empty() && segments.iter().all(|s| check_segment(s.as_bytes()).is_ok()))
        .then(|| segments.join("/").into_bytes())
}

fuzz_target!(|input: Input| {
    let mappings = input.mappings.iter().map(|(from, to, directory, exclude)| MappingPatterns {
        from: pattern(from),
        to: to.iter().map(|letter| letter.text()).chain(directory.then_some("/")).collect(),
        exclude: patterns(exclude),
    });
    let given = ClaimPatterns {
        include: patterns(&input.include),
        exclude: patterns(&input.exclude),
        mappings: mappings.collect(),
        default_excludes: input.default_excludes,
        ..ClaimPatterns::default()
    };
    let Ok(claims) = Claims::new(given.clone()) else { return };
    if let Some(source) = path(&input.source) {
        for claim in claims.claim(&source) {
            let to = &claim.destination;
            assert!(to.split(|b| *b == b'/').all(|segment| check_segment(segment).is_ok()), "leaves the project's directory");
            assert!(claims.owns(to), "claimed, but not owned");
            let single = claims.files_fed_by(&source, false).contains(&to.as_slice());
            assert!(single || claims.sources(to).contains(&source), "claimed, but not a source");
            assert!(claims.reaching(&source).contains(&claim.pattern), "claimed, but not reached");
            for (slash, _) in source.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                assert!(claims.can_hold(&source[..slash]), "the walk does not enter this directory");
            }
        }
    }
    if let Some(below) = path(&input.below) {
        for source in claims.sources(&below) {
            assert!(claims.owns(&below), "has a source, but is not owned");
            assert!(claims.claim(&source).iter().any(|claim| claim.destination == below), "owned, but not claimed");
        }
        let _ = claims.is_excluded_path(&below);
    }
});
