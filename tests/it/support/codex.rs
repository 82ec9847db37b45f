//! A bare repository to sync into, and questions to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::gate::Gate;
use super::{Sandbox, executable};

/// The codex of a test.
pub(crate) struct Codex {
    path: PathBuf,
    home: PathBuf,
}

impl Codex {
    pub(crate) fn empty(path: &Path, sandbox: &Sandbox) -> Self {
        let codex = Self { path: path.to_owned(), home: sandbox.path("home") };
        fs::create_dir_all(path).unwrap();
        codex.git(&["init", "-q", "--bare", "-b", "main"]);
        for (key, value) in [
            ("uploadpack.allowFilter", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("core.logAllRefUpdates", "always"),
            ("http.receivepack", "true"),
        ] {
            codex.git(&["config", key, value]);
        }
        codex
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs git in the codex; it must succeed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let (status, out, err) = self.try_git(arguments, &[]);
        assert!(status, "git {arguments:?}: {err}");
        out
    }

    fn try_git(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String, String) {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.path)
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env_remove("GIT_DIR")
            .envs([("GIT_AUTHOR_NAME", "Bob"), ("GIT_AUTHOR_EMAIL", "b@b"), ("GIT_COMMITTER_NAME", "Bob")])
            .env("GIT_COMMITTER_EMAIL", "b@b")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    /// The tip of `main`, if it has one.
    pub(crate) fn tip(&self) -> Option<String> {
        let (found, out, _) = self.try_git(&["rev-parse", "-q", "--verify", "refs/heads/main"], &[]);
        found.then(|| out.trim().to_owned())
    }

    /// Subjects of `main`, newest first.
    pub(crate) fn subjects(&self) -> Vec<String> {
        if self.tip().is_none() {
            return Vec::new();
        }
        self.git(&["log", "--format=%s", "main"]).lines().map(str::to_owned).collect()
    }

    /// Path → mode and id.
    pub(crate) fn tree(&self) -> BTreeMap<String, (String, String)> {
        if self.tip().is_none() {
            return BTreeMap::new();
        }
        let listing = self.git(&["ls-tree", "-r", "-z", "main"]);
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

    /// How often `main` was updated.
    pub(crate) fn updates(&self) -> usize {
        fs::read_to_string(self.path.join("logs/refs/heads/main")).map_or(0, |log| log.lines().count())
    }

    /// The history is one line, every object is sound, and nothing is missing.
    pub(crate) fn assert_sound(&self) {
        self.git(&["fsck", "--strict", "--connectivity-only"]);
        self.git(&["fsck", "--strict"]);
        assert_eq!(self.git(&["rev-list", "--merges", "main"]), "");
        assert_eq!(self.git(&["rev-list", "--max-parents=0", "main"]).lines().count(), 1);
    }

    /// A commit by somebody else: files to write (mode, path, content) and paths to delete.
    pub(crate) fn commit(&self, files: &[(&str, &str, &str)], deletions: &[&str]) {
        let index = self.path.join("somebody.index");
        let index = [("GIT_INDEX_FILE", index.to_str().unwrap())];
        let git = |arguments: &[&str]| {
            let (done, out, err) = self.try_git(arguments, &index);
            assert!(done, "git {arguments:?}: {err}");
            out.trim().to_owned()
        };
        let tip = self.tip();
        if tip.is_some() {
            git(&["read-tree", "main"]);
        }
        for (mode, path, content) in files {
            let id = if *mode == "160000" {
                (*content).to_owned()
            } else {
                fs::write(self.path.join("somebody.blob"), content).unwrap();
                git(&["hash-object", "-w", "--no-filters", "somebody.blob"])
            };
            git(&["update-index", "--add", "--replace", "--cacheinfo", &format!("{mode},{id},{path}")]);
        }
        for path in deletions {
            // Mode 0 takes a path out, even where there is no working tree.
            fs::write(self.path.join("somebody.blob"), format!("0 {}\t{path}\n", "0".repeat(40))).unwrap();
            let done = Command::new("git")
                .args(["update-index", "--index-info"])
                .current_dir(&self.path)
                .envs(index)
                .stdin(fs::File::open(self.path.join("somebody.blob")).unwrap())
                .status()
                .unwrap();
            assert!(done.success());
        }
        let tree = git(&["write-tree"]);
        let mut arguments = vec!["commit-tree", "-m", "Somebody else", &tree];
        arguments.extend(tip.iter().flat_map(|tip| ["-p", tip.as_str()]));
        let commit = git(&arguments);
        git(&["update-ref", "refs/heads/main", &commit]);
        fs::remove_file(self.path.join("somebody.index")).unwrap();
    }

    /// Many files in one commit by somebody else.
    pub(crate) fn import(&self, files: &[(String, Vec<u8>)]) {
        let mut stream = b"commit refs/heads/main\ncommitter Bob <b@b> 1700000000 +0000\ndata 6\nImport\n".to_vec();
        if let Some(tip) = self.tip() {
            stream.extend(format!("from {tip}\n").bytes());
        }
        for (path, contents) in files {
            stream.extend(format!("M 100644 inline \"{path}\"\ndata {}\n", contents.len()).bytes());
            stream.extend_from_slice(contents);
            stream.push(b'\n');
        }
        self.fast_import(&stream);
    }

    /// So many commits by somebody else that change nothing.
    pub(crate) fn go_on(&self, commits: usize) {
        let tip = self.tip().unwrap();
        let commit = "commit refs/heads/main\ncommitter Bob <b@b> 1700000000 +0000\ndata 5\nAgain\n";
        let first = format!("{commit}from {tip}\n\n");
        self.fast_import(format!("{first}{}", format!("{commit}\n").repeat(commits - 1)).as_bytes());
    }

    fn fast_import(&self, stream: &[u8]) {
        let input = self.path.join("somebody.stream");
        fs::write(&input, stream).unwrap();
        let mut command = Command::new("git");
        command.args(["fast-import", "--quiet"]).current_dir(&self.path).env("HOME", &self.home);
        assert!(command.stdin(fs::File::open(&input).unwrap()).status().unwrap().success());
        fs::remove_file(input).unwrap();
    }

    /// Moves `main` to a commit of a tree that is written as it stands, sound or not. An entry is mode, name and id.
    pub(crate) fn plant(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut data = Vec::new();
        for (mode, name, id) in entries {
            data.extend_from_slice(mode.as_bytes());
            data.push(b' ');
            data.extend_from_slice(name);
            data.push(0);
            data.extend((0..40).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()));
        }
        fs::write(self.path.join("somebody.tree"), data).unwrap();
        let id = self.git(&["hash-object", "-t", "tree", "-w", "--literally", "somebody.tree"]);
        fs::remove_file(self.path.join("somebody.tree")).unwrap();
        id.trim().to_owned()
    }

    /// Makes `tree` what `main` holds.
    pub(crate) fn set_root(&self, tree: &str) {
        let commit = self.git(&["commit-tree", "-m", "Planted", tree]);
        self.git(&["update-ref", "refs/heads/main", commit.trim()]);
    }

    /// Writes contents and gives their id.
    pub(crate) fn blob(&self, contents: &[u8]) -> String {
        fs::write(self.path.join("somebody.blob"), contents).unwrap();
        self.git(&["hash-object", "-w", "--no-filters", "somebody.blob"]).trim().to_owned()
    }

    /// Holds every push until the gate is opened.
    pub(crate) fn hold_pushes(&self, sandbox: &Sandbox) -> Gate {
        sandbox.serve_without_git();
        let gate = Gate::new(sandbox);
        self.hook("pre-receive", &gate.script());
        gate
    }

    /// Installs an executable hook.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        executable::script(&self.path.join("hooks").join(name), script);
    }
}
