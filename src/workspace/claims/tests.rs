use proptest::prelude::*;

use super::*;

fn claims(include: &[&str], exclude: &[&str], mappings: &[(&str, &str)]) -> Claims {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    Claims::new(ClaimPatterns {
        include: owned(include),
        exclude: owned(exclude),
        mappings: mappings
            .iter()
            .map(|(from, to)| MappingPatterns {
                from: (*from).into(),
                to: (*to).into(),
                exclude: Vec::new(),
            })
            .collect(),
        default_excludes: true,
        ..ClaimPatterns::default()
    })
    .unwrap()
}

fn destinations(claims: &Claims, source: &str) -> Vec<String> {
    claims
        .claim(source.as_bytes())
        .into_iter()
        .map(|c| String::from_utf8(c.destination).unwrap())
        .collect()
}

#[test]
fn a_mapping_keeps_what_follows_its_literal_lead() {
    let claims = claims(
        &[],
        &[],
        &[
            ("docs/**/*.md", "guides/"),
            ("api/openapi.yaml", "api/"),
            ("NOTICE", "legal.txt"),
        ],
    );
    assert_eq!(destinations(&claims, "docs/a/b.md"), ["guides/a/b.md"]);
    assert_eq!(
        destinations(&claims, "api/openapi.yaml"),
        ["api/openapi.yaml"]
    );
    assert_eq!(destinations(&claims, "NOTICE"), ["legal.txt"]);
    assert!(claims.owns(b"guides/a/b.md") && claims.owns(b"legal.txt"));
    assert!(!claims.owns(b"docs/a/b.md") && !claims.owns(b"guides/a/b.txt"));
}

#[test]
fn excludes_hold_at_any_depth_and_stop_the_walk() {
    let claims = claims(
        &["docs/**", "src/*/doc/**"],
        &["docs/drafts/**", "**/*.tmp"],
        &[],
    );
    for out in [
        "docs/drafts/a.md",
        "docs/x.tmp",
        "docs/node_modules/a.md",
        "docs/a/.env.local",
        "docs/a.log",
    ] {
        assert!(
            claims.claim(out.as_bytes()).is_empty() && !claims.owns(out.as_bytes()),
            "{out}"
        );
        assert!(claims.is_excluded_path(out.as_bytes()), "{out}");
    }
    for (directory, entered) in [
        ("docs", true),
        ("docs/a/b", true),
        ("docs/drafts", false),
        ("src", true),
        ("src/x", true),
        ("src/x/y", false),
        ("lib", false),
        ("docs/node_modules", false),
    ] {
        assert_eq!(
            claims.can_hold(directory.as_bytes()),
            entered,
            "{directory}"
        );
    }
}

#[test]
fn a_brace_that_crosses_segments_hides_no_directory() {
    for (pattern, source) in [
        ("{x/y,z}/a.md", "x/y/a.md"),
        ("{x\\},d/e}/a.md", "d/e/a.md"),
        ("[}]{x/y,z}", "}x/y"),
        ("{x[}]/y,z}", "x}/y"),
        ("x[!/]y/a.md", "xzy/a.md"),
    ] {
        let claims = claims(&[pattern], &[], &[]);
        assert!(
            !claims.claim(source.as_bytes()).is_empty(),
            "{pattern} {source}"
        );
        for (slash, _) in source.match_indices('/') {
            assert!(
                claims.can_hold(&source.as_bytes()[..slash]),
                "{pattern} {source}"
            );
        }
    }
}

#[test]
fn a_single_file_filled_by_a_glob_stays_the_projects_own() {
    // The exclude takes the pattern's own text, but not every source.
    let claims = claims(&[], &["docs/[*]/*.md"], &[("docs/*/a.md", "one.md")]);
    assert_eq!(destinations(&claims, "docs/x/a.md"), ["one.md"]);
    assert!(claims.owns(b"one.md"));
}

#[test]
fn a_single_file_is_owned_if_the_excludes_leave_a_source() {
    for (from, exclude, owned) in [
        ("docs/**/x.md", "docs", false),
        ("docs/**/x.md", "docs/**", false),
        ("docs/**/x.md", "**/x.md", false),
        ("docs/**/x.md", "docs/*/x.md", true),
        ("docs/**/x.md", "docs/a", true),
        ("NOTICE", "NOTICE", false),
        ("NOTICE", "NOTICE/a", true),
        ("NOTICE", "*", false),
        ("docs/[ab].md", "docs/a.md", true),
        ("docs/?.md", "docs/[!a].md", true),
        ("docs/*", "docs/[!a]*", true),
        ("docs/[a]", "docs/[!b]", false),
    ] {
        let claims = claims(&[], &[exclude], &[(from, "one.md")]);
        assert_eq!(claims.owns(b"one.md"), owned, "{from} without {exclude}");
        assert_eq!(
            claims.is_excluded_path(b"one.md"),
            !owned,
            "{from} without {exclude}"
        );
    }
}

#[test]
fn a_directory_that_is_not_entered_feeds_the_files_that_a_glob_fills() {
    let claims = claims(
        &[],
        &["docs/old"],
        &[("docs/**/x.md", "one.md"), ("lib/*", "two.md")],
    );
    for (source, below, fed) in [
        ("docs/ext", true, vec!["one.md"]),
        ("docs/ext", false, vec![]),
        ("docs/x.md", false, vec!["one.md"]),
        ("docs/old", true, vec![]),
        ("docs/old/ext", true, vec![]),
        ("lib/ext", false, vec!["two.md"]),
        ("lib", true, vec!["two.md"]),
        ("src", true, vec![]),
    ] {
        let expected: Vec<&[u8]> = fed.into_iter().map(str::as_bytes).collect();
        assert_eq!(
            claims.files_fed_by(source.as_bytes(), below),
            expected,
            "{source}"
        );
    }
}

#[test]
fn a_default_exclude_of_a_literal_segment_is_found() {
    let claims = claims(
        &[
            "docs/.env.example",
            "docs/**",
            "{x,node_modules}/a.md",
            "*.log",
        ],
        &[],
        &[],
    );
    let found = claims.rules().map(|rule| claims.default_exclude_of(rule));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [Some(".env*"), None, Some("node_modules"), None]
    );
}

#[test]
fn all_invalid_patterns_are_reported() {
    let patterns = ClaimPatterns {
        include: vec![
            "!docs".into(),
            "[".into(),
            "../x".into(),
            "/abs".into(),
            String::new(),
        ],
        mappings: vec![MappingPatterns {
            from: "a".into(),
            to: "../b".into(),
            exclude: Vec::new(),
        }],
        ..ClaimPatterns::default()
    };
    assert_eq!(Claims::new(patterns).unwrap_err().len(), 6);
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab]{1,2}",
        "[ab]\\.md",
        Just("**".to_owned()),
        Just("*".to_owned()),
        Just("*.md".to_owned()),
        Just("{a,b}".to_owned()),
        Just("[ab]".to_owned())
    ]
}

fn pattern() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 1..4).prop_map(|segments| segments.join("/"))
}

proptest! {
    /// A path that is claimed is also owned, its source is among the sources of that path, and the
    /// walk enters each directory above it.
    #[test]
    fn claims_read_the_same_in_both_directions(
        include in prop::collection::vec(pattern(), 0..3),
        exclude in prop::collection::vec(pattern(), 0..2),
        from in pattern(),
        to in "[xy]{1,2}/",
        source in prop::collection::vec("[ab]{1,2}(\\.md)?", 1..4).prop_map(|s| s.join("/")),
    ) {
        let mappings = vec![MappingPatterns { from, to, exclude: Vec::new() }];
        let claims = Claims::new(ClaimPatterns { include, exclude, mappings, ..ClaimPatterns::default() }).unwrap();
        for claim in claims.claim(source.as_bytes()) {
            prop_assert!(claims.owns(&claim.destination));
            prop_assert!(claims.reaching(source.as_bytes()).contains(&claim.pattern));
            prop_assert!(claims.sources(&claim.destination).contains(&source.clone().into_bytes()));
            for (slash, _) in source.match_indices('/') {
                prop_assert!(claims.can_hold(&source.as_bytes()[..slash]));
            }
        }
    }
}
