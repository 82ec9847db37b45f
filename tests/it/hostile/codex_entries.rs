//! Malformed trees, commits and branches in the codex.

use std::fs;

use git2::ObjectType;

use super::{assert_harmless, workspace};
use crate::support::{Codex, Sandbox, World, tree_entry};

/// Makes `main` point to any object, or to none.
fn set_branch(codex: &Codex, id: &str) {
    fs::create_dir_all(codex.path().join("refs/heads")).unwrap();
    fs::write(codex.path().join("refs/heads/main"), format!("{id}\n")).unwrap();
}

/// The id of an object that does not exist.
pub(super) const GONE: &str = "1234567890123456789012345678901234567890";

/// Encodes entries of a tree, given the ids of a blob and of a tree.
type Encode = fn(&Codex, &str, &str) -> Vec<u8>;

/// The number of entries at the start of [`MALFORMED`] whose names no file can have.
const INVALID_NAMES: usize = 9;

/// Entries that git does not write: a label, a text that an error about them contains, and the
/// encoded entries.
const MALFORMED: [(&str, &str, Encode); 22] = [
    ("dot dot", "..", |_, blob, _| {
        tree_entry("100644", b"..", blob)
    }),
    ("dot dot directory", "..", |_, _, tree| {
        tree_entry("40000", b"..", tree)
    }),
    ("dot", ".", |_, _, tree| tree_entry("40000", b".", tree)),
    ("git file", ".git", |_, blob, _| {
        tree_entry("100644", b".git", blob)
    }),
    ("git directory", ".git", |_, _, tree| {
        tree_entry("40000", b".GIT", tree)
    }),
    ("no name", "", |_, blob, _| tree_entry("100644", b"", blob)),
    ("a slash", "a/b", |_, blob, _| {
        tree_entry("100644", b"a/b", blob)
    }),
    ("a directory with a slash", "docs/a.md", |_, _, tree| {
        tree_entry("40000", b"docs/a.md", tree)
    }),
    ("a path", "/etc/x", |_, blob, _| {
        tree_entry("100644", b"/etc/x", blob)
    }),
    ("two of one name", "twice", |_, blob, tree| {
        [
            tree_entry("100644", b"twice", blob),
            tree_entry("40000", b"twice", tree),
        ]
        .concat()
    }),
    ("unsorted", "z", |_, blob, _| {
        [
            tree_entry("100644", b"z", blob),
            tree_entry("100644", b"A", blob),
        ]
        .concat()
    }),
    ("a group's mode", "old", |_, blob, _| {
        tree_entry("100664", b"old", blob)
    }),
    ("a padded mode", "padded", |_, _, tree| {
        tree_entry("040000", b"padded", tree)
    }),
    ("no mode", "none", |_, blob, _| {
        tree_entry("0", b"none", blob)
    }),
    ("an escape", "\\u{1b}", |_, blob, _| {
        tree_entry("100644", b"\x1b[31mred", blob)
    }),
    ("not utf-8", "\\xff", |_, blob, _| {
        tree_entry("100644", b"\xff\xfe", blob)
    }),
    ("a backslash", "\\", |_, blob, _| {
        tree_entry("100644", b"a\\..\\b", blob)
    }),
    ("a drive", "C:", |_, blob, _| {
        tree_entry("100644", b"C:", blob)
    }),
    ("other case", "DOCS", |_, _, tree| {
        tree_entry("40000", b"DOCS", tree)
    }),
    ("nothing there", GONE, |_, _, _| {
        tree_entry("40000", b"gone", GONE)
    }),
    ("a long name", "n", |_, blob, _| {
        tree_entry("100644", "n".repeat(4000).as_bytes(), blob)
    }),
    ("a deep tree", "deep", |codex, _, tree| {
        tree_entry("40000", b"deep", &deep(codex, tree))
    }),
];

/// Writes a tree that contains `tree` two thousand levels deep, without starting a process per
/// level.
fn deep(codex: &Codex, tree: &str) -> String {
    let repository = git2::Repository::open(codex.path()).unwrap();
    let odb = repository.odb().unwrap();
    (0..2000).fold(tree.to_owned(), |tree, _| {
        odb.write(git2::ObjectType::Tree, &tree_entry("40000", b"d", &tree))
            .unwrap()
            .to_string()
    })
}

/// The encoded entries of a tree, except those of this name.
fn other_entries(codex: &Codex, tree: &str, without: &str) -> Vec<Vec<u8>> {
    let mut data = codex.read_object(tree);
    let mut found = Vec::new();
    while !data.is_empty() {
        let nul = data.iter().position(|byte| *byte == 0).unwrap();
        let rest = data.split_off(nul + 21);
        if !data[..nul].ends_with(format!(" {without}").as_bytes()) {
            found.push(data);
        }
        data = rest;
    }
    found
}

/// The id of a subtree. git rejects some of these trees, so the entries are decoded here.
pub(super) fn subtree(codex: &Codex, tree: &str, path: &[&str]) -> String {
    path.iter().fold(tree.to_owned(), |tree, name| {
        let data = codex.read_object(&tree);
        let wanted = format!("40000 {name}\0");
        let at = data
            .windows(wanted.len())
            .position(|window| window == wanted.as_bytes())
            .unwrap()
            + wanted.len();
        data[at..at + 20]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    })
}

/// The id of the root tree of `main`.
pub(super) fn root_of(codex: &Codex) -> String {
    let commit = codex.read_object(&codex.tip().unwrap());
    String::from_utf8_lossy(&commit[5..45]).into_owned()
}

/// Syncs with a codex that contains malformed entries. `level` is the tree that contains them: 0 is
/// the root tree, and each further level is one directory closer to the published file. The sync
/// either keeps the entries byte for byte, or fails without a change and names them.
#[track_caller]
fn assert_kept_or_named(
    sandbox: &Sandbox,
    codex: &Codex,
    level: usize,
    (label, word, encode): (&str, &str, Encode),
) {
    let path = ["projects", "alpha", "docs"];
    let blob = codex.blob(b"odd");
    let entries = encode(codex, &blob, &codex.plant(&[("100644", b"file", &blob)]));
    let mut tree: Option<String> = None;
    for at in (0..=path.len()).rev() {
        let mut data = if at == level {
            entries.clone()
        } else {
            Vec::new()
        };
        if let Some(inner) = &tree {
            data.extend(tree_entry("40000", path[at].as_bytes(), inner));
        }
        tree = Some(codex.object(ObjectType::Tree, &data));
    }
    codex.set_root(&tree.unwrap());
    let before = codex.tip();
    let output = sandbox.run(&["sync", "--all"]);
    let about = format!(
        "{label} at level {level}: {}{}",
        output.stdout, output.stderr
    );
    assert_harmless(&output);
    assert_eq!(sandbox.leftovers(), [""; 0], "{about}");
    if output.code != Some(0) {
        assert!(matches!(output.code, Some(1 | 4 | 5)), "{about}");
        assert_eq!(codex.tip(), before, "{about}");
        assert!(
            output.stderr.contains(word) && output.stderr.contains("hint: "),
            "{about}"
        );
        return;
    }
    assert_ne!(codex.tip(), before, "{about}");
    let after = root_of(codex);
    let here = subtree(codex, &after, &path[..level]);
    let ours = path.get(level).copied().unwrap_or("a.md");
    assert_eq!(
        other_entries(codex, &here, ours).concat(),
        entries,
        "{about}"
    );
    let docs = codex.read_object(&subtree(codex, &after, &path));
    assert!(
        docs.windows(12).any(|window| window == b"100644 a.md\0"),
        "{about}"
    );
    // The malformed entries do not cause another commit.
    let tip = codex.tip();
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.tip(), tip, "{about}");
}

/// Asserts this for every malformed entry in the tree at this level.
#[track_caller]
fn assert_all_kept_or_named(level: usize) {
    for malformed in MALFORMED {
        let World { sandbox, codex, .. } =
            workspace("  sync: { to_codex: { include: [docs/a.md] } }\n");
        assert_kept_or_named(&sandbox, &codex, level, malformed);
    }
}

#[test]
fn malformed_entries_in_the_root_are_kept_or_named() {
    assert_all_kept_or_named(0);
}

#[test]
fn malformed_entries_of_a_project_are_kept_or_named() {
    assert_all_kept_or_named(2);
}

#[test]
fn malformed_entries_next_to_a_published_file_are_kept_or_named() {
    assert_all_kept_or_named(3);
}

#[test]
fn entry_with_an_invalid_name_is_not_claimed_by_any_pattern() {
    for malformed in &MALFORMED[..INVALID_NAMES] {
        let World { sandbox, codex, .. } = workspace("");
        assert_kept_or_named(&sandbox, &codex, 3, *malformed);
    }
}

#[test]
fn duplicate_entry_is_not_changed() {
    for (ours, change) in [("README.md", "docs/a.md"), ("docs", "docs/a.md")] {
        let World { sandbox, codex, .. } = workspace("");
        sandbox.write("ws/alpha/README.md", "r");
        let blob = codex.blob(b"odd");
        let mut entries = [
            tree_entry("100644", ours.as_bytes(), &blob),
            tree_entry("100755", ours.as_bytes(), &blob),
        ]
        .concat();
        if ours == "docs" {
            let tree = codex.plant(&[("100644", b"b.md", &blob)]);
            entries = [
                tree_entry("40000", b"docs", &tree),
                tree_entry("40000", b"docs", &tree),
            ]
            .concat();
        }
        let alpha = codex.object(ObjectType::Tree, &entries);
        let projects = codex.plant(&[("40000", b"alpha", &alpha)]);
        codex.set_root(&codex.plant(&[("40000", b"projects", &projects)]));
        let before = codex.tip();
        let output = sandbox
            .run(&["sync", "--all", "--allow-mass-delete"])
            .code(4);
        assert!(
            output
                .stderr
                .contains(&format!("holds `{ours}` more than once")),
            "{change}: {}",
            output.stderr
        );
        assert_eq!(codex.tip(), before);
    }
}

#[test]
fn entry_in_place_of_a_directory_withholds_the_project() {
    for (path, mode) in [
        ("projects", "160000"),
        ("projects/alpha", "160000"),
        ("projects/alpha", "120000"),
        ("projects/alpha", "0"),
    ] {
        let World { sandbox, codex, .. } = workspace("");
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let blob = codex.blob(b"odd");
        let id = if mode == "120000" {
            blob.as_str()
        } else {
            GONE
        };
        let mut tree = codex.plant(&[(mode, name.as_bytes(), id)]);
        if !parent.is_empty() {
            tree = codex.plant(&[("40000", parent.as_bytes(), &tree)]);
        }
        codex.set_root(&tree);
        let before = codex.tip();
        let output = sandbox.run(&["sync", "--all"]).code(1);
        assert!(
            output.stderr.contains(&format!("`{path}` is a ")),
            "{path} {mode}: {}",
            output.stderr
        );
        assert_eq!(codex.tip(), before);
    }
}

#[test]
fn commit_with_malformed_headers_is_accepted_as_parent() {
    for headers in [
        "author nobody\ncommitter\n",
        "author Bob <b@b> 99999999999999999999 +0000\ncommitter Bob <b@b> -1 +9999\n",
        "author \x1b[31m <> 1 +0000\ncommitter <<>> 1 +0000\nencoding x\nmergetag object\n \n",
        "",
    ] {
        let World { sandbox, codex, .. } = workspace("");
        let empty = codex.object(ObjectType::Tree, b"");
        let commit = format!("tree {empty}\n{headers}\nodd\n");
        set_branch(&codex, &codex.object(ObjectType::Commit, commit.as_bytes()));
        let before = codex.tip().unwrap();
        let output = sandbox.run(&["sync", "--all"]);
        assert_harmless(&output);
        let about = format!("{headers:?}: {}{}", output.stdout, output.stderr);
        if output.code == Some(0) {
            assert!(
                codex
                    .read_object(&codex.tip().unwrap())
                    .windows(40)
                    .any(|w| w == before.as_bytes()),
                "{about}"
            );
            assert_eq!(codex.paths(), ["projects/alpha/docs/a.md"], "{about}");
        } else {
            assert_eq!(
                (output.code, codex.tip()),
                (Some(4), Some(before)),
                "{about}"
            );
        }
    }
}

#[test]
fn branch_that_is_not_a_commit_is_an_error() {
    for kind in ["blob", "tree", "tag", "nothing"] {
        let World { sandbox, codex, .. } = workspace("");
        let blob = codex.blob(b"odd");
        let id = match kind {
            "blob" => blob,
            "tree" => codex.plant(&[("100644", b"file", &blob)]),
            "tag" => codex.object(
                ObjectType::Tag,
                format!("object {blob}\ntype blob\ntag x\n\nx\n").as_bytes(),
            ),
            _ => GONE.to_owned(),
        };
        set_branch(&codex, &id);
        let output = sandbox.run(&["sync", "--all"]);
        let about = format!("{kind}: {}{}", output.stdout, output.stderr);
        assert!(matches!(output.code, Some(4 | 5)), "{about}");
        assert!(output.stderr.contains("hint: "), "{about}");
        assert_eq!(
            fs::read_to_string(codex.path().join("refs/heads/main"))
                .unwrap()
                .trim(),
            id,
            "{about}"
        );
    }
}
