//! Records the files of each project in the codex, as of the last sync. With this state, a run in
//! which nothing changed needs no fetch, and an offline dry run has something to compare with.
//!
//! A recorded listing belongs to a tip. It is only used if the remote still has that tip, or
//! offline. The plan is made from it by the same code as from a fetched tree, so the state is
//! independent of the configuration and the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use bstr::BString;

use crate::object::{Kind, Mode, ObjectId, hash};
use crate::paths::{CodexPath, resolved};
use crate::plan::{Entry, Listing};
use crate::platform::bytes_of;
use crate::record::{self, RecordDirectory, RecordReader};
use crate::workspace::{Project, Workspace};

/// The first line of a record.
const HEAD: &str = "fractary-codex listing 5";
/// The name of the file that records whether the last push bypassed rules, and its first line.
const BYPASSED_RULES: &str = "bypassed-rules";

/// The entry of a missing file in a record.
const MISSING: Entry = Entry {
    mode: Mode::File,
    id: ObjectId([0; 20]),
};

/// The records of one workspace for one remote and branch.
#[derive(Debug, Clone)]
pub(crate) struct State {
    records: RecordDirectory,
}

/// The files of a project that others have changed in the codex, each with the version that the last
/// sync of the project has left, if it has left one.
pub(crate) type Drifted = BTreeMap<BString, Option<Entry>>;

/// The record of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The name of the project.
    pub name: String,
    /// The directory of the project in the codex.
    pub to: BString,
    /// The branch.
    pub branch: String,
    /// The tip of the branch that the listing belongs to; `None` for a codex without commits.
    pub tip: Option<ObjectId>,
    /// The tip of the branch of the codex, which a sync branch was compared with; otherwise the same
    /// as `tip`.
    pub base: Option<ObjectId>,
    /// The time of the record, in seconds since the epoch.
    pub time: i64,
    /// The files of the project in the codex.
    pub listing: Listing,
    /// The files that others may have changed, or a sync of the project that is not recorded here.
    /// They are kept until a sync overwrites them.
    pub drifted: Drifted,
    /// The files of which no recorded sync shows who has made them.
    pub unknown: BTreeSet<BString>,
}

impl Recorded {
    /// The version of a file that the last sync of the project has left in the codex. For an unknown
    /// file, that of the record.
    pub(crate) fn synced(&self, path: &BString) -> Option<Entry> {
        match self.drifted.get(path) {
            Some(synced) => *synced,
            None => self.listing.entries.get(path).copied(),
        }
    }

    /// The files of a later listing that others have changed, each with the version that the last
    /// sync of the project has left.
    pub(crate) fn drifted_since(&self, later: &Listing) -> Drifted {
        let entries = later.entries.iter();
        let synced = entries.map(|(path, entry)| (path, *entry, self.synced(path)));
        synced
            .filter(|(_, entry, synced)| *synced != Some(*entry))
            .map(|(path, _, synced)| (path.clone(), synced))
            .collect()
    }
}

impl State {
    /// The records of the workspace for its remote and branch, and for `sync_branch` if there is one.
    ///
    /// Other workspaces can publish to the same codex. What their syncs have left is not what a sync
    /// of this one has left.
    pub(crate) fn of(workspace: &Workspace, sync_branch: Option<&str>) -> Self {
        let remote = &workspace.remote;
        let url = remote.url.for_git();
        let branch = remote.branch.as_deref().unwrap_or_default();
        let mut key = bytes_of(&resolved(&workspace.root)).into_owned();
        key.extend_from_slice(format!("\n{url}\n{branch}").as_bytes());
        if let Some(sync_branch) = sync_branch {
            key.extend_from_slice(format!("\n{sync_branch}").as_bytes());
        }
        let name = hash(Kind::Blob, &key).to_string();
        Self {
            records: RecordDirectory::new(workspace.state_dir.join("codex").join(name)),
        }
    }

    /// Reads the record of `project`; `None` if it does not exist or is damaged.
    pub(crate) fn read(&self, project: &Project) -> Option<Recorded> {
        let recorded = self.read_record(&name_of_record(&project.to))?;
        (recorded.to == *project.to.as_bstr()).then_some(recorded)
    }

    /// Reads the records of other directories than `known`, which are those of other projects, or of
    /// earlier configurations. Damaged ones are left out.
    pub(crate) fn others<'p>(&self, known: impl Iterator<Item = &'p CodexPath>) -> Vec<Recorded> {
        let known: BTreeSet<_> = known.map(name_of_record).collect();
        let Ok(directory) = fs::read_dir(self.records.path()) else {
            return Vec::new();
        };
        let is_record = |name: &str| ObjectId::from_hex(name).is_some() && !known.contains(name);
        let names = directory.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut others: Vec<_> = names
            .filter(|name| is_record(name))
            .filter_map(|name| self.read_record(&name))
            .collect();
        others.sort_by(|a, b| (&a.name, &a.to).cmp(&(&b.name, &b.to)));
        others
    }

    /// Reads the record `name`; `None` if it does not exist or is damaged.
    fn read_record(&self, name: &str) -> Option<Recorded> {
        decode(&self.records.read(name, HEAD)?)
    }

    /// Writes the record of `project`. Without a record, the next run only needs an additional
    /// fetch.
    pub(crate) fn write(&self, project: &Project, recorded: &Recorded) -> io::Result<()> {
        // Obstacles are rare, so they are fetched each time.
        if recorded.listing.obstacle.is_some() {
            return Ok(());
        }
        let mut body = Vec::with_capacity(recorded.listing.entries.len() * 80);
        record::push_bytes(&mut body, &recorded.to);
        record::push_bytes(&mut body, recorded.name.as_bytes());
        record::push_bytes(&mut body, recorded.branch.as_bytes());
        body.extend_from_slice(&recorded.time.to_le_bytes());
        for id in [recorded.tip, recorded.base] {
            body.extend_from_slice(&id.map_or([0; 20], |id| id.0));
        }
        body.extend_from_slice(&(recorded.drifted.len() as u64).to_le_bytes());
        for (path, entry) in &recorded.drifted {
            entry.unwrap_or(MISSING).push_to_record(path, &mut body);
        }
        body.extend_from_slice(&(recorded.unknown.len() as u64).to_le_bytes());
        for path in &recorded.unknown {
            record::push_bytes(&mut body, path);
        }
        for (path, entry) in &recorded.listing.entries {
            entry.push_to_record(path, &mut body);
        }
        self.records
            .write(&name_of_record(&project.to), HEAD, &body)
    }

    /// Records whether the last push bypassed rules of the branch, with the server's message.
    pub(crate) fn write_bypassed_rules(&self, message: Option<&str>) -> io::Result<()> {
        let records = &self.records;
        match message {
            Some(message) => records.write(BYPASSED_RULES, BYPASSED_RULES, message.as_bytes()),
            None => remove_file(&records.path().join(BYPASSED_RULES)),
        }
    }

    /// The server's message that the last push bypassed rules of the branch.
    pub(crate) fn bypassed_rules(&self) -> Option<String> {
        let message = self.records.read(BYPASSED_RULES, BYPASSED_RULES)?;
        String::from_utf8(message).ok()
    }

    /// Reads and removes the record of a directory; `None` if it does not exist or is damaged.
    pub(crate) fn take(&self, to: &CodexPath) -> io::Result<Option<Recorded>> {
        let recorded = self.read_record(&name_of_record(to));
        let recorded = recorded.filter(|one| one.to == *to.as_bstr());
        self.remove(to)?;
        Ok(recorded)
    }

    /// Removes the record of a directory, if there is one.
    pub(crate) fn remove(&self, to: &CodexPath) -> io::Result<()> {
        remove_file(&self.records.path().join(name_of_record(to)))
    }
}

/// Removes a file, if it exists.
fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The file name of the record of a directory. Paths in the codex never differ in case only, while
/// names of projects may.
fn name_of_record(to: &CodexPath) -> String {
    hash(Kind::Blob, to.as_bstr()).to_string()
}

/// The value of the body of a record; `None` if it is damaged.
fn decode(body: &[u8]) -> Option<Recorded> {
    let mut reader = RecordReader(body);
    let to = reader.bytes()?.into();
    let name = String::from_utf8(reader.bytes()?.to_vec()).ok()?;
    let branch = String::from_utf8(reader.bytes()?.to_vec()).ok()?;
    let time = reader.number()?.cast_signed();
    let some = |id: ObjectId| Some(id).filter(|id| id.0 != [0; 20]);
    let tip = some(ObjectId(reader.array()?));
    let base = some(ObjectId(reader.array()?));
    let mut drifted = BTreeMap::new();
    for _ in 0..reader.number()? {
        let (path, entry) = Entry::read_from_record(&mut reader)?;
        drifted.insert(path, Some(entry).filter(|entry| *entry != MISSING));
    }
    let mut unknown = BTreeSet::new();
    for _ in 0..reader.number()? {
        unknown.insert(reader.bytes()?.into());
    }
    let mut entries = Vec::new();
    while !reader.0.is_empty() {
        entries.push(Entry::read_from_record(&mut reader)?);
    }
    Some(Recorded {
        name,
        to,
        branch,
        tip,
        base,
        time,
        listing: Listing {
            entries: entries.into_iter().collect(),
            obstacle: None,
        },
        drifted,
        unknown,
    })
}
