//! The manifest of a cache: the files that the cache wrote, and the projects that they belong to.
//! Only these files may be replaced or removed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use cap_std::fs::Dir;

use super::error::with_file_name;
use super::request::{CacheOwner, CacheRequest, Reason, RequestRecord, RequestResult};
use super::wanted_files::{WantedFile, WantedFiles};
use crate::object::ObjectId;
use crate::plan::Entry;
use crate::platform;
use crate::record::{self, RecordReader, push_bytes};
use crate::scan::SourceFile;
use crate::stat::{Stat, Time};

/// The content of a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The file system's time when the manifest was written. A file that changed later is read
    /// again.
    pub recorded_at: Time,
    /// The last request of each owner.
    pub owners: BTreeMap<CacheOwner, RequestRecord>,
    /// The files by their path in the codex, which is also their path in the cache.
    pub files: BTreeMap<BString, Cached>,
}

/// A file that the cache wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cached {
    /// The mode and content that were written.
    pub entry: Entry,
    /// The stat of the file after the cache wrote it; `None` if the stat is unknown, so that the file
    /// is read again.
    pub stat: Option<Stat>,
    /// The owners. A file without owners is removed by the next run.
    pub owners: Vec<CacheOwner>,
    /// Other contents that runs which were killed may have written instead.
    pub pending_writes: Vec<Entry>,
}

impl Cached {
    fn new(entry: Entry) -> Self {
        Self {
            entry,
            stat: None,
            owners: Vec::new(),
            pending_writes: Vec::new(),
        }
    }
}

/// Updating the manifest after a run.
impl Manifest {
    /// Records the `results` of `requests`, and the stat of files that were `observed` on disk. An
    /// owner that did not get every file, or got another owner's version, is marked incomplete, so
    /// that the next run tries again.
    pub(super) fn record_run(
        &mut self,
        requests: Vec<CacheRequest>,
        results: &[RequestResult],
        observed: &HashMap<BString, Stat>,
    ) {
        let kept = results.iter().flat_map(|result| &result.kept);
        let refused = results.iter().flat_map(|result| &result.refused);
        let unwritten: BTreeSet<&BStr> = kept
            .map(|(path, _)| path.as_bstr())
            .chain(refused.map(|(path, _)| path.as_bstr()))
            .collect();

        let mut incomplete = BTreeSet::new();
        self.update_files(&WantedFiles::new(&requests), &unwritten, &mut incomplete);
        for (path, stat) in observed {
            if let Some(file) = self.files.get_mut(path)
                && !unwritten.contains(path.as_bstr())
            {
                file.stat = Some(*stat);
            }
        }
        self.files.retain(|_, file| !file.owners.is_empty());
        self.update_owners(requests, incomplete);
    }

    /// Updates the owners and the versions of all files, and adds the new files.
    fn update_files(
        &mut self,
        wanted: &WantedFiles<'_>,
        unwritten: &BTreeSet<&BStr>,
        incomplete: &mut BTreeSet<CacheOwner>,
    ) {
        let mut added = Vec::new();
        for (path, recorded, of_path) in wanted.with_recorded(self.files.iter_mut()) {
            let is_written = !unwritten.contains(path);
            match (recorded, of_path.first()) {
                (Some(file), _) => {
                    file.release(path, wanted, of_path, is_written, incomplete);
                    file.assign(wanted, of_path, is_written, incomplete);
                }
                (None, Some(first)) => {
                    let mut file = Cached::new(first.entry);
                    file.assign(wanted, of_path, is_written, incomplete);
                    // A file that exists and that the cache did not write does not become its own.
                    if is_written {
                        added.push((path.to_owned(), file));
                    }
                }
                (None, None) => {}
            }
        }
        self.files.append(&mut added.into_iter().collect());
    }

    /// Records the requests, and removes owners without files that asked for it.
    fn update_owners(&mut self, requests: Vec<CacheRequest>, incomplete: BTreeSet<CacheOwner>) {
        let mut removable = Vec::new();
        for request in requests {
            if request.removes_owner {
                removable.push(request.owner.clone());
            }
            self.owners.insert(request.owner, request.record);
        }
        for owner in incomplete {
            self.owners
                .entry(owner)
                .and_modify(|record| record.complete = false);
        }
        for owner in removable {
            let mut files = self.files.values();
            if !files.any(|file| file.owners.contains(&owner)) {
                self.owners.remove(&owner);
            }
        }
    }
}

/// Updating the record of a file after a run. `of_path` are the wanted files at its path.
impl Cached {
    /// Removes the owners that no longer need the file, and those that [`Self::assign`] adds again.
    fn release(
        &mut self,
        path: &BStr,
        wanted: &WantedFiles<'_>,
        of_path: &[WantedFile<'_>],
        is_written: bool,
        incomplete: &mut BTreeSet<CacheOwner>,
    ) {
        self.owners.retain(|owner| {
            let Some(request) = wanted.request_of(owner) else {
                return true;
            };
            if request.kept.contains(path) {
                return true;
            }
            // Keep tracking a file that should have been removed but was modified locally: it is
            // reported on every run, and removed with `--force`.
            let stays = !is_written && of_path.is_empty();
            if stays {
                mark(incomplete, owner);
            }
            stays
        });
    }

    /// Adds the requesting owners. If two requests have different versions of the file, the first one
    /// counts, as in the plan.
    fn assign(
        &mut self,
        wanted: &WantedFiles<'_>,
        of_path: &[WantedFile<'_>],
        is_written: bool,
        incomplete: &mut BTreeSet<CacheOwner>,
    ) {
        let Some(first) = of_path.first() else {
            return;
        };
        if is_written {
            if self.entry != first.entry {
                self.owners.iter().for_each(|owner| mark(incomplete, owner));
            }
            self.entry = first.entry;
            self.pending_writes.clear();
        }
        for one in of_path {
            let owner = wanted.owner_of(one);
            if !is_written || one.entry != first.entry {
                mark(incomplete, owner);
            }
            self.owners.push(owner.clone());
        }
    }
}

fn mark(incomplete: &mut BTreeSet<CacheOwner>, owner: &CacheOwner) {
    if !incomplete.contains(owner) {
        incomplete.insert(owner.clone());
    }
}

/// The file in the control directory that holds the manifest.
const MANIFEST: &str = "manifest";
/// The kind and version of its record.
const MANIFEST_HEAD: &str = "fractary-codex cache 1";
/// The file in the control directory that lists the files which a run is about to write. It exists
/// only during a run, and after a run that was killed.
const PENDING: &str = "begun";
/// The kind and version of its record.
const PENDING_HEAD: &str = "fractary-codex cache begun 1";

/// The metadata of the files of a manifest. Each is written under another name and renamed, so that equal
/// metadata means equal contents.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ManifestFiles([Option<Stat>; 2]);

impl ManifestFiles {
    pub(super) fn look(control: &Dir) -> io::Result<Self> {
        let stat = |name| {
            let look = platform::look(control, Path::new(name))?;
            Ok::<_, io::Error>(look.map(|look| look.stat))
        };
        Ok(Self([stat(MANIFEST)?, stat(PENDING)?]))
    }
}

/// The reason why a manifest cannot be loaded.
pub(super) enum LoadError {
    /// A file cannot be read.
    Read(io::Error),
    /// The file with this name is damaged, or was written by another version of the program.
    Damaged(&'static str),
}

/// Reads one of the program's own files; `None` if it does not exist.
fn read_body(control: &Dir, name: &'static str, head: &str) -> Result<Option<Vec<u8>>, LoadError> {
    record::read_in(control, Path::new(name), head).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => LoadError::Damaged(name),
        _ => LoadError::Read(with_file_name(name, &error)),
    })
}

/// Reading and writing.
impl Manifest {
    /// Reads the manifest in the directory `control`, and the pending writes of runs that were
    /// killed. A missing manifest is empty. One that cannot be read or decoded is an error, because
    /// otherwise all files would count as the user's own.
    pub(super) fn load(control: &Dir) -> Result<Self, LoadError> {
        let mut manifest = match read_body(control, MANIFEST, MANIFEST_HEAD)? {
            Some(body) => decode(&body).ok_or(LoadError::Damaged(MANIFEST))?,
            None => Self::default(),
        };
        if let Some(body) = read_body(control, PENDING, PENDING_HEAD)? {
            let mut reader = RecordReader(&body);
            while !reader.0.is_empty() {
                let entry = Entry::read_from_record(&mut reader);
                let (path, entry) = entry.ok_or(LoadError::Damaged(PENDING))?;
                let file = manifest.files.entry(path);
                let file = file.or_insert_with(|| Cached::new(entry));
                file.pending_writes.push(entry);
            }
        }
        Ok(manifest)
    }

    /// Writes the manifest. Pending writes of files that this run had no request for are kept,
    /// because these files are still as the killed run left them.
    pub(super) fn save(&self, control: &Dir) -> io::Result<()> {
        record::write_in(control, Path::new(MANIFEST), MANIFEST_HEAD, &encode(self))?;
        let pending = self.encode_pending();
        if pending.is_empty() {
            let _ = control.remove_file(PENDING);
            Ok(())
        } else {
            record::write_in(control, Path::new(PENDING), PENDING_HEAD, &pending)
        }
    }

    /// Records that `files` are about to be written, in addition to earlier pending writes.
    pub(super) fn save_pending<'f>(
        &self,
        control: &Dir,
        files: impl Iterator<Item = &'f SourceFile>,
    ) -> io::Result<()> {
        let mut body = self.encode_pending();
        for file in files {
            let entry = Entry {
                mode: file.mode,
                id: file.id,
            };
            entry.push_to_record(&file.source, &mut body);
        }
        record::write_in(control, Path::new(PENDING), PENDING_HEAD, &body)
    }

    fn encode_pending(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (path, file) in &self.files {
            for entry in &file.pending_writes {
                entry.push_to_record(path, &mut body);
            }
        }
        body
    }
}

/// Encodes the owners with their records, and then the files. The owners of a file are indexes into
/// the list of owners.
fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut body = Vec::with_capacity(manifest.files.len() * 160);
    record::push_time(&mut body, manifest.recorded_at);

    body.extend_from_slice(&(manifest.owners.len() as u64).to_le_bytes());
    let mut indexes = BTreeMap::new();
    for (index, (owner, record)) in manifest.owners.iter().enumerate() {
        indexes.insert(owner, index as u64);
        push_owner(&mut body, owner, record);
    }

    for (path, file) in &manifest.files {
        file.entry.push_to_record(path, &mut body);
        body.push(u8::from(file.stat.is_some()));
        if let Some(stat) = &file.stat {
            record::push_stat(&mut body, stat);
        }
        let owners = file.owners.iter();
        let owners: Vec<u64> = owners
            .filter_map(|owner| indexes.get(owner).copied())
            .collect();
        body.extend_from_slice(&(owners.len() as u64).to_le_bytes());
        for index in owners {
            body.extend_from_slice(&index.to_le_bytes());
        }
    }
    body
}

/// Decodes the body of a manifest; `None` if it is not valid.
fn decode(body: &[u8]) -> Option<Manifest> {
    let mut reader = RecordReader(body);
    let recorded_at = reader.time()?;

    let mut owners = Vec::new();
    for _ in 0..reader.number()? {
        owners.push(read_owner(&mut reader)?);
    }

    let mut files = Vec::new();
    while !reader.0.is_empty() {
        let (path, entry) = Entry::read_from_record(&mut reader)?;
        let mut file = Cached::new(entry);
        if read_flag(&mut reader)? {
            file.stat = Some(reader.stat()?);
        }
        for _ in 0..reader.number()? {
            let index = usize::try_from(reader.number()?).ok()?;
            let (owner, _) = owners.get(index)?;
            file.owners.push(owner.clone());
        }
        files.push((path, file));
    }

    Some(Manifest {
        recorded_at,
        owners: owners.into_iter().collect(),
        files: files.into_iter().collect(),
    })
}

fn push_owner(body: &mut Vec<u8>, owner: &CacheOwner, record: &RequestRecord) {
    push_bytes(body, owner.project.as_str().as_bytes());
    body.push(u8::from(owner.reason == Reason::Pulled));
    push_bytes(body, record.remote.as_bytes());
    push_bytes(body, record.branch.as_bytes());
    body.extend_from_slice(&record.tip.map_or([0; 20], |tip| tip.0));
    body.extend_from_slice(&record.digest.0);
    body.push(u8::from(record.complete));
    body.extend_from_slice(&record.time.to_le_bytes());
}

fn read_owner(reader: &mut RecordReader<'_>) -> Option<(CacheOwner, RequestRecord)> {
    let text = |reader: &mut RecordReader<'_>| String::from_utf8(reader.bytes()?.to_vec()).ok();
    let owner = CacheOwner {
        project: text(reader)?.parse().ok()?,
        reason: if read_flag(reader)? {
            Reason::Pulled
        } else {
            Reason::Published
        },
    };
    let record = RequestRecord {
        remote: text(reader)?,
        branch: text(reader)?,
        tip: Some(ObjectId(reader.array()?)).filter(|tip| tip.0 != [0; 20]),
        digest: ObjectId(reader.array()?),
        complete: read_flag(reader)?,
        time: reader.number()?.cast_signed(),
    };
    Some((owner, record))
}

fn read_flag(reader: &mut RecordReader<'_>) -> Option<bool> {
    reader.array().map(|[flag]| flag == 1)
}
