//! The local cache: files of the codex in the checkout, at the paths that they have in the codex.
//!
//! Promises: every file is written whole under another name and renamed, the manifest last; runs wait for each other;
//! nothing is written outside the directory or through a link in it. Only what the cache itself wrote is replaced or
//! removed: a file that was changed by hand is kept and reported, unless forced.
//!
//! Everything in it is made with the permissions that the user's mask leaves, so that a group can share it.

mod cache_plan;
mod dir;
mod manifest;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};
use cap_std::fs::Dir;
use rayon::prelude::*;

use dir::{CacheDir, DiskEntry};
pub use manifest::{Cached, Manifest, Owner, Reason, RequestRecord};

use crate::interrupt::{Interrupt, Interrupted};
use crate::lock;
use crate::paths::shown;
use crate::plan::{Entry, ProjectPlan};
use crate::platform;
use crate::record::{self, Reader};
use crate::scan::SourceFile;
use crate::stat::Stat;

/// The directory in the cache that holds what the cache knows of itself. No path of the codex may begin with it.
pub const CONTROL: &str = ".fractary-codex";
/// In it, the lock that one run at a time holds.
const LOCK: &str = "lock";
/// In it, what the cache wrote, and for whom.
const MANIFEST: &str = "manifest";
/// In it, the list of files that a run is about to write.
const BEGUN: &str = "begun";
/// Names at the top of the cache that are its own.
const OWN_NAMES: [&str; 3] = [CONTROL, ".gitignore", "CACHEDIR.TAG"];
/// How many files of one directory are written after walking to it once: the rest is left to another thread.
const ONE_WALK: usize = 64;
const CACHEDIR_TAG: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# This directory is written by fractary-codex.\n";

/// A cache that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be made, opened or read.
    #[error("the cache `{}` cannot be used", shown(path))]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("the cache `{}` cannot be written", shown(path))]
    Write {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// What one owner wants to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub owner: Owner,
    /// What is to be noted of it.
    pub asked: RequestRecord,
    /// By path in the codex: files, and nothing but files.
    pub files: BTreeMap<BString, Entry>,
    /// Whether the owner is forgotten once it has no files any more.
    pub leaves: bool,
}

/// Why a path is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It is not as the cache wrote it. With `force` it is replaced or removed.
    Edited,
    /// Another owner wants this file, which cannot be there at the same time.
    InUse(BString),
}

/// What becomes of one question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestResult {
    /// What is written and removed. `unmanaged` counts what is kept.
    pub plan: ProjectPlan,
    /// Paths that are left as they are, and why.
    pub kept: Vec<(BString, Kept)>,
    /// Files that the cache did not write and that are deleted because they are in the way of others (`force`).
    pub replaced: Vec<BString>,
    /// Files that could not be written, and why.
    pub refused: Vec<(BString, String)>,
}

/// How a file of the cache is, if it is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Something else is there.
    Changed,
    /// It is gone.
    Missing,
}

/// What a run would do to a cache.
pub struct CachePlan {
    /// An answer to each question, in order.
    pub taken: Vec<RequestResult>,
    requests: Vec<Request>,
    force: bool,
    /// Files whose stat the manifest does not know.
    looked: HashMap<BString, Stat>,
}

/// An open cache, locked against other runs unless it is only looked at.
pub struct Cache {
    path: PathBuf,
    /// Not there where the directory is not, and this is only a look.
    directory: Option<CacheDir>,
    manifest: Manifest,
    /// What is at paths once a plan that is only assumed is carried out.
    assumed: BTreeMap<BString, DiskEntry>,
    _lock: Option<File>,
}

impl Cache {
    /// Opens the cache in `path`, made if need be; waits while another run has it.
    pub fn open(
        path: &Path,
        interrupt: &Interrupt,
        waiting: impl FnOnce(),
    ) -> Result<Self, CacheError> {
        let error = |source| CacheError::Open {
            path: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(path).map_err(error)?;
        let directory = CacheDir::open(path).map_err(error)?;
        let control = directory.control().map_err(error)?;
        let file = lock::open_in(&control, Path::new(LOCK))
            .map_err(|source| error(of_own_file(LOCK, &source)))?;
        let lock = lock::lock(file, interrupt, waiting)?;
        directory.write_marker(".gitignore", "*\n").map_err(error)?;
        directory
            .write_marker("CACHEDIR.TAG", CACHEDIR_TAG)
            .map_err(error)?;
        directory.tidy();
        Ok(Self {
            manifest: read(&directory).map_err(error)?,
            path: path.to_owned(),
            directory: Some(directory),
            assumed: BTreeMap::new(),
            _lock: lock,
        })
    }

    /// Opens the cache in `path`, which may not be there, and writes nothing.
    pub fn open_read_only(path: &Path) -> Result<Self, CacheError> {
        let error = |source| CacheError::Open {
            path: path.to_owned(),
            source,
        };
        let directory = match CacheDir::open(path) {
            Ok(directory) => Some(directory),
            Err(source) if source.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(error(source)),
        };
        let manifest = match &directory {
            Some(directory) => read(directory).map_err(error)?,
            None => Manifest::default(),
        };
        Ok(Self {
            path: path.to_owned(),
            directory,
            manifest,
            assumed: BTreeMap::new(),
            _lock: None,
        })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The files that are there for `owner`.
    pub fn files_of(&self, owner: &Owner) -> BTreeMap<BString, Entry> {
        let files = self
            .manifest
            .files
            .iter()
            .filter(|(_, file)| file.owners.contains(owner));
        files
            .map(|(path, file)| (path.clone(), file.entry))
            .collect()
    }

    /// Plans what `questions` come to. Nothing is written. With `force`, what was changed by hand is replaced.
    pub fn plan(&self, requests: Vec<Request>, force: bool) -> Result<CachePlan, CacheError> {
        let leaving = cache_plan::leaving(&self.manifest, &requests);
        let mut paths: Vec<&BStr> = requests
            .iter()
            .flat_map(|q| q.files.keys().map(|path| path.as_bstr()))
            .collect();
        paths.extend(leaving.keys());
        paths.sort_unstable();
        paths.dedup();
        let look = |path: &'_ BStr| match self.on_disk(path) {
            Ok(DiskEntry::Absent) => None,
            found => Some(found.map(|found| (path.to_owned(), found))),
        };
        let found: HashMap<BString, DiskEntry> = paths
            .into_par_iter()
            .filter_map(look)
            .collect::<Result<_, CacheError>>()?;
        let taken = cache_plan::plan(&self.manifest, &requests, &found, force);
        let news = |(path, found): (BString, DiskEntry)| match found {
            DiskEntry::File { stat, .. } if !self.is_known(path.as_bstr(), &stat, || true) => {
                Some((path, stat))
            }
            _ => None,
        };
        let looked = found.into_iter().filter_map(news).collect();
        Ok(CachePlan {
            taken,
            requests,
            force,
            looked,
        })
    }

    /// Carries out a plan. `contents` gives a file's bytes; what cannot be had or written is noted in `refused`, and
    /// everything else is done.
    pub fn apply(
        &mut self,
        plan: CachePlan,
        contents: impl Fn(&SourceFile) -> Result<Vec<u8>, String> + Sync,
    ) -> Result<Vec<RequestResult>, CacheError> {
        let CachePlan {
            requests,
            mut taken,
            force,
            mut looked,
        } = plan;
        let Some(directory) = &self.directory else {
            return Ok(taken);
        };
        let path = self.path.clone();
        let error = |source| CacheError::Write {
            path: path.clone(),
            source,
        };
        let all_known = requests.iter().zip(&taken).all(|(request, one)| {
            let before = self.manifest.owners.get(&request.owner);
            let is_known = request.asked.complete
                && before.is_some_and(|before| before.answers(&request.asked));
            one.plan.changes.is_empty() && is_known
        });
        if all_known && looked.is_empty() {
            return Ok(taken);
        }
        if taken
            .iter()
            .flat_map(|one| one.plan.files())
            .next()
            .is_some()
        {
            self.begin(taken.iter().flat_map(|one| one.plan.files()))
                .map_err(error)?;
        }
        let mut failed = HashMap::new();
        for change in taken
            .iter()
            .flat_map(|one| &one.plan.changes)
            .filter(|change| change.op.file().is_none())
        {
            if let Err(error) = directory.remove(change.path.as_bstr()) {
                failed.insert(change.path.clone(), error.to_string());
            }
        }
        let mut files: Vec<_> = taken
            .iter()
            .flat_map(|one| one.plan.files())
            .map(|file| (split(&file.source), file))
            .collect();
        files.sort_unstable_by_key(|(at, _)| *at);
        let together: Vec<_> = files
            .chunk_by(|((a, _), _), ((b, _), _)| a == b)
            .flat_map(|same| same.chunks(ONE_WALK))
            .collect();
        let put = |files: &[((&BStr, &BStr), &SourceFile)]| -> Vec<(BString, io::Result<Stat>)> {
            let folder = directory.folder(files[0].0.0, force);
            let put = |leaf: &BStr, file: &SourceFile| {
                let folder = folder
                    .as_ref()
                    .map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
                folder.write(leaf, file.mode, &contents(file).map_err(io::Error::other)?)
            };
            files
                .iter()
                .map(|((_, leaf), file)| (file.source.clone(), put(leaf, file)))
                .collect()
        };
        let results: Vec<_> = together.into_par_iter().flat_map_iter(put).collect();
        for (path, result) in results {
            match result {
                Ok(stat) => drop(looked.insert(path, stat)),
                Err(source) if concerns_all(&source) => return Err(error(source)),
                Err(source) => drop(failed.insert(path, source.to_string())),
            }
        }
        for one in &mut taken {
            let RequestResult { plan, refused, .. } = one;
            plan.changes
                .retain(|change| match failed.remove_entry(&change.path) {
                    Some(failure) => {
                        refused.push(failure);
                        false
                    }
                    None => true,
                });
        }
        self.manifest.record_run(requests, &taken, &looked);
        self.save().map_err(error)?;
        Ok(taken)
    }

    /// Goes on as if a plan had been carried out, and writes nothing: what a run would do after it is planned on that.
    pub fn simulate(&mut self, plan: CachePlan) {
        for change in plan.taken.iter().flat_map(|one| &one.plan.changes) {
            let then = change
                .op
                .file()
                .map_or(DiskEntry::Absent, |file| DiskEntry::File {
                    mode: file.mode,
                    id: file.id,
                    stat: Stat::default(),
                });
            self.assumed.insert(change.path.clone(), then);
        }
        self.manifest
            .record_run(plan.requests, &plan.taken, &HashMap::new());
    }

    /// How the files are that are not as they were written.
    pub fn verify(&self) -> Result<Vec<(BString, Condition)>, CacheError> {
        let condition = |(path, file): (&BString, &Cached)| {
            let condition = match self.on_disk(path.as_bstr())? {
                DiskEntry::Absent => Condition::Missing,
                DiskEntry::File { mode, id, .. } if file.is_ours(mode, id) => return Ok(None),
                _ => Condition::Changed,
            };
            Ok(Some((path.clone(), condition)))
        };
        self.manifest
            .files
            .iter()
            .filter_map(|file| condition(file).transpose())
            .collect()
    }

    /// Removes what was written for the owners that `whose` selects and for no other. An owner of files that stay is not
    /// forgotten.
    pub fn clear(
        &mut self,
        whose: impl Fn(&Owner) -> bool,
        force: bool,
    ) -> Result<Vec<RequestResult>, CacheError> {
        let plan = self.plan(self.nothing_more(whose), force)?;
        self.apply(plan, |_| Err(String::new()))
    }

    /// Questions of the owners that `whose` selects, which want nothing any more.
    pub fn nothing_more(&self, whose: impl Fn(&Owner) -> bool) -> Vec<Request> {
        let nothing = |(owner, asked): (&Owner, &RequestRecord)| Request {
            owner: owner.clone(),
            asked: RequestRecord {
                complete: false,
                ..asked.clone()
            },
            files: BTreeMap::new(),
            leaves: true,
        };
        self.manifest
            .owners
            .iter()
            .filter(|(owner, _)| whose(owner))
            .map(nothing)
            .collect()
    }

    /// What is at a path.
    fn on_disk(&self, path: &BStr) -> Result<DiskEntry, CacheError> {
        if let Some(assumed) = self.assumed.get(path) {
            return Ok(assumed.clone());
        }
        let Some(directory) = &self.directory else {
            return Ok(self.with_assumed(path, DiskEntry::Absent));
        };

        let known = self.manifest.files.get(path);
        let hashed = |stat: &Stat, keeps_change_times: &dyn Fn() -> bool| {
            known
                .filter(|_| self.is_known(path, stat, keeps_change_times))
                .map(|known| known.entry.id)
        };
        let found = directory
            .look(path, hashed)
            .map_err(|source| CacheError::Open {
                path: self.path.clone(),
                source,
            })?;
        Ok(self.with_assumed(path, found))
    }

    /// What is at a path that itself is as `found`, once the assumed plan is carried out above and below it.
    fn with_assumed(&self, path: &BStr, found: DiskEntry) -> DiskEntry {
        if self.assumed.is_empty() {
            return found;
        }
        let is_file = |path: &BStr| matches!(self.assumed.get(path), Some(DiskEntry::File { .. }));
        let above = path
            .find_iter(b"/")
            .map(|slash| path[..slash].as_bstr())
            .find(|above| is_file(above));
        if let Some(above) = above {
            return DiskEntry::Blocked(above.to_owned());
        }

        let mut inside = match &found {
            DiskEntry::Directory(inside) => inside.clone(),
            DiskEntry::Absent | DiskEntry::Blocked(_) => Vec::new(),
            DiskEntry::File { .. } | DiskEntry::Other | DiskEntry::Unusable(_) => return found,
        };
        let prefix = BString::from([path.as_bytes(), b"/"].concat());
        inside.retain(|path| !self.assumed.contains_key(path));
        inside.extend(
            self.assumed
                .keys()
                .filter(|path| path.starts_with(&prefix) && is_file(path.as_bstr()))
                .cloned(),
        );
        match found {
            DiskEntry::Absent | DiskEntry::Blocked(_) if inside.is_empty() => found,
            _ => DiskEntry::Directory(inside),
        }
    }

    /// Whether a file with this stat is surely the one that the manifest describes.
    fn is_known(
        &self,
        path: &BStr,
        stat: &Stat,
        keeps_change_times: impl FnOnce() -> bool,
    ) -> bool {
        let known = self.manifest.files.get(path).and_then(|file| file.stat);
        known.is_some_and(|known| stat.is_surely(&known, self.manifest.taken, keeps_change_times))
    }

    fn control(&self) -> io::Result<Dir> {
        let directory = self.directory.as_ref().ok_or(io::ErrorKind::NotFound)?;
        directory.control()
    }

    /// Records what is about to be written, beside what earlier runs had pending_writes: whatever of it a kill leaves is still
    /// known to be written by the cache.
    fn begin<'f>(&self, files: impl Iterator<Item = &'f SourceFile>) -> io::Result<()> {
        let mut body = self.manifest.pending_writes();
        for file in files {
            manifest::push_entry(
                &mut body,
                &file.source,
                &Entry {
                    mode: file.mode,
                    id: file.id,
                },
            );
        }
        record::write_in(
            &self.control()?,
            Path::new(BEGUN),
            manifest::BEGUN_HEAD,
            &body,
        )
    }

    fn save(&mut self) -> io::Result<()> {
        self.manifest.taken = platform::file_system_time(&self.path).unwrap_or_default();
        let control = self.control()?;
        record::write_in(
            &control,
            Path::new(MANIFEST),
            manifest::HEAD,
            &manifest::encode(&self.manifest),
        )?;
        // Files that this run was not asked about are still as an earlier run left them.
        match self.manifest.pending_writes() {
            none if none.is_empty() => drop(control.remove_file(BEGUN)),
            pending => {
                record::write_in(&control, Path::new(BEGUN), manifest::BEGUN_HEAD, &pending)?
            }
        }
        self.directory.iter().for_each(CacheDir::tidy);
        Ok(())
    }
}

/// The directory of a path in the codex, empty at its top, and the last segment.
fn split(path: &BString) -> (&BStr, &BStr) {
    let (directory, leaf) = path.rsplit_once_str("/").unwrap_or((b"", path));
    (directory.as_bstr(), leaf.as_bstr())
}

/// Whether no other file would fare better.
fn concerns_all(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Whether a path of the codex is one of the cache's own at its top.
pub fn is_own_name(path: &BStr) -> bool {
    let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    OWN_NAMES
        .iter()
        .any(|name| first.eq_ignore_ascii_case(name.as_bytes()))
}

/// The manifest of a cache, with what a run that did not end had pending_writes; empty where there is none, or where it is damaged.
/// An error if it is there and cannot be read: files that were written for others would count as the user's own.
fn read(directory: &CacheDir) -> io::Result<Manifest> {
    let Some(control) = directory.existing_control()? else {
        return Ok(Manifest::default());
    };
    let body = |name: &str, head| {
        record::read_in(&control, Path::new(name), head).map_err(|error| of_own_file(name, &error))
    };

    let mut manifest = body(MANIFEST, manifest::HEAD)?
        .and_then(|body| manifest::decode(&body))
        .unwrap_or_default();
    if let Some(body) = body(BEGUN, manifest::BEGUN_HEAD)? {
        let mut reader = Reader(&body);
        while let Some((path, entry)) = manifest::read_entry(&mut reader) {
            let fresh = Cached {
                entry,
                stat: None,
                owners: Vec::new(),
                pending_writes: Vec::new(),
            };
            manifest
                .files
                .entry(path)
                .or_insert(fresh)
                .pending_writes
                .push(entry);
        }
    }
    Ok(manifest)
}

/// The error of a file of the cache's own, which is named.
fn of_own_file(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{CONTROL}/{name}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Kind, Mode, hash};

    fn asks(project: &str, path: &str, contents: &str) -> Request {
        let owner = Owner {
            project: project.parse().unwrap(),
            reason: Reason::Wanted,
        };
        let (id, remote, branch) = (
            hash(Kind::Blob, contents.as_bytes()),
            String::new(),
            String::new(),
        );
        let asked = RequestRecord {
            remote,
            branch,
            tip: None,
            digest: id,
            complete: true,
            time: 0,
        };
        Request {
            owner,
            asked,
            files: [(
                path.into(),
                Entry {
                    mode: Mode::File,
                    id,
                },
            )]
            .into(),
            leaves: false,
        }
    }

    #[test]
    fn what_a_killed_run_had_begun_is_known_until_its_owner_is_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Cache::open(directory.path(), &Interrupt::default(), || {}).unwrap();
        let put = |cache: &mut Cache, request: Request, contents: &str| {
            let plan = cache.plan(vec![request], false).unwrap();
            cache.apply(plan, |_| Ok(contents.into())).unwrap();
        };
        put(&mut open(), asks("a", "a.md", "one"), "one");
        let cache = open();
        let killed = cache.plan(vec![asks("a", "a.md", "two")], false).unwrap();
        cache
            .begin(killed.taken.iter().flat_map(|one| one.plan.files()))
            .unwrap();
        std::fs::write(directory.path().join("a.md"), "two").unwrap();
        drop(cache);
        put(&mut open(), asks("b", "b.md", "b"), "b");
        assert_eq!(open().verify().unwrap(), []);
        put(&mut open(), asks("a", "a.md", "three"), "three");
        assert_eq!(
            std::fs::read(directory.path().join("a.md")).unwrap(),
            b"three"
        );
    }
}
