//! Finds the commits that gave files of the codex their present versions.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BStr, BString, ByteSlice};

use super::commit::ParsedCommit;
use super::commit_message::{MoveTrailers, RecordedSyncs};
use super::listing::Lister;
use super::tree::{TreeError, changed_entries, entry_at};
use super::tree_merge::ReadTree;
use crate::object::{Mode, ObjectId};
use crate::paths::{CodexPath, join_below};
use crate::plan::Entry;

/// The commits that gave files their present versions, by the paths in the codex.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    /// The origin of each file. A file is missing if the history was read down to a missing commit and
    /// none of the commits before it has changed the file.
    files: BTreeMap<BString, FileOrigin>,
    /// The commits in `files`.
    commits: BTreeMap<ObjectId, ParsedCommit>,
    /// Whether a file is missing in `files`.
    pub is_cut: bool,
}

/// The origin of a file.
#[derive(Debug)]
struct FileOrigin {
    /// The commit that gave the file its present contents and mode.
    commit: ObjectId,
    /// The path of the file in that commit.
    path: BString,
    /// The later moves of the file, the newest first.
    moves: Vec<FileMove>,
}

/// A commit that moved a file together with the directory of its project.
#[derive(Debug)]
struct FileMove {
    commit: ObjectId,
    /// The name of the project before.
    old_name: String,
}

impl Origins {
    /// The commit that gave a file its present contents; `None` if it is unknown. Commits that moved
    /// the directory of the project do not count.
    pub(crate) fn of(&self, path: &BStr) -> Option<(ObjectId, &ParsedCommit)> {
        self.commit(self.files.get(path)?.commit)
    }

    /// The path of a file in the commit that gave it its present contents.
    pub(crate) fn path_of(&self, path: &BStr) -> Option<&BString> {
        Some(&self.files.get(path)?.path)
    }

    /// The commits that moved a file since then, the newest first.
    pub(crate) fn moves_of(&self, path: &BStr) -> impl Iterator<Item = (ObjectId, &ParsedCommit)> {
        let moves = self.files.get(path).map(|origin| origin.moves.iter());
        moves
            .into_iter()
            .flatten()
            .filter_map(|moved| self.commit(moved.commit))
    }

    /// Whether a sync of the project `name` gave a file its present contents, or a sync under an
    /// earlier name. Without trailers, this is never known.
    pub(crate) fn is_published(&self, path: &BStr, name: &str) -> bool {
        let Some(origin) = self.files.get(path) else {
            return false;
        };
        let is_of_project =
            |named: &str| named == name || origin.moves.iter().any(|moved| moved.old_name == named);
        let recorded = RecordedSyncs::parse(&self.commits[&origin.commit].message);
        let mut syncs = recorded.only().iter();
        syncs.any(|sync| is_of_project(&sync.project))
    }

    fn commit(&self, id: ObjectId) -> Option<(ObjectId, &ParsedCommit)> {
        Some((id, self.commits.get(&id)?))
    }
}

/// The history of a codex, as far as a clone has it.
pub(crate) struct PathHistory<'h> {
    /// Returns the bytes of a commit; `None` if it is missing.
    pub read_commit: &'h dyn Fn(ObjectId) -> Option<Vec<u8>>,
    /// Returns the bytes of a tree.
    pub read_tree: ReadTree<'h>,
}

/// A file at some commit of the history.
struct FollowedFile {
    /// The index among the files of the search.
    index: usize,
    /// The path in the commit.
    path: BString,
}

/// The files to find in the history of a commit, in the order of their paths.
type FilesByCommit = BTreeMap<(i64, ObjectId), (ParsedCommit, Vec<FollowedFile>)>;

impl PathHistory<'_> {
    /// Finds the origins of `files`, given by their paths, each of which is in one of the commits
    /// `tips`. Each file is followed to the first parent that has the same version of it, and through
    /// the commits that moved the directory of its project.
    pub(crate) fn origins(
        &self,
        tips: &[ObjectId],
        files: &BTreeMap<BString, Entry>,
    ) -> Result<Origins, TreeError> {
        let mut origins = Origins::default();
        let mut pending = FilesByCommit::new();
        let paths: Vec<_> = files.keys().collect();
        let mut moves: BTreeMap<usize, Vec<FileMove>> = BTreeMap::new();
        let followed = paths.iter().enumerate().map(|(index, path)| FollowedFile {
            index,
            path: (*path).clone(),
        });
        let mut missing: Vec<_> = followed.collect();
        for tip in tips {
            let Some(commit) = self.commit(*tip) else {
                origins.is_cut = true;
                continue;
            };
            let mut lister = Lister::new(self.read_tree, Some(commit.tree));
            let (mut present, mut absent) = (Vec::new(), Vec::new());
            for file in missing {
                let Entry { mode, id } = files[&file.path];
                match lister.find(file.path.as_bstr())? == Some((mode, id)) {
                    true => present.push(file),
                    false => absent.push(file),
                }
            }
            missing = absent;
            add(&mut pending, *tip, commit, present);
        }

        while let Some(((_, id), (commit, followed))) = pending.pop_last() {
            let Some(rest) = self.pass_to_parents(&commit, followed, &mut pending)? else {
                origins.is_cut = true;
                continue;
            };
            let count = rest.len();
            let rest = self.follow_move(id, &commit, rest, &mut pending, &mut moves)?;
            if count > 0 {
                origins.commits.insert(id, commit);
            }
            for file in rest {
                let origin = FileOrigin {
                    commit: id,
                    path: file.path,
                    moves: moves.remove(&file.index).unwrap_or_default(),
                };
                origins.files.insert(paths[file.index].clone(), origin);
            }
        }
        Ok(origins)
    }

    fn commit(&self, id: ObjectId) -> Option<ParsedCommit> {
        ParsedCommit::parse(&(self.read_commit)(id)?)
    }

    /// Passes each file on to the first parent of `commit` that has the same version of the file.
    /// Returns the files that no parent has: the commit made their versions.
    ///
    /// Returns `None` if files are left and the clone lacks a parent, which could have their
    /// versions.
    fn pass_to_parents(
        &self,
        commit: &ParsedCommit,
        mut files: Vec<FollowedFile>,
        pending: &mut FilesByCommit,
    ) -> Result<Option<Vec<FollowedFile>>, TreeError> {
        let mut is_cut = false;
        for id in &commit.parents {
            if files.is_empty() {
                break;
            }
            let Some(parent) = self.commit(*id) else {
                is_cut = true;
                continue;
            };
            match self.changed(parent.tree, commit.tree, &files) {
                Ok(changed) => {
                    let (rest, same) = split(files, &changed);
                    add(pending, *id, parent, same);
                    files = rest;
                }
                // The clone has the commit, but not its files.
                Err(TreeError::Missing(_)) => is_cut = true,
                Err(error) => return Err(error),
            }
        }
        Ok((files.is_empty() || !is_cut).then_some(files))
    }

    /// The indexes in `files`, which the tree `after` contains, of those that the tree `before` lacks
    /// or has in other versions. Equal subtrees and those without any of the files are not read.
    fn changed(
        &self,
        before: ObjectId,
        after: ObjectId,
        files: &[FollowedFile],
    ) -> Result<BTreeSet<usize>, TreeError> {
        let mut changed = BTreeSet::new();
        let mut pending = vec![(BString::default(), before, after, 0..files.len())];
        while let Some((prefix, before, after, range)) = pending.pop() {
            if before == after {
                continue;
            }
            let (old, new) = ((self.read_tree)(before)?, (self.read_tree)(after)?);
            let entries = changed_entries(&old, &new).ok_or(TreeError::Damaged(after))?;
            for entry in entries {
                let mut path = join_below(prefix.as_bstr(), entry.name.as_bstr());
                let first_at = |path: &BString| {
                    let files = &files[range.clone()];
                    range.start + files.partition_point(|file| file.path < *path)
                };
                let start = first_at(&path);
                let below = &files[start..range.end];
                let end = start + below.partition_point(|file| file.path == path);
                changed.extend(start..end);
                path.push(b'/');
                let start = first_at(&path);
                let below = &files[start..range.end];
                let end = start + below.partition_point(|file| file.path.starts_with(&path));
                match entry.directories {
                    _ if start == end => {}
                    Some((before, after)) => {
                        path.pop();
                        pending.push((path, before, after, start..end));
                    }
                    None => changed.extend(start..end),
                }
            }
        }
        Ok(changed)
    }

    /// Passes the files in the directory of a project to the directory that a commit moved them from,
    /// if it did so. Returns the other files.
    fn follow_move(
        &self,
        id: ObjectId,
        commit: &ParsedCommit,
        files: Vec<FollowedFile>,
        pending: &mut FilesByCommit,
        moves: &mut BTreeMap<usize, Vec<FileMove>>,
    ) -> Result<Vec<FollowedFile>, TreeError> {
        let Some(moved) = MoveTrailers::parse(&commit.message).filter(|_| !files.is_empty()) else {
            return Ok(files);
        };
        for parent_id in &commit.parents {
            let Some(parent) = self.commit(*parent_id) else {
                continue;
            };
            let from = entry_at(self.read_tree, parent.tree, moved.from.as_bstr())?;
            let Some((Mode::Directory, tree)) = from else {
                continue;
            };
            let Some(to) = self.directory_with_tree(commit, tree, &files)? else {
                continue;
            };
            let (inside, outside): (Vec<_>, _) = files
                .into_iter()
                .partition(|file| below(&file.path, &to).is_some());
            let followed = inside.into_iter().filter_map(|file| {
                let path = moved.from.join(below(&file.path, &to)?);
                let index = file.index;
                moves.entry(index).or_default().push(FileMove {
                    commit: id,
                    old_name: moved.old.clone(),
                });
                Some(FollowedFile { index, path })
            });
            add(pending, *parent_id, parent, followed.collect());
            return Ok(outside);
        }
        Ok(files)
    }

    /// The directory above one of `files` that has this tree in `commit`.
    fn directory_with_tree(
        &self,
        commit: &ParsedCommit,
        tree: ObjectId,
        files: &[FollowedFile],
    ) -> Result<Option<CodexPath>, TreeError> {
        let mut directories = BTreeSet::new();
        for file in files {
            let slashes = file.path.find_iter("/");
            directories.extend(slashes.map(|end| file.path[..end].as_bstr()));
        }
        for directory in directories {
            let entry = entry_at(self.read_tree, commit.tree, directory)?;
            if entry == Some((Mode::Directory, tree)) {
                return Ok(CodexPath::new(directory).ok());
            }
        }
        Ok(None)
    }
}

/// The path of a file below a directory; `None` if it is not there.
fn below<'p>(path: &'p BString, directory: &CodexPath) -> Option<&'p BStr> {
    let rest = path.strip_prefix(directory.as_bstr().as_bytes())?;
    rest.strip_prefix(b"/").map(BStr::new)
}

/// Splits files by whether their index is in `changed`: the changed ones, and the others.
fn split(
    files: Vec<FollowedFile>,
    changed: &BTreeSet<usize>,
) -> (Vec<FollowedFile>, Vec<FollowedFile>) {
    if changed.is_empty() {
        return (Vec::new(), files);
    }
    let mut rest = Vec::with_capacity(changed.len());
    let mut same = Vec::with_capacity(files.len() - changed.len());
    for (at, file) in files.into_iter().enumerate() {
        match changed.contains(&at) {
            true => rest.push(file),
            false => same.push(file),
        }
    }
    (rest, same)
}

/// Adds files to find in the history of a commit.
fn add(pending: &mut FilesByCommit, id: ObjectId, commit: ParsedCommit, files: Vec<FollowedFile>) {
    if files.is_empty() {
        return;
    }
    match pending.get_mut(&(commit.time, id)) {
        Some((_, pending)) => {
            pending.extend(files);
            pending.sort_by(|one, other| one.path.cmp(&other.path));
        }
        None => {
            pending.insert((commit.time, id), (commit, files));
        }
    }
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
            let files: Files = in_directory(directory, files);
            history.origins(tips, &files).unwrap()
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
                let path: BString = format!("{directory}/{path}").into();
                let path = path.as_bstr();
                prop_assert_eq!(origins.of(path).map(|(id, _)| id), Some(*id));
                prop_assert_eq!(origins.is_published(path, name), *is_sync);
            }

            // A shallow clone shows the same commits, or none.
            for commit in commits.iter().rev().skip(kept) {
                objects.0.borrow_mut().remove(commit);
            }
            let origins = objects.origins(&[tip], &directory, &files);
            for (path, (id, _)) in &model {
                let path: BString = format!("{directory}/{path}").into();
                let found = origins.of(path.as_bstr()).map(|(id, _)| id);
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
            let found = ["p/a", "p/b"].map(|path| origins.of(path.into()).unwrap().0);
            assert_eq!(found, [ours, theirs]);
        }
    }
}
