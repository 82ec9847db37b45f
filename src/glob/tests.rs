use proptest::prelude::*;

use super::*;

fn glob(pattern: &str) -> Glob {
    Glob::new(pattern).unwrap()
}

fn matching<'p>(glob: &Glob, paths: &[&'p str]) -> Vec<&'p str> {
    let matches = |path: &&&str| glob.matches(path.as_bytes());
    paths.iter().filter(matches).copied().collect()
}

/// The older tool matched with micromatch, and so does every pattern here, with dot files like any
/// other, except for three habits that are not relied on: there `docs/**` also matches a file
/// `docs`, `a/**/b/**` a file `a/b`, and `[!ab]` is no negation. Here they mean what they mean to
/// git and minimatch.
#[test]
fn globs_mean_what_they_meant_to_the_older_tool() {
    let mut lines = include_str!("globs.tsv")
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let paths = lines.next().unwrap();
    for line in lines {
        let (pattern, expected) = (line[0], &line[1..]);
        assert_eq!(matching(&glob(pattern), &paths), expected, "{pattern}");
    }
}

#[test]
fn wildcards_and_classes_never_match_a_slash() {
    for pattern in [
        "docs?a.md",
        "docs*a.md",
        "docs[!x]a.md",
        "docs[+-9]a.md",
        "docs[^/]a.md",
    ] {
        assert!(!glob(pattern).matches(b"docs/a.md"), "{pattern}");
    }
    assert!(glob("docs/*[!_]*.md").matches(b"docs/ab.md"));
    assert!(!glob("docs/*[!_]*.md").matches(b"docs/sub/theirs.md"));
}

#[test]
fn characters_are_matched_and_each_invalid_byte_is_one() {
    for (pattern, name, expected) in [
        ("?.md", "ü.md".as_bytes(), true),
        ("[äöü].md", "ü.md".as_bytes(), true),
        ("[ä-ü].md", "ö.md".as_bytes(), true),
        ("[!ä].md", "ö.md".as_bytes(), true),
        ("[!ö].md", "ö.md".as_bytes(), false),
        ("??.md", "ü.md".as_bytes(), false),
        ("?.md", b"\xff.md", true),
        ("?.md", b"\xe2\x82.md", false),
        ("??.md", b"\xe2\x82.md", true),
        ("[!a].md", b"\xff.md", true),
        ("[\u{80}-\u{10ffff}].md", b"\xff.md", false),
        ("*é", "xé".as_bytes(), true),
        ("*é", b"\xe2\xc3\xa9", true),
        ("?é", b"\xe2\xc3\xa9", true),
    ] {
        assert_eq!(glob(pattern).matches(name), expected, "{pattern} {name:?}");
    }
}

#[test]
fn braces_may_hold_slashes_and_double_stars() {
    for (pattern, yes, no) in [
        ("docs/{**,x}", "docs/a/b", "src/a"),
        ("{a,b/**}/c", "b/x/y/c", "a/x/c"),
        ("{a,b/**}/c", "b/c", "c"),
        ("{,docs/}x.md", "docs/x.md", "/x.md"),
        ("docs{/,/x/}a", "docs/x/a", "docs/y/a"),
        ("{x[}]/y,z}", "x}/y", "x/y"),
        ("{x\\},d/e}/a.md", "d/e/a.md", "d/a.md"),
        ("{*,x}*", "abc", "a/b"),
    ] {
        assert!(glob(pattern).matches(yes.as_bytes()), "{pattern} {yes}");
        assert!(!glob(pattern).matches(no.as_bytes()), "{pattern} {no}");
    }
}

#[test]
fn unsupported_constructs_are_rejected_by_name() {
    for (pattern, construct) in [
        ("!docs/**", "`!` does not negate"),
        ("docs/{!a,b}", "`!` does not negate"),
        ("docs/@(secret|private)/**", "`@(`"),
        ("!(a)/**", "`!(`"),
        ("docs/+(a)", "`+(`"),
        ("docs/a?(b)", "`?(`"),
        ("docs/*(a)", "`*(`"),
        ("docs/{1..2}/**", "`{1..2}`"),
        ("{a..c}.md", "`{a..c}`"),
        ("[[:alpha:]].md", "`[:alpha:]`"),
        ("[x[=a=]].md", "`[=a=]`"),
        ("docs/a**", "`** as a part of a segment`"),
        ("docs/**.md", "`** as a part of a segment`"),
        ("docs/{a,b}**/c", "`** as a part of a segment`"),
        ("docs/***", "`*** as a part of a segment`"),
        ("docs//a", "`//`"),
        ("docs/[a/b].md", "never matches `/`"),
        ("[a-", "unclosed character class"),
        ("{a", "a `{` without a `}`"),
        ("a}", "a `}` without a `{`"),
        ("[z-a]", "ends before it begins"),
        ("a\\", "escapes nothing"),
        ("", "is empty"),
        ("{,}", "is empty"),
        ("/docs", "relative to the project's root"),
        ("docs/../x", "relative to the project's root"),
        ("{./a,b}", "relative to the project's root"),
    ] {
        let error = Glob::new(pattern).unwrap_err().to_string();
        assert!(error.contains(construct), "{pattern}: {error}");
    }
    for literal in [
        "docs/a (1).md",
        "docs/\\@(a)",
        "a@[(]b)",
        "\\!a",
        "a!b",
        "{a..b,c}",
    ] {
        assert!(Glob::new(literal).is_ok(), "{literal}");
    }
}

#[test]
fn no_pattern_is_too_large_to_be_rejected() {
    let nested = |depth: usize| "{".repeat(depth) + "a" + &"}".repeat(depth);
    let choices = |count: usize| "{a,b}".repeat(count);
    for (pattern, reason) in [
        (nested(100_000), "more than 4096"),
        (nested(33), "nested more than 32 deep"),
        ("a".repeat(1 << 20), "more than 4096"),
        (choices(10), "more than 1000 alternatives"),
        (choices(800), "more than 1000 alternatives"),
        (
            format!("{{{}}}", ",".repeat(2000)),
            "more than 1000 alternatives",
        ),
        ("a/".repeat(64), "more than 63 segments"),
    ] {
        let error = Glob::new(&pattern).unwrap_err().to_string();
        assert!(error.contains(reason) && error.len() < 400, "{error}");
        assert!(
            error.starts_with(
                &pattern
                    .chars()
                    .take(60)
                    .fold("`".to_owned(), |text, c| text + &c.to_string())
            ),
            "{error}"
        );
    }
    assert!(Glob::new(&nested(32)).is_ok());
    assert!(Glob::new(&choices(9)).is_ok());
}

#[test]
fn deep_paths_are_matched_in_linear_time() {
    let pattern = "**/a/".repeat(20) + "b";
    assert!(!glob(&pattern).matches("a/".repeat(2000).as_bytes()));
}

#[test]
fn an_exclude_covers_everything_below_a_match() {
    for (pattern, covered, file) in [
        ("docs/private", "docs/private", true),
        ("docs/private/", "docs/private", false),
        ("docs/private/*", "docs/private", false),
        ("docs/private/**", "docs/private", false),
        ("docs/private/**/", "docs/private", false),
        ("**/private/", "docs/private", false),
        ("**/private/", "private", false),
    ] {
        let glob = Glob::excluding(pattern).unwrap();
        assert!(glob.covers(covered.as_bytes()), "{pattern}");
        assert!(glob.covers(format!("{covered}/x").as_bytes()), "{pattern}");
        assert!(
            glob.matches(format!("{covered}/x/y.md").as_bytes()),
            "{pattern}"
        );
        assert_eq!(glob.matches(covered.as_bytes()), file, "{pattern}");
        assert!(
            !glob.matches(b"docs/other.md") && !glob.covers(b"docs"),
            "{pattern}"
        );
    }
}

#[test]
fn a_selection_covers_a_directory_that_it_names_literally() {
    for (pattern, yes, no) in [
        ("docs", "docs", "docs2"),
        ("docs", "docs/a/b", "x/docs"),
        ("docs/", "docs/a", "docs"),
        ("./docs", "docs/a", "./docs"),
        ("{docs,src}", "src/a", "a"),
        ("**/README.md", "x/README.md/y", "x/README.mdx"),
        ("docs/*", "docs/a", "docs/a/b"),
        ("docs/*/", "docs/a/b", "docs/a"),
        ("docs/**/", "docs/a", "docs"),
        ("**/", "a/b", "a"),
    ] {
        let glob = Glob::selecting(pattern).unwrap();
        assert!(glob.matches(yes.as_bytes()), "{pattern} {yes}");
        assert!(!glob.matches(no.as_bytes()), "{pattern} {no}");
    }
}

#[test]
fn an_escaped_text_matches_itself_alone() {
    for text in ["a", "projects/a@(b)", "{a,b}*?[x]", "!x", "ä\\b", "a..b"] {
        let glob = glob(&escape(text));
        assert!(glob.matches(text.as_bytes()), "{text}");
        assert!(!glob.matches(format!("{text}x").as_bytes()), "{text}");
        let [one] = glob.alternatives() else {
            panic!("{text}")
        };
        assert!(one.segments().iter().all(|one| one.literal().is_some()));
    }
}

fn segment() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a", "b", "ab", "ü", "*", "**", "?", "a*", "*b", "[ab]", "[!a]", "[!ü]", "{a,b}",
        "{a/b,ü}", "{**,a}", "a?*", "*[!b]",
    ])
    .prop_map(str::to_owned)
}

fn pattern() -> impl Strategy<Value = String> {
    (prop::collection::vec(segment(), 1..5), any::<bool>())
        .prop_map(|(segments, directory)| segments.join("/") + if directory { "/" } else { "" })
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!["a", "b", "ab", "ü", "aü", "ba"]),
        1..6,
    )
    .prop_map(|names| names.join("/"))
}

proptest! {
    /// The three questions about a path agree, and so does a set of patterns with its sieve.
    #[test]
    fn directories_and_files_are_matched_alike(
        patterns in prop::collection::vec(pattern(), Globs::WORTH_A_SIEVE),
        path in path(),
        below in path(),
    ) {
        let deeper = format!("{path}/{below}");
        for compile in [Glob::new, Glob::selecting, Glob::excluding] {
            let globs: Vec<_> = patterns.iter().map(|pattern| compile(pattern).unwrap()).collect();
            for glob in &globs {
                if glob.matches(deeper.as_bytes()) {
                    prop_assert!(glob.can_match_below(path.as_bytes()));
                }
                if glob.covers(path.as_bytes()) {
                    prop_assert!(glob.matches(deeper.as_bytes()));
                }
            }
            let expected: Vec<_> = (0..globs.len()).filter(|at| globs[*at].matches(path.as_bytes())).collect();
            let globs = Globs::new(globs);
            prop_assert!(globs.sieve.is_some());
            prop_assert_eq!(globs.matching(path.as_bytes()), expected);
        }
    }

    /// A specimen of a pattern is matched by it.
    #[test]
    fn specimens_match(pattern in pattern()) {
        let glob = Glob::selecting(&pattern).unwrap();
        for specimen in glob.specimens(OTHER).into_iter().chain(glob.specimens('a')) {
            prop_assert!(glob.matches(&specimen), "{:?}", String::from_utf8_lossy(&specimen));
        }
    }

    /// No text makes the parser fail other than by an error.
    #[test]
    fn any_text_is_parsed_or_rejected(text in "[a!@*?{},./\\[\\]():^-]{0,30}") {
        if let Ok(glob) = Glob::new(&text) {
            prop_assert!(glob.specimens(OTHER).iter().all(|specimen| glob.matches(specimen)), "{:?}", glob);
        }
    }
}
