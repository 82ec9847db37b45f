//! Names, files and objects that somebody made to do harm, or by mistake: nothing outside is read, nothing unsound is
//! published, nothing odd that stands in the codex is changed, and whatever is refused is named, fit for a terminal.

use git2::ObjectType;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::support::{Codex, Output, Sandbox};

/// A path of the sandbox with any bytes behind.
fn any(sandbox: &Sandbox, directory: &str, name: &[u8]) -> PathBuf {
    sandbox.path(directory).join(OsStr::from_bytes(name))
}

/// One project with a file, whose directory `docs` exists.
fn workspace(more: &str) -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], more);
    sandbox.write("ws/alpha/docs/a.md", "a");
    (sandbox, codex)
}

/// Nothing that was said can drive a terminal.
#[track_caller]
fn is_harmless(output: &Output) {
    let harmful = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{202e}' | '\u{200c}'));
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains(harmful), "{text:?}");
    }
}

#[test]
fn names_of_any_bytes_travel_and_are_shown_escaped() {
    let (sandbox, codex) = workspace("");
    let long = "x".repeat(255);
    let names: [&[u8]; 8] = [
        b"new\nline.md",
        b"tab\there.md",
        b"\x1b]0;title\x07.md",
        b"not-utf8-\xff\xfe.md",
        b"-rf",
        b"--upload-pack=touch x",
        "right\u{202e}left.md".as_bytes(),
        long.as_bytes(),
    ];
    for name in names {
        fs::write(any(&sandbox, "ws/alpha/docs", name), name).unwrap();
    }
    let output = sandbox.run(&["sync", "--all", "-v"]).code(0);
    is_harmless(&output);
    assert!(
        output.stdout.contains("docs/\\u{1b}]0;title\\u{7}.md"),
        "{}",
        output.stdout
    );
    codex.assert_sound();
    let root = root_of(&codex);
    let docs = codex.read_object(&subtree(&codex, &root, &["projects", "alpha", "docs"]));
    for name in names {
        let entry = [b"100644 ", name, b"\0"].concat();
        assert!(
            docs.windows(entry.len()).any(|window| window == entry),
            "{name:?}"
        );
    }
    // And they go, and come back, by the same names.
    for name in names {
        fs::remove_file(any(&sandbox, "ws/alpha/docs", name)).unwrap();
    }
    is_harmless(
        &sandbox
            .run(&["sync", "--all", "--allow-mass-delete"])
            .code(0),
    );
    assert_eq!(codex.paths(), ["projects/alpha/docs/a.md"]);
}

#[test]
fn what_would_make_the_codex_unsound_is_told_and_not_published() {
    let (sandbox, codex) =
        workspace("  sync:\n    default_excludes: false\n    symlinks: preserve\n");
    let mut names: Vec<Vec<u8>> = [
        ".GIT",
        ".git ",
        ".git.",
        "git~1",
        "GIT~1",
        ".git::$INDEX_ALLOCATION",
        ".g\u{200c}it",
        "a\\.git",
        ".git\\b",
        ".gitmodules",
        ".GitModules ",
        "gitmod~1",
    ]
    .map(|name| name.as_bytes().to_vec())
    .into();
    names.push(b".gi\xe2\x80\x8ct".to_vec());
    for name in &names {
        fs::write(any(&sandbox, "ws/alpha/docs", name), "x").unwrap();
        let below = any(
            &sandbox,
            "ws/alpha/docs",
            &[b"dir-".as_slice(), &name[1..]].concat(),
        );
        fs::create_dir(&below).unwrap();
        fs::write(below.join(OsStr::from_bytes(name)), "x").unwrap();
    }
    let links = sandbox.path("ws/alpha/docs/links");
    fs::create_dir(&links).unwrap();
    symlink("../a.md", links.join(".gitmodules")).unwrap();
    symlink("../a.md", links.join("fine.md")).unwrap();
    let output = sandbox.run(&["sync", "--all", "-v"]).code(0);
    is_harmless(&output);
    assert_eq!(
        codex.paths(),
        [
            "projects/alpha/docs/a.md",
            "projects/alpha/docs/links/fine.md"
        ]
    );
    codex.assert_sound();
    assert_eq!(
        output.stderr.matches(" is not published: ").count(),
        2 * names.len() + 1,
        "{}",
        output.stderr
    );
    assert!(
        output
            .stderr
            .contains("`docs/.g\\u{200c}it` is not published"),
        "{}",
        output.stderr
    );
}

#[test]
fn repositories_inside_a_root_are_no_documents() {
    let (sandbox, codex) = workspace("  sync:\n    default_excludes: false\n");
    sandbox.write(
        "ws/alpha/docs/deep/module/.git",
        "gitdir: ../../../.git/modules/module",
    );
    sandbox.write("ws/alpha/docs/deep/module/readme.md", "kept");
    sandbox.write("ws/alpha/docs/deep/repository/.git/config", "[core]");
    symlink("repository/.git", sandbox.path("ws/alpha/docs/deep/link")).unwrap();
    symlink(
        "repository/.git/config",
        sandbox.path("ws/alpha/docs/deep/config"),
    )
    .unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(
        codex.paths(),
        [
            "projects/alpha/docs/a.md",
            "projects/alpha/docs/deep/module/readme.md"
        ]
    );
    // What lies in such a directory is not even looked at.
    assert!(!output.stderr.contains(".git/"), "{}", output.stderr);
}

#[test]
fn links_out_of_the_root_are_never_read_whatever_way_they_take() {
    for policy in ["follow-inside", "preserve", "skip"] {
        let (sandbox, codex) = workspace(&format!("  sync:\n    symlinks: {policy}\n"));
        let secret = "the-contents-of-another-place";
        sandbox.write("ws/beta/docs/secret.md", secret);
        sandbox.write("outside/secret.md", secret);
        sandbox.write("outside/deep/secret.md", secret);
        let docs = sandbox.path("ws/alpha/docs");
        let link = |target: &str, name: &str| symlink(target, docs.join(name)).unwrap();
        link("../../../outside/secret.md", "relative");
        symlink(sandbox.path("outside/secret.md"), docs.join("absolute")).unwrap();
        symlink(sandbox.path("outside"), docs.join("directory")).unwrap();
        link("../../beta/docs", "neighbour");
        link("first", "chain");
        link("second", "first");
        link("../../../outside", "second");
        link("chain/deep", "through");
        link("loop-b", "loop-a");
        link("loop-a", "loop-b");
        link("self", "self");
        link(".", "here");
        link("../..", "above");
        link("/", "root");
        link("/proc/self/root", "proc");
        link("nowhere", "dangling");
        link("a.md/below", "below-a-file");
        let output = sandbox.run(&["sync", "--all"]).code(0);
        assert!(!output.stdout.contains(secret) && !output.stderr.contains(secret));
        let mut published = codex.paths();
        // A link that stays inside may be kept as what it is.
        published.retain(|path| policy != "preserve" || path != "projects/alpha/docs/here");
        assert_eq!(
            published,
            ["projects/alpha/docs/a.md"],
            "{policy}: {}",
            output.stderr
        );
        for name in ["relative", "absolute", "chain", "self", "root", "dangling"] {
            let told = format!("`docs/{name}` is not published");
            assert!(
                output.stderr.contains(&told),
                "{policy}, {name}: {}",
                output.stderr
            );
        }
        codex.assert_sound();
    }
}

#[test]
fn pipes_sockets_and_files_of_odd_sizes() {
    let (sandbox, codex) = workspace("  sync:\n    max_file_size: 1MB\n");
    let docs = sandbox.path("ws/alpha/docs");
    rustix::fs::mkfifoat(rustix::fs::CWD, docs.join("pipe"), 0o600.into()).unwrap();
    symlink("pipe", docs.join("to-pipe")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(docs.join("socket")).unwrap();
    sandbox.write("ws/alpha/docs/empty.md", "");
    fs::File::create(docs.join("sparse.bin"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    fs::File::create(docs.join("zeros.bin"))
        .unwrap()
        .set_len(1_000_000)
        .unwrap();
    let output = sandbox.run(&["sync", "--all"]).code(0);
    for name in ["pipe", "to-pipe", "socket"] {
        let told = format!("`docs/{name}` is not published: not a regular file");
        assert!(output.stderr.contains(&told), "{name}: {}", output.stderr);
    }
    assert!(
        output
            .stderr
            .contains("`docs/sparse.bin` is not published: 1099511627776 bytes"),
        "{}",
        output.stderr
    );
    assert_eq!(
        codex.paths(),
        ["a.md", "empty.md", "zeros.bin"].map(|name| format!("projects/alpha/docs/{name}"))
    );
    codex.assert_sound();
}

#[test]
fn a_tree_of_many_levels_is_published_and_one_beyond_what_the_system_can_name_is_told() {
    let (sandbox, codex) = workspace("");
    let deep = format!("docs/{}end.md", "d/".repeat(900));
    sandbox.write(&format!("ws/alpha/{deep}"), "deep");
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.file(&format!("projects/alpha/{deep}")), "deep");
    codex.assert_sound();
    let tip = codex.tip();
    // Made step by step: no single call could name it.
    let name = "n".repeat(250);
    let mut here = rustix::fs::open(
        sandbox.path("ws/alpha/docs"),
        rustix::fs::OFlags::DIRECTORY,
        0.into(),
    )
    .unwrap();
    for _ in 0..20 {
        rustix::fs::mkdirat(&here, name.as_str(), 0o755.into()).unwrap();
        here = rustix::fs::openat(
            &here,
            name.as_str(),
            rustix::fs::OFlags::DIRECTORY,
            0.into(),
        )
        .unwrap();
    }
    let output = sandbox.run(&["sync", "--all"]).code(1);
    assert!(
        output.stderr.contains("cannot read `docs/nnn"),
        "{}",
        output.stderr
    );
    assert_eq!(codex.tip(), tip);
}

#[test]
fn names_and_places_that_lead_elsewhere_are_configuration_errors() {
    for projects in [
        "../evil: {}",
        "'..': {}",
        "'.git': {}",
        "'a/b': {}",
        "\"a\\x1b[31m\": {}",
        "alpha: { to: '../other' }",
        "alpha: { to: '/etc' }",
        "alpha: { to: 'projects/../..' }",
        "alpha: { to: 'docs/.git/hooks' }",
        "alpha: { to: 'docs/.GIT ' }",
        "alpha: { to: \"a\\0b\" }",
        "alpha: { to: '' }",
        "alpha: { to: '.' }",
        "alpha: { mappings: [{ from: 'docs/**', to: '../x/' }] }",
        "alpha: { mappings: [{ from: '../**', to: 'x/' }] }",
        "alpha: { sync: { to_codex: { include: ['/etc/**'] } } }",
    ] {
        let sandbox = Sandbox::new();
        let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
        sandbox.write("ws/alpha/docs/a.md", "a");
        sandbox.write(
            "ws/.fractary/config.yaml",
            format!("codex:\n  remote: {{ url: ../codex.git }}\n  projects: {{ {projects} }}\n"),
        );
        let output = sandbox.run(&["sync", "--all"]).code(3);
        assert!(
            output.stderr.contains(".fractary/config.yaml:"),
            "{projects}: {}",
            output.stderr
        );
        is_harmless(&output);
        assert_eq!(codex.tip(), None, "{projects}");
    }
}

/// One entry of a tree, as bytes.
fn entry(mode: &str, name: &[u8], id: &str) -> Vec<u8> {
    let id: Vec<u8> = (0..20)
        .map(|n| u8::from_str_radix(&id[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    [mode.as_bytes(), b" ", name, b"\0", &id].concat()
}

/// Makes `main` name any object.
fn point(codex: &Codex, id: &str) {
    fs::create_dir_all(codex.path().join("refs/heads")).unwrap();
    fs::write(codex.path().join("refs/heads/main"), format!("{id}\n")).unwrap();
}

const GONE: &str = "1234567890123456789012345678901234567890";

/// Makes the bytes of entries, from the ids of a blob and of a tree.
type Odd = fn(&Codex, &str, &str) -> Vec<u8>;

/// So many of the first of [`ODD`] have names that no file can have.
const REFUSED_NAMES: usize = 9;

/// Entries as nobody's git writes them: a label, what to look for in an error, and the bytes.
const ODD: [(&str, &str, Odd); 22] = [
    ("dot dot", "..", |_, blob, _| entry("100644", b"..", blob)),
    ("dot dot directory", "..", |_, _, tree| {
        entry("40000", b"..", tree)
    }),
    ("dot", ".", |_, _, tree| entry("40000", b".", tree)),
    ("git file", ".git", |_, blob, _| {
        entry("100644", b".git", blob)
    }),
    ("git directory", ".git", |_, _, tree| {
        entry("40000", b".GIT", tree)
    }),
    ("no name", "", |_, blob, _| entry("100644", b"", blob)),
    ("a slash", "a/b", |_, blob, _| entry("100644", b"a/b", blob)),
    ("a directory with a slash", "docs/a.md", |_, _, tree| {
        entry("40000", b"docs/a.md", tree)
    }),
    ("a path", "/etc/x", |_, blob, _| {
        entry("100644", b"/etc/x", blob)
    }),
    ("two of one name", "twice", |_, blob, tree| {
        [
            entry("100644", b"twice", blob),
            entry("40000", b"twice", tree),
        ]
        .concat()
    }),
    ("unsorted", "z", |_, blob, _| {
        [entry("100644", b"z", blob), entry("100644", b"A", blob)].concat()
    }),
    ("a group's mode", "old", |_, blob, _| {
        entry("100664", b"old", blob)
    }),
    ("a padded mode", "padded", |_, _, tree| {
        entry("040000", b"padded", tree)
    }),
    ("no mode", "none", |_, blob, _| entry("0", b"none", blob)),
    ("an escape", "\\u{1b}", |_, blob, _| {
        entry("100644", b"\x1b[31mred", blob)
    }),
    ("not utf-8", "\\xff", |_, blob, _| {
        entry("100644", b"\xff\xfe", blob)
    }),
    ("a backslash", "\\", |_, blob, _| {
        entry("100644", b"a\\..\\b", blob)
    }),
    ("a drive", "C:", |_, blob, _| entry("100644", b"C:", blob)),
    ("other case", "DOCS", |_, _, tree| {
        entry("40000", b"DOCS", tree)
    }),
    ("nothing there", GONE, |_, _, _| {
        entry("40000", b"gone", GONE)
    }),
    ("a long name", "n", |_, blob, _| {
        entry("100644", "n".repeat(4000).as_bytes(), blob)
    }),
    ("a deep tree", "deep", |codex, _, tree| {
        entry("40000", b"deep", &deep(codex, tree))
    }),
];

/// A tree two thousand levels above `tree`, without a process for each.
fn deep(codex: &Codex, tree: &str) -> String {
    let repository = git2::Repository::open(codex.path()).unwrap();
    let odb = repository.odb().unwrap();
    (0..2000).fold(tree.to_owned(), |tree, _| {
        odb.write(git2::ObjectType::Tree, &entry("40000", b"d", &tree))
            .unwrap()
            .to_string()
    })
}

/// The bytes of the entries in the tree at `path`, without those named.
fn others(codex: &Codex, tree: &str, without: &str) -> Vec<Vec<u8>> {
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

/// Git's own way to an entry refuses some of these trees, so the way is walked by hand.
fn subtree(codex: &Codex, tree: &str, path: &[&str]) -> String {
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

fn root_of(codex: &Codex) -> String {
    let commit = codex.read_object(&codex.tip().unwrap());
    String::from_utf8_lossy(&commit[5..45]).into_owned()
}

/// Syncs into a codex that has `odd` at the station of this number on the way to the file that is published.
#[track_caller]
fn survives(
    sandbox: &Sandbox,
    codex: &Codex,
    station: usize,
    (label, word, odd): (&str, &str, Odd),
) {
    let way = ["projects", "alpha", "docs"];
    let blob = codex.blob(b"odd");
    let odd = odd(codex, &blob, &codex.plant(&[("100644", b"file", &blob)]));
    let mut tree: Option<String> = None;
    for at in (0..=way.len()).rev() {
        let mut data = if at == station {
            odd.clone()
        } else {
            Vec::new()
        };
        if let Some(inner) = &tree {
            data.extend(entry("40000", way[at].as_bytes(), inner));
        }
        tree = Some(codex.object(ObjectType::Tree, &data));
    }
    codex.set_root(&tree.unwrap());
    let before = codex.tip();
    let output = sandbox.run(&["sync", "--all"]);
    let about = format!("{label} at {station}: {}{}", output.stdout, output.stderr);
    is_harmless(&output);
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
    let here = subtree(codex, &after, &way[..station]);
    let ours = way.get(station).copied().unwrap_or("a.md");
    assert_eq!(others(codex, &here, ours).concat(), odd, "{about}");
    let docs = codex.read_object(&subtree(codex, &after, &way));
    assert!(
        docs.windows(12).any(|window| window == b"100644 a.md\0"),
        "{about}"
    );
    // What stays odd does not come up again.
    let tip = codex.tip();
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.tip(), tip, "{about}");
}

#[test]
fn what_is_odd_in_the_codex_stays_byte_for_byte_or_is_named() {
    // In the root, beside the file's directory, beside the file.
    for station in [0, 2, 3] {
        for odd in ODD {
            let (sandbox, codex) = workspace("  sync: { to_codex: { include: [docs/a.md] } }\n");
            survives(&sandbox, &codex, station, odd);
        }
    }
}

#[test]
fn an_entry_that_no_file_can_be_is_not_claimed_by_any_pattern() {
    for odd in &ODD[..REFUSED_NAMES] {
        let (sandbox, codex) = workspace("");
        survives(&sandbox, &codex, 3, *odd);
    }
}

#[test]
fn an_entry_that_stands_twice_is_not_changed() {
    for (ours, change) in [("README.md", "docs/a.md"), ("docs", "docs/a.md")] {
        let (sandbox, codex) = workspace("");
        sandbox.write("ws/alpha/README.md", "r");
        let blob = codex.blob(b"odd");
        let mut entries = [
            entry("100644", ours.as_bytes(), &blob),
            entry("100755", ours.as_bytes(), &blob),
        ]
        .concat();
        if ours == "docs" {
            let tree = codex.plant(&[("100644", b"b.md", &blob)]);
            entries = [
                entry("40000", b"docs", &tree),
                entry("40000", b"docs", &tree),
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
fn what_stands_where_a_directory_is_needed_withholds_the_project() {
    for (path, mode) in [
        ("projects", "160000"),
        ("projects/alpha", "160000"),
        ("projects/alpha", "120000"),
        ("projects/alpha", "0"),
    ] {
        let (sandbox, codex) = workspace("");
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
fn commits_with_strange_headers_are_built_upon() {
    for headers in [
        "author nobody\ncommitter\n",
        "author Bob <b@b> 99999999999999999999 +0000\ncommitter Bob <b@b> -1 +9999\n",
        "author \x1b[31m <> 1 +0000\ncommitter <<>> 1 +0000\nencoding x\nmergetag object\n \n",
        "",
    ] {
        let (sandbox, codex) = workspace("");
        let empty = codex.object(ObjectType::Tree, b"");
        let commit = format!("tree {empty}\n{headers}\nodd\n");
        point(&codex, &codex.object(ObjectType::Commit, commit.as_bytes()));
        let before = codex.tip().unwrap();
        let output = sandbox.run(&["sync", "--all"]);
        is_harmless(&output);
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
fn a_branch_that_names_no_commit_is_an_error() {
    for kind in ["blob", "tree", "tag", "nothing"] {
        let (sandbox, codex) = workspace("");
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
        point(&codex, &id);
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

#[test]
fn what_a_server_says_cannot_drive_a_terminal() {
    let (sandbox, codex) = workspace("");
    codex.hook(
        "pre-receive",
        "printf 'clear \\033[2J and \\033]0;title\\007 \\342\\200\\256evil\\n' >&2; exit 1",
    );
    let output = sandbox.run(&["sync", "--all", "-vv"]).code(5);
    is_harmless(&output);
    assert!(
        output.stderr.contains("  remote: clear \\u{1b}[2J"),
        "{}",
        output.stderr
    );
}

#[test]
fn names_of_branches_cannot_drive_a_terminal() {
    let (sandbox, codex) = workspace("");
    // As no git would send it: a branch that git itself would not take.
    sandbox.wrap_git(&format!(
        "case \"$*\" in *ls-remote*) printf 'ref: refs/heads/\\033[31mred\\tHEAD\\n{GONE}\\tHEAD\\n'; exit;; esac"
    ));
    let output = sandbox.run(&["sync", "--all"]).code(4);
    sandbox.remove("bin/git");
    is_harmless(&output);
    assert!(
        output.stderr.contains("its HEAD leads to no branch"),
        "{}",
        output.stderr
    );
    // And one that git takes, and that is not what it looks like.
    let branch = "a\u{202e}niam";
    let output = sandbox
        .run(&[
            "sync",
            "--all",
            "--config",
            &format!("remote.branch={branch}"),
        ])
        .code(0);
    is_harmless(&output);
    assert!(
        output.stdout.contains("`a\\u{202e}niam`"),
        "{}",
        output.stdout
    );
    codex.hook("pre-receive", "exit 1");
    sandbox.write("ws/alpha/docs/a.md", "changed");
    let output = sandbox
        .run(&[
            "sync",
            "--all",
            "--config",
            &format!("remote.branch={branch}"),
        ])
        .code(5);
    is_harmless(&output);
}

#[test]
fn names_of_directories_and_values_cannot_drive_a_terminal() {
    let sandbox = Sandbox::new();
    let (place, root) = ("\u{1b}[31m\u{202e}ws", "ro\u{1b}ot\u{9b}");
    let config = "codex:\n  organization: acme\n  codex_repo: codex\n  remote: { url: ../codex.git }\n  projects:\n    \
                  a: { root: \"ro\\eot\\u009b\", to: \"places/\\e[1m\" }\n    gone: { root: \"go\\ene\" }\n  \
                  commit: { message: \"a\\u202e\\u009b\" }\n  cache: { dir: \"ca\\eche\" }\n";
    sandbox.write(&format!("{place}/.fractary/config.yaml"), config);
    sandbox.write(&format!("{place}/{root}/README.md"), "a");
    Codex::empty(&sandbox.path("codex.git"), &sandbox);
    let inside = sandbox.path(place);
    let run = |arguments: &[&str], code: i32| {
        let mut command = sandbox.program(arguments);
        command.current_dir(&inside);
        let output = sandbox.finish(command).code(code);
        is_harmless(&output);
        output
    };
    for (arguments, code) in [
        (&["sync", "-p", "a"][..], 0),
        (&["sync", "--all"], 1),
        (&["projects"], 0),
        (&["doctor"], 1),
        (&["config", "path"], 0),
        (&["config", "show"], 0),
        (&["config", "show", "--origin"], 0),
        (&["config", "explain", "commit.message"], 0),
        (&["cache", "status"], 0),
        (&["cache", "list"], 0),
        (&["cache", "clear"], 0),
        (&["init"], 2),
        (&["init", "--force", "--organization", "acme"], 0),
        (&["-C", "\u{1b}none", "sync"], 2),
        (&["man", ".fractary/config.yaml/\u{1b}none"], 2),
        (&["sync", "--all", "--max-delete", "\u{1b}1"], 2),
        (&["sync", "\u{1b}a", "b"], 2),
    ] {
        run(arguments, code);
    }
}

#[test]
fn documents_show_paths_in_one_way() {
    let (sandbox, _codex) = workspace("");
    let more = "    odd: { root: \"ro\\eot\", to: \"places/\\e[1m\" }\n";
    let config = std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    sandbox.write(
        "ws/.fractary/config.yaml",
        config.replace("  projects:\n", &format!("  projects:\n{more}")),
    );
    sandbox.write("ws/ro\u{1b}ot/README.md", "a");
    let listed = sandbox.run(&["projects", "--json"]).code(0).json();
    let project = listed["projects"]
        .as_array()
        .unwrap()
        .iter()
        .find(|project| project["name"] == "odd")
        .unwrap();
    assert_eq!(
        (&project["root"], &project["to"]),
        (&r"ro\u{1b}ot".into(), &r"places/\u{1b}[1m".into())
    );
    let planned = sandbox
        .run(&["sync", "-p", "odd", "--dry-run", "--json"])
        .code(0)
        .json();
    assert_eq!(
        planned["projects"][0]["changes"][0]["path"],
        r"places/\u{1b}[1m/README.md"
    );
}

#[test]
fn a_workflow_gets_no_command_but_annotations_of_ours() {
    let (sandbox, codex) = workspace("");
    let names = [
        "##[stop-commands]x.md",
        "\u{2003}::error::x.md",
        "::add-mask::docs.md",
        "a::b##[group].md",
    ];
    for name in names {
        fs::write(any(&sandbox, "ws/alpha/docs", name.as_bytes()), name).unwrap();
    }
    symlink("nowhere", any(&sandbox, "ws/alpha/docs", b"##[error]link")).unwrap();
    codex.hook(
        "pre-receive",
        "printf '::error::from the hook\\n  ::add-mask::a\\n##[add-path]b\\nx\\r::set-env::c\\n' >&2; exit 1",
    );

    let run = |arguments: &[&str], in_workflow: bool| {
        let mut command = sandbox.program(arguments);
        command.env("FRACTARY_CODEX_LOG", "trace");
        if in_workflow {
            command.env("GITHUB_ACTIONS", "true");
        }
        sandbox.finish(command)
    };
    // As a runner reads it: `::` at the start of a line, after white space, or `##[` anywhere.
    let commands = |text: &str| {
        let lines = text
            .split(['\n', '\r'])
            .filter(|line| line.contains("##[") || line.trim_start().starts_with("::"));
        let own = [
            "::error title=fractary-codex::",
            "::warning title=fractary-codex::",
        ];
        let foreign = lines
            .filter(|line| line.contains("##[") || !own.iter().any(|own| line.starts_with(own)));
        foreign.map(str::to_owned).collect::<Vec<_>>()
    };
    for arguments in [
        &["sync", "--all", "-v"][..],
        &["sync", "--all", "--dry-run", "-v"],
        &["sync", "--all", "--json", "-vv"],
        &["sync", "--all", "--format", "ndjson"],
        &["sync", "--all", "-vv", "--log-format", "json"],
        &["status", "--all", "-v"],
        &["projects"],
        &["doctor"],
        &["sync", "-p", "##[error]x"],
        &["sync", "--config", "jobs=##[error]"],
        &["config", "explain", "##[error]x"],
        &["config", "show", "--config", "commit.message=##[error]x"],
    ] {
        let output = run(arguments, true);
        assert_eq!(commands(&output.stdout), [""; 0], "{arguments:?}");
        assert_eq!(commands(&output.stderr), [""; 0], "{arguments:?}");
    }

    // A document stays the same document, and elsewhere names are shown as they are.
    let planned = |in_workflow| {
        let output = run(&["sync", "--all", "--dry-run", "--json"], in_workflow).code(0);
        output.json()["projects"][0]["changes"].clone()
    };
    assert_eq!(planned(true), planned(false));
    assert!(planned(true).to_string().contains("##[stop-commands]x.md"));
    let shown = run(&["sync", "--all", "--dry-run", "-v"], false)
        .code(0)
        .stdout;
    assert!(shown.contains("docs/##[stop-commands]x.md"), "{shown}");
    // What the program makes of itself alone is not changed.
    for arguments in [&["completions", "zsh"][..], &["man"]] {
        assert_eq!(run(arguments, true).stdout, run(arguments, false).stdout);
    }
}
