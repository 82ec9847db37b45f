use proptest::prelude::*;

use super::*;
use crate::workspace::claims::{ClaimPatterns, MappingPatterns};

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
        ..ClaimPatterns::default()
    };
    Project {
        prune,
        ..Project::claiming(patterns)
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
        "a",
        "b/",
        "**/*[!a]*.md",
        "{a,b/**}/c",
    ])
    .prop_map(str::to_owned)
}

/// Files that are not below one another.
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
    /// After a plan, exactly the source files are at the claimed paths, everything else is as it
    /// was, and another plan is empty.
    #[test]
    fn a_plan_changes_claimed_paths_only(
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
        // A scan rejects sources whose destinations are nested.
        let below = |a: &BString, b: &BString| a.starts_with(&[b.as_slice(), b"/"].concat());
        prop_assume!(!snapshot.files.keys().any(|a| snapshot.files.keys().any(|b| below(a, b))));
        let mut listing = Listing::default();
        listing.entries.extend(codex.iter().map(|(path, file)| (path.as_str().into(), entry(*file))));
        let plan = match plan(&project, &snapshot, &listing, DeletePolicy::Unlimited) {
            Decision::Ready(plan) | Decision::UpToDate(plan) => plan,
            Decision::Withheld(_, Withheld::Obstructed { .. }) => return Ok(()),
            Decision::Withheld(_, other) => panic!("{other}"),
        };
        let after = plan.apply_to(&listing);
        for (path, file) in &snapshot.files {
            prop_assert_eq!(after.entries.get(path), Some(&Entry { mode: file.mode, id: file.id }));
        }
        for (path, entry) in &listing.entries {
            let owned = project.claims.owns(path);
            if !owned && (!prune || project.claims.is_excluded_path(path)) {
                prop_assert_eq!(after.entries.get(path), Some(entry), "{} is not claimed", path);
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

proptest! {
    /// A tree that is equal on both sides is never changed, whatever the patterns.
    #[test]
    fn equal_trees_are_never_changed(
        include in prop::collection::vec(pattern(), 0..3),
        exclude in prop::collection::vec(pattern(), 0..2),
        files in prop::collection::btree_map(path(), (0..3u8, any::<bool>()), 0..10).prop_map(tree),
    ) {
        let project = project(include, exclude, None, false);
        let mut snapshot = Snapshot::default();
        let mut listing = Listing::default();
        for (path, (content, executable)) in &files {
            listing.entries.insert(path.as_str().into(), entry((*content, *executable)));
            for claim in project.claims.claim(path.as_bytes()) {
                snapshot.files.insert(claim.destination.into(), file(path, *content, *executable));
            }
        }
        let decision = plan(&project, &snapshot, &listing, DeletePolicy::Unlimited);
        prop_assert!(matches!(&decision, Decision::UpToDate(_)), "{:?}", decision);
    }
}

/// An entry with a name that could never be published obstructs files like any other entry, and is
/// never deleted.
#[test]
fn unpublishable_names_count_as_present() {
    let project = project(vec!["docs/**".into()], Vec::new(), None, true);
    for odd in [
        "docs/lib/.gitmodules",
        "docs/lib/.git/x",
        "docs/lib/",
        "docs/lib/a\0b",
        "docs/lib/..",
    ] {
        let mut listing = Listing::default();
        listing.entries.insert(odd.into(), entry((0, false)));
        let mut snapshot = Snapshot::default();
        let kept = plan(&project, &snapshot, &listing, DeletePolicy::Unlimited);
        assert!(
            matches!(&kept, Decision::UpToDate(plan) if plan.unmanaged == 1),
            "{odd} {kept:?}"
        );
        snapshot
            .files
            .insert("docs/lib".into(), file("docs/lib", 1, false));
        let decision = plan(&project, &snapshot, &listing, DeletePolicy::Unlimited);
        let Decision::Withheld(_, Withheld::Obstructed { obstacle, mode, .. }) = decision else {
            panic!("{odd} {decision:?}")
        };
        assert_eq!(
            (obstacle, mode),
            ("projects/alpha/docs/lib".into(), Mode::Directory)
        );
    }
}

#[test]
fn files_deleted_by_prune_do_not_count_as_claimed() {
    let project = project(vec!["docs/**".into()], Vec::new(), None, true);
    let mut listing = Listing::default();
    for number in 0..40 {
        listing
            .entries
            .insert(format!("other/{number}").into(), entry((0, false)));
    }
    let mut snapshot = Snapshot::default();
    for number in 0..4 {
        let path = format!("docs/{number}");
        listing
            .entries
            .insert(path.as_str().into(), entry((0, false)));
        snapshot
            .files
            .insert(path.as_str().into(), file(&path, 0, false));
    }
    let decision = plan(&project, &snapshot, &listing, DeletePolicy::Guarded);
    let Decision::Withheld(_, reason) = decision else {
        panic!("{decision:?}")
    };
    let expected = Withheld::TooManyDeletions {
        from: DeletedFrom::Codex,
        deleted: 0,
        pruned: 40,
        claimed: 4,
    };
    assert_eq!(reason, expected);
    assert_eq!(
        reason.to_string(),
        "0 of 4 files and 40 unclaimed files would be deleted from the codex"
    );
}
