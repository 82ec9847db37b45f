use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::workspace::claims::{ClaimPatterns, MappingPatterns};

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!["a", "b", "ab", "ü.md", "x.md", "_a.md"]),
        1..4,
    )
    .prop_map(|names| names.join("/"))
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec![
        "a",
        "b",
        "x.md",
        "*",
        "**",
        "?",
        "*.md",
        "[ab]",
        "[!a]",
        "[!_]*.md",
        "{a,b}",
        "{a/b,x.md}",
        "{**,a}",
    ]);
    (prop::collection::vec(segment, 1..4), any::<bool>())
        .prop_map(|(segments, directory)| segments.join("/") + if directory { "/" } else { "" })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The walk finds exactly the files that the patterns claim: pruning a directory never loses
    /// one.
    #[test]
    fn the_walk_finds_every_claimed_file(
        include in prop::collection::vec(pattern(), 0..3),
        exclude in prop::collection::vec(pattern(), 0..3),
        from in pattern(),
        not in pattern(),
        paths in prop::collection::btree_set(path(), 1..12),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let is_file = |path: &&String| !paths.iter().any(|other| other.starts_with(&format!("{path}/")));
        let files: BTreeSet<_> = paths.iter().filter(is_file).collect();
        for file in &files {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        let mappings = vec![MappingPatterns { from, to: "m/".into(), exclude: vec![not] }];
        let project = Project::claiming(ClaimPatterns { include, exclude, mappings, ..ClaimPatterns::default() });
        let walked = walk(&project, &root).unwrap();
        let found: BTreeSet<_> = walked.files.iter().map(|file| file.source.to_string()).collect();
        let claimed = files.iter().filter(|file| !project.claims.claim(file.as_bytes()).is_empty());
        prop_assert_eq!(found, claimed.map(|file| (*file).clone()).collect());
        for rule in project.claims.rules() {
            let matches = files.iter().any(|file| project.claims.matching(file.as_bytes()).contains(&rule));
            prop_assert_eq!(walked.unmatched.contains(&rule), !matches);
        }
    }
}
