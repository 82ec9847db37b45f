//! Finds the commits that gave the files of a directory their present versions.

use std::collections::{BTreeMap, BTreeSet};

use bstr::BString;

use super::commit::ParsedCommit;
use super::commit_message::{MoveTrailers, named_projects};
use super::tree::{TreeError, entry_at};
use super::tree_merge::{ReadTree, changes};
use crate::object::{Mode, ObjectId};
use crate::paths::CodexPath;
use crate::plan::Entry;

/// The commits that gave files their present versions.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    /// The commit of each file, by the path below the directory. A file is missing if the history
    /// was read down to a missing commit and none of the commits before it has changed the file.
    files: BTreeMap<BString, ObjectId>,
    /// The commits in `files`.
    commits: BTreeMap<ObjectId, ParsedCommit>,
    /// The names that the project had before its directory was moved.
    old_names: BTreeSet<String>,
    /// Whether a file is missing in `files`.
    pub is_cut: bool,
}

impl Origins {
    /// The commit that gave a file its present version; `None` if it is unknown.
    pub(crate) fn of(&self, file: &BString) -> Option<(ObjectId, &ParsedCommit)> {
        let id = self.files.get(file)?;
        Some((*id, &self.commits[id]))
    }

    /// Whether a sync of the project `name` gave a file its present version, or a sync under an
    /// earlier name. Without trailers, this is never known.
    pub(crate) fn is_published(&self, file: &BString, name: &str) -> bool {
        let is_of_project = |named: &str| named == name || self.old_names.contains(named);
        self.of(file)
            .is_some_and(|(_, commit)| named_projects(&commit.message).any(is_of_project))
    }
}

/// The history of a codex, as far as a clone has it.
pub(crate) struct PathHistory<'h> {
    /// Returns the bytes of a commit; `None` if it is missing.
    pub read_commit: &'h dyn Fn(ObjectId) -> Option<Vec<u8>>,
    /// Returns the bytes of a tree.
    pub read_tree: ReadTree<'h>,
}

/// The files to find in the history of a commit, in one directory.
type FilesByCommit = BTreeMap<(i64, ObjectId, CodexPath), (ParsedCommit, BTreeSet<BString>)>;

impl PathHistory<'_> {
    /// Finds the origins of `files`, which are in `directory` of one of the commits `tips`. Each file
    /// is followed to the first parent that has the same version of it, and through the commits that
    /// moved the directory.
    pub(crate) fn origins(
        &self,
        tips: &[ObjectId],
        directory: &CodexPath,
        files: &BTreeMap<BString, Entry>,
    ) -> Result<Origins, TreeError> {
        let mut origins = Origins::default();
        let mut pending = FilesByCommit::new();
        let mut missing: BTreeSet<_> = files.keys().cloned().collect();
        for tip in tips {
            let Some(commit) = self.commit(*tip) else {
                origins.is_cut = true;
                continue;
            };
            let mut present = BTreeSet::new();
            if let Some(tree) = self.directory(&commit, directory)? {
                for file in &missing {
                    let Entry { mode, id } = files[file];
                    if entry_at(self.read_tree, tree, file.as_ref())? == Some((mode, id)) {
                        present.insert(file.clone());
                    }
                }
            }
            missing = &missing - &present;
            add(&mut pending, *tip, directory, commit, present);
        }

        while let Some(((_, id, directory), (commit, files))) = pending.pop_last() {
            let Some(rest) = self.pass_to_parents(&commit, &directory, files, &mut pending)? else {
                origins.is_cut = true;
                continue;
            };
            let rest = self.follow_move(&commit, &directory, rest, &mut pending, &mut origins)?;
            if !rest.is_empty() {
                origins.commits.insert(id, commit);
                origins
                    .files
                    .extend(rest.into_iter().map(|file| (file, id)));
            }
        }
        Ok(origins)
    }

    fn commit(&self, id: ObjectId) -> Option<ParsedCommit> {
        ParsedCommit::parse(&(self.read_commit)(id)?)
    }

    /// The tree of a directory in a commit.
    fn directory(
        &self,
        commit: &ParsedCommit,
        directory: &CodexPath,
    ) -> Result<Option<ObjectId>, TreeError> {
        let entry = entry_at(self.read_tree, commit.tree, directory.as_bstr())?;
        Ok(entry.and_then(|(mode, id)| (mode == Mode::Directory).then_some(id)))
    }

    /// Passes each file on to the first parent of `commit` that has the same version of the file.
    /// Returns the files that no parent has: the commit made their versions.
    ///
    /// Returns `None` if files are left and the clone lacks a parent, which could have their
    /// versions.
    fn pass_to_parents(
        &self,
        commit: &ParsedCommit,
        directory: &CodexPath,
        mut files: BTreeSet<BString>,
        pending: &mut FilesByCommit,
    ) -> Result<Option<BTreeSet<BString>>, TreeError> {
        let Some(tree) = self.directory(commit, directory)? else {
            return Ok(Some(files));
        };
        let mut is_cut = false;
        for id in &commit.parents {
            let parent = self.commit(*id);
            let changed = parent.as_ref().map(|parent| {
                let before = self.directory(parent, directory)?;
                before
                    .map(|before| changes(self.read_tree, before, tree))
                    .transpose()
            });
            let (Some(parent), Some(changed)) = (parent, changed) else {
                is_cut = true;
                continue;
            };
            match changed {
                Ok(Some(changed)) => {
                    let is_changed = |file: &BString| changed.contains_key(file);
                    let (rest, same): (BTreeSet<_>, _) = files.into_iter().partition(is_changed);
                    add(pending, *id, directory, parent, same);
                    files = rest;
                }
                Ok(None) => {}
                // The clone has the commit, but not its files.
                Err(TreeError::Missing(_)) => is_cut = true,
                Err(error) => return Err(error),
            }
        }
        Ok((files.is_empty() || !is_cut).then_some(files))
    }

    /// Passes the files to the directory that a commit moved them from, if it did so.
    fn follow_move(
        &self,
        commit: &ParsedCommit,
        directory: &CodexPath,
        files: BTreeSet<BString>,
        pending: &mut FilesByCommit,
        origins: &mut Origins,
    ) -> Result<BTreeSet<BString>, TreeError> {
        let Some(moved) = MoveTrailers::parse(&commit.message).filter(|_| !files.is_empty()) else {
            return Ok(files);
        };
        let tree = self.directory(commit, directory)?;
        for id in &commit.parents {
            if let Some(parent) = self.commit(*id)
                && tree.is_some()
                && self.directory(&parent, &moved.from)? == tree
            {
                origins.old_names.insert(moved.old);
                add(pending, *id, &moved.from, parent, files);
                return Ok(BTreeSet::new());
            }
        }
        Ok(files)
    }
}

/// Adds files to find in the history of a commit.
fn add(
    pending: &mut FilesByCommit,
    id: ObjectId,
    directory: &CodexPath,
    commit: ParsedCommit,
    files: BTreeSet<BString>,
) {
    if files.is_empty() {
        return;
    }
    let key = (commit.time, id, directory.clone());
    let entry = pending.entry(key).or_insert((commit, BTreeSet::new()));
    entry.1.extend(files);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use bstr::ByteSlice;
    use proptest::prelude::*;

    use super::*;
    use crate::codex::objects::tree::{Edit, TreeStore, edit};
    use crate::object::{Kind, hash};

    type Files = BTreeMap<BString, Entry>;

    /// The objects of a codex, in memory.
    #[derive(Default)]
    struct Objects(RefCell<HashMap<ObjectId, Vec<u8>>>);

    impl TreeStore for &Objects {
        fn read(&self, id: ObjectId) -> Result<Vec<u8>, TreeError> {
            let data = self.0.borrow().get(&id).cloned();
            data.ok_or(TreeError::Missing(id))
        }

        fn write(&mut self, data: Vec<u8>, _: Option<ObjectId>) -> ObjectId {
            let id = hash(Kind::Tree, &data);
            self.0.borrow_mut().insert(id, data);
            id
        }
    }

    impl Objects {
        /// Makes a commit of these files, by their paths in the codex.
        fn commit(&self, files: &Files, parents: &[ObjectId], message: &str) -> ObjectId {
            let edits: BTreeMap<BString, Edit> = files
                .iter()
                .map(|(path, entry)| (path.clone(), Some((entry.mode, entry.id))))
                .collect();
            let mut store = self;
            let tree = edit(&mut store, None, &edits).unwrap();
            let tree = tree.unwrap_or_else(|| store.write(Vec::new(), None));
            let parents: String = parents.iter().map(|id| format!("parent {id}\n")).collect();
            let time = self.0.borrow().len();
            let who = format!("Ada <a@a> {time} +0000");
            let data = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\n{message}");
            let id = hash(Kind::Commit, data.as_bytes());
            self.0.borrow_mut().insert(id, data.into_bytes());
            id
        }

        fn origins(&self, tips: &[ObjectId], directory: &str, files: &Files) -> Origins {
            let history = PathHistory {
                read_commit: &|id| self.0.borrow().get(&id).cloned(),
                read_tree: &|id| self.read(id),
            };
            let directory = CodexPath::new(directory.as_bytes()).unwrap();
            history.origins(tips, &directory, files).unwrap()
        }
    }

    fn entry(version: u8) -> Entry {
        Entry {
            mode: Mode::File,
            id: hash(Kind::Blob, &[version]),
        }
    }

    fn in_directory(directory: &str, files: &Files) -> Files {
        let path = |path: &BString| format!("{directory}/{path}").into();
        files
            .iter()
            .map(|(name, entry)| (path(name), *entry))
            .collect()
    }

    /// One commit: the changed files, whether a sync made it, and whether it moves the directory if
    /// it changes nothing.
    #[derive(Debug, Clone)]
    struct Step {
        changes: BTreeMap<String, Option<u8>>,
        is_sync: bool,
        moves: bool,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let changes = prop::collection::btree_map("a|b|d/c|d/e", prop::option::of(0..3u8), 0..3);
        let step = (changes, any::<bool>(), any::<bool>());
        let step = step.prop_map(|(changes, is_sync, moves)| Step {
            changes,
            is_sync,
            moves,
        });
        prop::collection::vec(step, 1..10)
    }

    proptest! {
        #[test]
        fn origin_is_the_last_change_of_a_file(steps in steps(), kept in 1..10usize) {
            let objects = Objects::default();
            let mut files = Files::new();
            let mut model: BTreeMap<BString, (ObjectId, bool)> = BTreeMap::new();
            let mut commits: Vec<ObjectId> = Vec::new();
            let (mut name, mut other_name) = ("one", "two");
            for (number, Step { changes, is_sync, moves }) in steps.into_iter().enumerate() {
                let before = files.clone();
                for (path, version) in changes {
                    match version {
                        Some(version) => files.insert(path.into(), entry(version)),
                        None => files.remove(path.as_bytes().as_bstr()),
                    };
                }
                let message = if moves && files == before && !files.is_empty() {
                    (name, other_name) = (other_name, name);
                    format!(
                        "x\n\nCodex-Project: {name}\nCodex-Renamed-From: {other_name}\nCodex-Moved-From: projects/{other_name}\n"
                    )
                } else if is_sync {
                    format!("Sync\n\nCodex-Project: {name}\n")
                } else {
                    "By hand\n\nCodex-Project: three\n".to_owned()
                };
                let mut all = in_directory(&format!("projects/{name}"), &files);
                all.insert("other".into(), entry(number as u8));
                let parent: Vec<_> = commits.last().copied().into_iter().collect();
                let id = objects.commit(&all, &parent, &message);
                commits.push(id);
                model.retain(|path, _| files.contains_key(path));
                for (path, entry) in &files {
                    if before.get(path) != Some(entry) {
                        model.insert(path.clone(), (id, is_sync));
                    }
                }
            }

            let (tip, directory) = (*commits.last().unwrap(), format!("projects/{name}"));
            let origins = objects.origins(&[tip], &directory, &files);
            prop_assert!(!origins.is_cut);
            for (path, (id, is_sync)) in &model {
                prop_assert_eq!(origins.of(path).map(|(id, _)| id), Some(*id));
                prop_assert_eq!(origins.is_published(path, name), *is_sync);
            }

            // A shallow clone shows the same commits, or none.
            for commit in commits.iter().rev().skip(kept) {
                objects.0.borrow_mut().remove(commit);
            }
            let origins = objects.origins(&[tip], &directory, &files);
            for (path, (id, _)) in &model {
                let found = origins.of(path).map(|(id, _)| id);
                prop_assert!(found == Some(*id) || (found.is_none() && origins.is_cut));
            }
        }
    }

    #[test]
    fn files_are_followed_through_merges() {
        let objects = Objects::default();
        let files = |a, b| Files::from([("a".into(), entry(a)), ("b".into(), entry(b))]);
        let commit = |a, b, parents: &[ObjectId]| {
            objects.commit(&in_directory("p", &files(a, b)), parents, "By hand")
        };
        let first = commit(0, 0, &[]);
        let ours = commit(1, 0, &[first]);
        let theirs = commit(0, 1, &[first]);
        let merge = commit(1, 1, &[ours, theirs]);

        // The same is found before the merge is committed.
        for tips in [&[merge][..], &[ours, theirs]] {
            let origins = objects.origins(tips, "p", &files(1, 1));
            let found = ["a", "b"].map(|name| origins.of(&name.into()).unwrap().0);
            assert_eq!(found, [ours, theirs]);
        }
    }
}
