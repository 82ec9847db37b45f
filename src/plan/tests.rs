use proptest::prelude::*;

use super::*;
use crate::config::Direction;
use crate::workspace::mapping::{ClaimPatterns, Claims, MappingPatterns};
use crate::workspace::project::{DeleteGuard, ScanPolicy};

fn project(
    include: Vec<String>,
    exclude: Vec<String>,
    mapping: Option<(String, String)>,
    prune: bool,
) -> Project {
    let mappings = mapping
        .into_iter()
        .map(|(from, to)| MappingPatterns {
            from,
            to,
            exclude: Vec::new(),
        })
        .collect();
    let patterns = ClaimPatterns {
        include,
        exclude,
        mappings,
        default_excludes: false,
    };
    Project {
        name: "alpha".parse().unwrap(),
        root: "/nowhere".into(),
        to: CodexPath::new(b"projects/alpha").unwrap(),
        direction: Direction::ToCodex,
        claims: Claims::new(patterns).unwrap(),
        from_codex: Default::default(),
        scan: ScanPolicy {
            symlinks: Symlinks::FollowInside,
            max_file_size: u64::MAX,
            respect_gitignore: false,
            never: Default::default(),
        },
        prune,
        delete_guard: DeleteGuard {
            files: 20,
            percent: 50,
        },
        cache_dir: Default::default(),
    }
}

fn file(source: &str, content: u8, executable: bool) -> SourceFile {
    let mode = if executable {
        Mode::Executable
    } else {
        Mode::File
    };
    SourceFile {
        source: source.into(),
        id: object::hash(Kind::Blob, &[content]),
        mode,
        size: 1,
    }
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("(a|b|c)(\\.md)?", 1..4).prop_map(|segments| segments.join("/"))
}

fn pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "**",
        "a/**",
        "*.md",
        "**/*.md",
        "b/*",
        "{a,b}/**",
        "c/**/a.md",
    ])
    .prop_map(str::to_owned)
}

/// Paths of files: none lies below another.
fn tree(paths: BTreeMap<String, (u8, bool)>) -> BTreeMap<String, (u8, bool)> {
    let below = |a: &str, b: &str| a.starts_with(&format!("{b}/"));
    let clean = |path: &String| !paths.keys().any(|other| below(path, other));
    paths
        .iter()
        .filter(|(path, _)| clean(path))
        .map(|(path, file)| (path.clone(), *file))
        .collect()
}

fn entry((content, executable): (u8, bool)) -> Entry {
    let file = file("", content, executable);
    Entry {
        mode: file.mode,
        id: file.id,
    }
}

proptest! {
    /// Carried out, a plan leaves exactly the claimed source files, and everything that is not claimed as it was;
    /// planned again, nothing is left to do.
    #[test]
    fn a_plan_does_what_it_says_and_nothing_else(
        include in prop::collection::vec(pattern(), 0..3),
        exclude in prop::collection::vec(pattern(), 0..2),
        mapping in prop::option::of((pattern(), "(to/|x/y/|a/)")),
        prune in any::<bool>(),
        source in prop::collection::btree_map(path(), (0..3u8, any::<bool>()), 0..10).prop_map(tree),
        codex in prop::collection::btree_map(path(), (0..3u8, any::<bool>()), 0..10).prop_map(tree),
    ) {
        let project = project(include, exclude, mapping, prune);
        let mut snapshot = Snapshot::default();
        for (path, (content, executable)) in &source {
            for claim in project.claims.claim(path.as_bytes()) {
                snapshot.files.insert(claim.destination.into(), file(path, *content, *executable));
            }
        }
        // Two sources for one place, or one below the other, are refused before there is a plan.
        let below = |a: &BString, b: &BString| a.starts_with(&[b.as_slice(), b"/"].concat());
        prop_assume!(!snapshot.files.keys().any(|a| snapshot.files.keys().any(|b| below(a, b))));
        let mut listing = Listing::default();
        listing.entries.extend(codex.iter().map(|(path, file)| (path.as_str().into(), entry(*file))));
        let plan = match plan(&project, &snapshot, &listing, DeletePolicy::Unlimited) {
            Decision::Go(plan) | Decision::UpToDate(plan) => plan,
            Decision::Withheld(_, Withheld::Obstructed { .. }) => return Ok(()),
            Decision::Withheld(_, other) => panic!("{other}"),
        };
        let after = listing.after(&plan);
        for (path, file) in &snapshot.files {
            prop_assert_eq!(after.entries.get(path), Some(&Entry { mode: file.mode, id: file.id }));
        }
        for (path, entry) in &listing.entries {
            let owned = project.claims.owns(path);
            if !owned && (!prune || project.claims.is_excluded_path(path)) {
                prop_assert_eq!(after.entries.get(path), Some(entry), "{} is nobody's here", path);
            }
            if owned && !snapshot.files.contains_key(path) {
                prop_assert!(!after.entries.contains_key(path));
            }
        }
        for path in after.entries.keys() {
            prop_assert!(snapshot.files.contains_key(path) || listing.entries.contains_key(path));
        }
        let again = super::plan(&project, &snapshot, &after, DeletePolicy::Guarded);
        prop_assert!(matches!(&again, Decision::UpToDate(plan) if plan.changes.is_empty()), "{:?}", again);
    }
}
