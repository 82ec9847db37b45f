//! The source commits of published changes: for each changed path, the newest commit that changed it.
//!
//! The history is read from the published commit backwards. A path is followed into the first parent
//! that has the same version of it, as `git log -- PATH` does, so a merge counts only if its version is
//! that of none of its parents. Only the directories of the changed paths are read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;

use bstr::{BStr, BString, ByteSlice};

use super::identity::clean;
use super::objects::commit::ParsedCommit;
use super::source_repository::{SourceCommit, SourceRepository};
use crate::object::{Mode, ObjectId};
use crate::scan::{CommittedEntry, SourceObjects, UnreadableObject};

/// The number of commits that are read at most. The changes of older ones remain unknown.
const MAX_COMMITS: usize = 10_000;

/// The number of characters of a subject.
const MAX_SUBJECT: usize = 200;

/// A commit, and the paths whose present versions it has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceChange {
    /// The author; `None` without a name or an e-mail address.
    author: Option<SourceAuthor>,
    /// The subject in one line.
    subject: String,
    /// The committer time, in seconds since the epoch.
    pub time: i64,
    /// The paths in the repository.
    pub paths: Vec<BString>,
}

/// The author of a source commit. Neither text contains control characters, `<` or `>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceAuthor {
    name: String,
    email: String,
}

impl SourceAuthor {
    /// Parses `NAME <EMAIL>`; `None` if one of them is empty.
    fn parse(text: &str) -> Option<Self> {
        let (name, email) = text.split_once('<')?;
        let author = Self {
            name: clean(name),
            email: clean(email.split('>').next().unwrap_or_default()),
        };
        (!author.name.is_empty() && !author.email.is_empty()).then_some(author)
    }

    /// `NAME <EMAIL>`.
    pub(crate) fn name_and_email(&self) -> String {
        format!("{} <{}>", self.name, self.email)
    }

    /// The e-mail address in lower case, which identifies a person.
    fn key(&self) -> String {
        self.email.to_lowercase()
    }
}

/// What the message of a commit of the codex says about its source commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceCredit {
    /// The authors, each e-mail address once, those of the newest commits first.
    pub authors: Vec<SourceAuthor>,
    /// The subject of the newest commit; empty if no commit is known.
    pub subject: String,
}

impl SourceCredit {
    /// The credit for commits, which are newest first. `own` is the e-mail address of the author of
    /// the codex's commit, who is left out.
    pub(crate) fn new<'c>(changes: impl Iterator<Item = &'c SourceChange>, own: &str) -> Self {
        let mut seen = HashSet::from([own.to_lowercase()]);
        let mut credit = Self::default();
        for (number, change) in changes.enumerate() {
            if number == 0 {
                credit.subject.clone_from(&change.subject);
            }
            let author = change.author.iter();
            credit
                .authors
                .extend(author.filter(|one| seen.insert(one.key())).cloned());
        }
        credit
    }
}

/// The subject of a message in one line: its first paragraph without control characters, cut after
/// [`MAX_SUBJECT`] characters.
fn subject_of(message: &str) -> String {
    let lines = message.trim_start().lines().map(str::trim);
    let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let text: String = lines
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_SUBJECT)
        .collect();
    text.trim().to_owned()
}

/// A commit that was not compared with its parents yet, and the paths to compare.
struct PendingCommit<'p> {
    commit: ParsedCommit,
    paths: BTreeSet<&'p BStr>,
}

impl SourceRepository {
    /// The newest commits in the history of `head` that changed `paths`, which are paths in the
    /// repository, newest first.
    ///
    /// Paths whose commit is not found are left out: those that the history does not contain, and
    /// those whose commit is beyond the boundary of a shallow clone or older than the newest 10,000
    /// commits that are read.
    pub(crate) fn last_changes(
        &self,
        head: &SourceCommit,
        paths: &BTreeSet<BString>,
    ) -> Vec<SourceChange> {
        let mut found = Vec::new();
        let mut pending = BTreeMap::new();
        if let Some(commit) = self.parsed_commit(head.id) {
            let paths = paths.iter().map(|path| path.as_bstr()).collect();
            pending.insert((commit.time, head.id), PendingCommit { commit, paths });
        }

        for _ in 0..MAX_COMMITS {
            let Some((_, PendingCommit { commit, paths })) = pending.pop_last() else {
                break;
            };
            let changed = self.changed_by(&commit, paths, &mut pending);
            if changed.is_empty() {
                continue;
            }
            found.push(SourceChange {
                author: SourceAuthor::parse(&commit.author),
                subject: subject_of(&commit.message),
                time: commit.time,
                paths: changed.into_iter().map(ToOwned::to_owned).collect(),
            });
        }
        found
    }

    /// The paths that a commit has changed. Adds the other ones to its parents. It is unknown who has
    /// changed a path if a parent cannot be read.
    fn changed_by<'p>(
        &self,
        commit: &ParsedCommit,
        paths: BTreeSet<&'p BStr>,
        pending: &mut BTreeMap<(i64, ObjectId), PendingCommit<'p>>,
    ) -> BTreeSet<&'p BStr> {
        let compare = |parent: Option<ObjectId>, paths: &BTreeSet<&'p BStr>| {
            let paths: Vec<_> = paths.iter().map(|path| (*path, *path)).collect();
            let mut found = BTreeSet::new();
            self.add_differing(parent, Some(commit.tree), &paths, &mut found)
                .map(|()| found)
        };
        if commit.parents.is_empty() {
            return compare(None, &paths).unwrap_or_default();
        }

        let mut changed = paths;
        let mut is_known = true;
        for id in &commit.parents {
            let parent = self.parsed_commit(*id);
            let compared = parent
                .and_then(|parent| Some((compare(Some(parent.tree), &changed).ok()?, parent)));
            let Some((differing, parent)) = compared else {
                is_known = false;
                continue;
            };
            // Most commits change none of the paths. Their sets are moved and not copied.
            let mut same = mem::replace(&mut changed, differing);
            if !changed.is_empty() {
                same.retain(|path| !changed.contains(path));
            }
            if !same.is_empty() {
                let waiting = pending.entry((parent.time, *id)).or_insert(PendingCommit {
                    commit: parent,
                    paths: BTreeSet::new(),
                });
                waiting.paths.append(&mut same);
            }
            if changed.is_empty() {
                return changed;
            }
        }
        match is_known {
            true => changed,
            false => BTreeSet::new(),
        }
    }

    /// Adds the paths whose files differ between two trees; `None` is an empty one. `paths` are sorted,
    /// each with its part below the trees first.
    fn add_differing<'p>(
        &self,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
        paths: &[(&'p BStr, &'p BStr)],
        found: &mut BTreeSet<&'p BStr>,
    ) -> Result<(), UnreadableObject> {
        if old == new {
            return Ok(());
        }
        let (old, new) = (self.entries_of(old)?, self.entries_of(new)?);
        let first = |below: &'p BStr| match below.split_once_str("/") {
            Some((name, rest)) => (name.as_bstr(), Some(rest.as_bstr())),
            None => (below, None),
        };
        for group in paths.chunk_by(|(one, _), (other, _)| first(one).0 == first(other).0) {
            let (name, _) = first(group[0].0);
            let entries = [old.get(name), new.get(name)];
            if entries[0] == entries[1] {
                continue;
            }
            let file = |entry: Option<&(Mode, ObjectId)>| {
                entry.copied().filter(|(mode, _)| *mode != Mode::Directory)
            };
            let directory = |entry: Option<&(Mode, ObjectId)>| {
                let (mode, id) = entry?;
                (*mode == Mode::Directory).then_some(*id)
            };
            let mut deeper = Vec::new();
            for (below, path) in group {
                match first(below).1 {
                    Some(rest) => deeper.push((rest, *path)),
                    None if file(entries[0]) != file(entries[1]) => {
                        found.insert(*path);
                    }
                    None => {}
                }
            }
            let [old, new] = entries.map(directory);
            self.add_differing(old, new, &deeper, found)?;
        }
        Ok(())
    }

    /// The entries of a tree by name; none without a tree. They are not kept, because each commit has
    /// others.
    fn entries_of(
        &self,
        tree: Option<ObjectId>,
    ) -> Result<HashMap<BString, (Mode, ObjectId)>, UnreadableObject> {
        let entries = tree.map_or(Ok(Vec::new()), |tree| self.tree(tree))?;
        let by_name = |entry: CommittedEntry| (entry.name, (entry.mode, entry.id));
        Ok(entries.into_iter().map(by_name).collect())
    }

    /// A commit; `None` if it is missing, as beyond the boundary of a shallow clone, or damaged.
    fn parsed_commit(&self, id: ObjectId) -> Option<ParsedCommit> {
        ParsedCommit::parse(&self.commit_data(id).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::codex::source_repository::SourceRepositories;
    use crate::codex::store::id_of;

    /// A repository whose commits are made without a working tree.
    struct History {
        directory: tempfile::TempDir,
        git: git2::Repository,
    }

    impl History {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let git = git2::Repository::init(directory.path()).unwrap();
            Self { directory, git }
        }

        /// Makes a commit with these files and parents, whose author and subject are `name`.
        fn commit(
            &self,
            (name, time): (&str, i64),
            files: &[(&str, &str)],
            parents: &[git2::Oid],
        ) -> git2::Oid {
            let mut index = git2::Index::new().unwrap();
            for (path, contents) in files {
                let entry = git2::IndexEntry {
                    ctime: git2::IndexTime::new(0, 0),
                    mtime: git2::IndexTime::new(0, 0),
                    dev: 0,
                    ino: 0,
                    mode: 0o100_644,
                    uid: 0,
                    gid: 0,
                    file_size: 0,
                    id: self.git.blob(contents.as_bytes()).unwrap(),
                    flags: 0,
                    flags_extended: 0,
                    path: path.as_bytes().to_vec(),
                };
                index.add(&entry).unwrap();
            }
            let tree = index.write_tree_to(&self.git).unwrap();
            let tree = self.git.find_tree(tree).unwrap();
            let time = git2::Time::new(time, 0);
            let person = git2::Signature::new(name, &format!("{name}@x"), &time).unwrap();
            let parents: Vec<_> = parents
                .iter()
                .map(|id| self.git.find_commit(*id).unwrap())
                .collect();
            let parents: Vec<_> = parents.iter().collect();
            self.git
                .commit(None, &person, &person, name, &tree, &parents)
                .unwrap()
        }

        /// The subject of each change of `paths` in the history of `head`, with the changed paths.
        fn changes(&self, head: git2::Oid, paths: &[&str]) -> Vec<String> {
            let repositories = SourceRepositories::default();
            let directory: &Path = self.directory.path();
            let repository = repositories.of(directory).unwrap().unwrap();
            let tree = self.git.find_commit(head).unwrap().tree_id();
            let head = SourceCommit {
                id: id_of(head),
                tree: id_of(tree),
                branch: None,
            };
            let paths = paths.iter().map(|path| BString::from(*path)).collect();
            let changes = repository.last_changes(&head, &paths).into_iter();
            changes
                .map(|change| {
                    format!(
                        "{} {}",
                        change.subject,
                        bstr::join(" ", change.paths).as_bstr()
                    )
                })
                .collect()
        }
    }

    #[test]
    fn newest_commit_of_each_path_is_found() {
        let history = History::new();
        let old = [("a", "1"), ("d/b", "1"), ("d/c", "1"), ("gone", "1")];
        let root = history.commit(("root", 1), &old, &[]);
        let files = [("a", "1"), ("d/b", "side"), ("d/c", "1"), ("gone", "1")];
        let side = history.commit(("side", 2), &files, &[root]);
        let files = [("a", "main"), ("d/b", "1"), ("d/c", "1")];
        let main = history.commit(("main", 3), &files, &[root]);
        let all = ["a", "d/b", "d/c", "gone", "never", "d", "a/x"];

        // A merge that takes each version from one of its parents has changed nothing.
        let files = [("a", "main"), ("d/b", "side"), ("d/c", "1")];
        let clean = history.commit(("clean", 4), &files, &[main, side]);
        assert_eq!(
            history.changes(clean, &all),
            ["main a gone", "side d/b", "root d/c"]
        );
        // A merge that makes a version of its own has changed the path, and one that takes the version
        // of one parent has discarded the change of the other.
        let files = [("a", "both"), ("d/b", "1"), ("d/c", "1")];
        let own = history.commit(("own", 4), &files, &[main, side]);
        assert_eq!(
            history.changes(own, &all),
            ["own a", "main gone", "root d/b d/c"]
        );
        // Times that contradict the order of commits do not matter.
        let files = [("a", "main"), ("d/b", "1"), ("d/c", "new")];
        let skewed = history.commit(("skewed", 0), &files, &[main]);
        assert_eq!(
            history.changes(skewed, &all),
            ["skewed d/c", "main a gone", "root d/b"]
        );
        // A file that replaces a directory has changed the files in it.
        let flat = history.commit(("flat", 5), &[("a", "main"), ("d", "1")], &[main]);
        assert_eq!(
            history.changes(flat, &all),
            ["flat d d/b d/c", "main a gone"]
        );

        // Beyond the boundary of a shallow clone, nothing is known.
        let id = root.to_string();
        let object = format!(".git/objects/{}/{}", &id[..2], &id[2..]);
        std::fs::remove_file(history.directory.path().join(object)).unwrap();
        assert_eq!(history.changes(clean, &all), Vec::<String>::new());
        let files = [("a", "new"), ("d/b", "1"), ("d/c", "1")];
        let deep = history.commit(("deep", 6), &files, &[main]);
        assert_eq!(history.changes(deep, &all), ["deep a"]);
    }

    #[test]
    fn authors_and_subjects_are_one_clean_line() {
        let author = |text: &str| SourceAuthor::parse(text).map(|one| one.name_and_email());
        for (text, expected) in [
            ("Bo <b@x>", Some("Bo <b@x>")),
            ("Bo <b@x> <c@y>", Some("Bo <b@x>")),
            ("B\ro\u{1b}[1m <b\t@x>", Some("Bo[1m <b@x>")),
            ("Bo <>", None),
            (" <b@x>", None),
            ("Bo", None),
        ] {
            assert_eq!(author(text).as_deref(), expected, "{text:?}");
        }
        for (message, subject) in [
            ("Explain it\n\nmore", "Explain it"),
            ("\n\nIn two\nlines \n\nmore", "In two lines"),
            ("a\u{7}b\rc", "abc"),
            ("", ""),
        ] {
            assert_eq!(subject_of(message), subject, "{message:?}");
        }
        assert_eq!(subject_of(&"é".repeat(300)), "é".repeat(200));

        let change = |author: &str| SourceChange {
            time: 0,
            author: SourceAuthor::parse(author),
            subject: author.to_owned(),
            paths: Vec::new(),
        };
        let changes = ["Bot <BOT@x>", "Bo <b@x>", "Cy <c@x>", "B. <B@X>"].map(change);
        let credit = SourceCredit::new(changes.iter(), "bot@x");
        let authors = credit.authors.iter().map(SourceAuthor::name_and_email);
        assert_eq!(authors.collect::<Vec<_>>(), ["Bo <b@x>", "Cy <c@x>"]);
        assert_eq!(credit.subject, "Bot <BOT@x>");
    }
}
