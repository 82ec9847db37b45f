//! The codex of a test: a bare repository, with functions to inspect and change it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use git2::{ObjectType, Oid, Repository};

use super::gate::Gate;
use super::{Sandbox, executable, process};

const CONFIG: &str = "
[uploadpack]
    allowFilter = true
    allowAnySHA1InWant = true
[core]
    logAllRefUpdates = always
[http]
    receivepack = true
";

/// The codex of a test.
pub(crate) struct Codex {
    path: PathBuf,
    home: PathBuf,
}

impl Codex {
    pub(crate) fn empty(path: &Path, sandbox: &Sandbox) -> Self {
        let codex = Self {
            path: path.to_owned(),
            home: sandbox.path("home"),
        };
        fs::create_dir_all(path).unwrap();
        codex.git(&["init", "-q", "--bare", "-b", "main", "--template="]);
        let mut config = fs::File::options()
            .append(true)
            .open(path.join("config"))
            .unwrap();
        config.write_all(CONFIG.as_bytes()).unwrap();
        codex
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs git in the codex and returns its output. It must succeed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let (status, out, err) = self.try_git(arguments);
        assert!(status, "git {arguments:?}: {err}");
        out
    }

    fn try_git(&self, arguments: &[&str]) -> (bool, String, String) {
        let output = process::program("git")
            .args(arguments)
            .current_dir(&self.path)
            .env("HOME", &self.home)
            .envs([
                ("GIT_AUTHOR_NAME", "Bob"),
                ("GIT_AUTHOR_EMAIL", "b@b"),
                ("GIT_COMMITTER_NAME", "Bob"),
            ])
            .env("GIT_COMMITTER_EMAIL", "b@b")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// The output of git for a command about `main`; empty if the branch does not exist.
    fn of_main(&self, arguments: &[&str]) -> String {
        let (done, out, err) = self.try_git(arguments);
        assert!(done || self.tip().is_none(), "git {arguments:?}: {err}");
        out
    }

    /// The tip of `main`, if the branch exists.
    pub(crate) fn tip(&self) -> Option<String> {
        let id = self.open().refname_to_id("refs/heads/main").ok()?;
        Some(id.to_string())
    }

    /// The subjects of the commits of `main`, newest first.
    pub(crate) fn subjects(&self) -> Vec<String> {
        self.of_main(&["log", "--format=%s", "main"])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// The mode and id of each path of `main`.
    pub(crate) fn tree(&self) -> BTreeMap<String, (String, String)> {
        let listing = self.of_main(&["ls-tree", "-r", "-z", "main"]);
        let entry = |line: &str| {
            let (meta, path) = line.split_once('\t').unwrap();
            let words: Vec<_> = meta.split(' ').collect();
            (path.to_owned(), (words[0].to_owned(), words[2].to_owned()))
        };
        listing.split_terminator('\0').map(entry).collect()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.tree().into_keys().collect()
    }

    pub(crate) fn file(&self, path: &str) -> String {
        self.git(&["cat-file", "blob", &format!("main:{path}")])
    }

    /// The number of updates of `main`.
    pub(crate) fn updates(&self) -> usize {
        fs::read_to_string(self.path.join("logs/refs/heads/main"))
            .map_or(0, |log| log.lines().count())
    }

    /// Asserts that the history is linear, and that all objects exist and are valid.
    pub(crate) fn assert_sound(&self) {
        self.git(&["fsck", "--strict"]);
        assert_eq!(self.git(&["rev-list", "--merges", "main"]), "");
        assert_eq!(
            self.git(&["rev-list", "--max-parents=0", "main"])
                .lines()
                .count(),
            1
        );
    }

    /// Makes a commit of another user that writes files (mode, path, contents) and deletes paths.
    pub(crate) fn commit(&self, files: &[(&str, &str, &str)], deletions: &[&str]) {
        self.commit_with("Somebody else", files, deletions);
    }

    /// The same as [`Self::commit`], with this message.
    pub(crate) fn commit_with(
        &self,
        message: &str,
        files: &[(&str, &str, &str)],
        deletions: &[&str],
    ) {
        // Deletions come first, so that a directory can replace a deleted file.
        let mut changes: Vec<u8> = deletions
            .iter()
            .flat_map(|path| format!("D {path}\n").into_bytes())
            .collect();
        for (mode, path, content) in files {
            match *mode {
                "160000" => changes.extend(format!("M {mode} {content} {path}\n").bytes()),
                _ => changes.extend(written(mode, path, content.as_bytes())),
            }
        }
        self.fast_import(&[self.next(message), changes].concat());
    }

    /// Makes a commit of another user that writes many files.
    pub(crate) fn import(&self, files: &[(String, Vec<u8>)]) {
        let changes = files
            .iter()
            .flat_map(|(path, contents)| written("100644", path, contents));
        self.fast_import(&[self.next("Import"), changes.collect()].concat());
    }

    /// One commit by another user, of entries (mode, path, content) whose paths may be any bytes.
    pub(crate) fn import_entries(&self, entries: &[(String, Vec<u8>, Vec<u8>)]) {
        let mut changes = Vec::new();
        for (mode, path, content) in entries {
            let quoted: String = path.iter().map(|byte| format!("\\{byte:03o}")).collect();
            match mode.as_str() {
                "160000" => {
                    let id = String::from_utf8_lossy(content);
                    changes.extend(format!("M {mode} {id} \"{quoted}\"\n").bytes());
                }
                _ => changes.extend(written(mode, &format!("\"{quoted}\""), content)),
            }
        }
        self.fast_import(&[self.next("Another user"), changes].concat());
    }

    /// Makes this many empty commits of another user.
    pub(crate) fn go_on(&self, commits: usize) {
        let others = [head("Again"), b"\n".to_vec()].concat().repeat(commits - 1);
        self.fast_import(&[self.next("Again"), b"\n".to_vec(), others].concat());
    }

    /// The start of a commit on top of `main`, in the format of `git fast-import`.
    fn next(&self, subject: &str) -> Vec<u8> {
        let from = self
            .tip()
            .map(|tip| format!("from {tip}\n"))
            .unwrap_or_default();
        [head(subject), from.into_bytes()].concat()
    }

    fn fast_import(&self, stream: &[u8]) {
        let input = self.path.join("import.stream");
        fs::write(&input, stream).unwrap();
        let mut command = process::program("git");
        command
            .args(["fast-import", "--quiet"])
            .current_dir(&self.path)
            .env("HOME", &self.home);
        assert!(
            command
                .stdin(fs::File::open(&input).unwrap())
                .status()
                .unwrap()
                .success()
        );
        fs::remove_file(input).unwrap();
    }

    /// Writes a tree of these entries (mode, name, id), valid or not, and returns its id.
    pub(crate) fn plant(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let entries = entries
            .iter()
            .flat_map(|(mode, name, id)| tree_entry(mode, name, id));
        self.object(ObjectType::Tree, &entries.collect::<Vec<_>>())
    }

    /// Writes an object exactly as it is given, valid or not, without starting a process, and
    /// returns its id.
    pub(crate) fn object(&self, kind: ObjectType, data: &[u8]) -> String {
        let repository = self.open();
        let odb = repository.odb().unwrap();
        odb.write(kind, data).unwrap().to_string()
    }

    /// The contents of an object, valid or not.
    pub(crate) fn read_object(&self, id: &str) -> Vec<u8> {
        let repository = self.open();
        let odb = repository.odb().unwrap();
        let object = odb.read(Oid::from_str(id).unwrap()).unwrap();
        object.data().to_vec()
    }

    fn open(&self) -> Repository {
        Repository::open_bare(&self.path).unwrap()
    }

    /// Moves `main` to a commit with this tree.
    pub(crate) fn set_root(&self, tree: &str) {
        let commit = format!(
            "tree {tree}\nauthor Bob <b@b> 1700000000 +0000\ncommitter Bob <b@b> 1700000000 +0000\n\nPlanted\n"
        );
        let commit = self.object(ObjectType::Commit, commit.as_bytes());
        self.git(&["update-ref", "refs/heads/main", &commit]);
    }

    /// Writes a blob and returns its id.
    pub(crate) fn blob(&self, contents: &[u8]) -> String {
        self.object(ObjectType::Blob, contents)
    }

    /// Installs a hook that makes every push wait until the gate is opened.
    pub(crate) fn hold_pushes(&self, sandbox: &Sandbox) -> Gate {
        let gate = Gate::new(sandbox);
        self.hook("pre-receive", &gate.script());
        gate
    }

    /// Installs an executable hook.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        executable::script(&self.path.join("hooks").join(name), script);
    }
}

/// Encodes an entry of a tree, valid or not.
pub(crate) fn tree_entry(mode: &str, name: &[u8], id: &str) -> Vec<u8> {
    let id: Vec<u8> = (0..40)
        .step_by(2)
        .map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap())
        .collect();
    [mode.as_bytes(), b" ", name, b"\0", &id].concat()
}

/// The start of a commit of another user, in the format of `git fast-import`.
fn head(subject: &str) -> Vec<u8> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    format!(
        "commit refs/heads/main\ncommitter Bob <b@b> {now} +0000\ndata {}\n{subject}\n",
        subject.len()
    )
    .into()
}

/// A file of a commit, in the format of `git fast-import`.
fn written(mode: &str, path: &str, contents: &[u8]) -> Vec<u8> {
    [
        format!("M {mode} inline {path}\ndata {}\n", contents.len()).as_bytes(),
        contents,
        b"\n",
    ]
    .concat()
}
