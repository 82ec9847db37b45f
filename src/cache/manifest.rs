//! What the cache itself wrote, and for whom: the only files that it may replace or remove.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bstr::BString;

use super::{Request, RequestResult};
use crate::names::ProjectName;
use crate::object::{Mode, ObjectId};
use crate::plan::Entry;
use crate::record::{Reader, push_bytes};
use crate::stat::{self, Stat, Time};

/// What the cache holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The file system's time when `files` were looked at.
    pub taken: Time,
    /// What was asked for, and by whom.
    pub owners: BTreeMap<Owner, RequestRecord>,
    /// By path in the codex, which is also the path below the cache.
    pub files: BTreeMap<BString, Cached>,
}

/// For whom a file is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The project.
    pub project: ProjectName,
    /// Why.
    pub reason: Reason,
}

/// Why a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The project published it.
    Published,
    /// The project's `from_codex` patterns asked for it.
    Wanted,
}

/// What an owner last asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// The codex's URL, without secrets.
    pub remote: String,
    /// Its branch.
    pub branch: String,
    /// The tip that the files are of; `None` for a codex without commits.
    pub tip: Option<ObjectId>,
    /// A digest of the question. With the same one and the same tip there is nothing new to be had.
    pub digest: ObjectId,
    /// Whether all of it is there: nothing was refused or kept back.
    pub complete: bool,
    /// When, in seconds since the epoch.
    pub time: i64,
}

impl RequestRecord {
    /// Whether `other` is the same question about the same tip, and all of it was had.
    pub fn answers(&self, other: &Self) -> bool {
        self.tip == other.tip && self.answers_at_any_tip(other)
    }

    /// Whether `other` is the same question about the same branch, and all of it was had.
    pub fn answers_at_any_tip(&self, other: &Self) -> bool {
        self.complete
            && (&self.remote, &self.branch, self.digest)
                == (&other.remote, &other.branch, other.digest)
    }
}

/// A file that the cache wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// What was written.
    pub entry: Entry,
    /// The file as it was then; `None` where that is not known.
    pub stat: Option<Stat>,
    /// For whom. A file for nobody goes with the next run.
    pub owners: Vec<Owner>,
    /// What runs that did not end may have written instead.
    pub pending_writes: Vec<Entry>,
}

/// The kind and version of the manifest's record.
pub(super) const HEAD: &str = "fractary-codex cache 1";
/// That of the list of files which a run is about to write.
pub(super) const BEGUN_HEAD: &str = "fractary-codex cache begun 1";

pub(super) fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut body = Vec::with_capacity(manifest.files.len() * 160);
    stat::push_time(&mut body, manifest.taken);
    body.extend_from_slice(&(manifest.owners.len() as u64).to_le_bytes());
    let mut numbers = BTreeMap::new();
    for (number, (owner, asked)) in manifest.owners.iter().enumerate() {
        numbers.insert(owner, number as u64);
        push_bytes(&mut body, owner.project.as_str().as_bytes());
        body.push(u8::from(owner.reason == Reason::Wanted));
        push_bytes(&mut body, asked.remote.as_bytes());
        push_bytes(&mut body, asked.branch.as_bytes());
        body.extend_from_slice(&asked.tip.map_or([0; 20], |tip| tip.0));
        body.extend_from_slice(&asked.digest.0);
        body.push(u8::from(asked.complete));
        body.extend_from_slice(&asked.time.to_le_bytes());
    }
    for (path, file) in &manifest.files {
        push_entry(&mut body, path, &file.entry);
        match &file.stat {
            Some(stat) => {
                body.push(1);
                stat.push(&mut body);
            }
            None => body.push(0),
        }
        let owners: Vec<_> = file
            .owners
            .iter()
            .filter_map(|owner| numbers.get(owner))
            .collect();
        body.extend_from_slice(&(owners.len() as u64).to_le_bytes());
        owners
            .into_iter()
            .for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
    }
    body
}

pub(super) fn decode(body: &[u8]) -> Option<Manifest> {
    let mut reader = Reader(body);
    let taken = stat::read_time(&mut reader)?;
    let mut owners = Vec::new();
    for _ in 0..reader.number()? {
        let text = |reader: &mut Reader<'_>| String::from_utf8(reader.bytes()?.to_vec()).ok();
        let flag = |reader: &mut Reader<'_>| reader.array().map(|[flag]| flag == 1);
        let project = text(&mut reader)?.parse().ok()?;
        let reason = if flag(&mut reader)? {
            Reason::Wanted
        } else {
            Reason::Published
        };
        let asked = RequestRecord {
            remote: text(&mut reader)?,
            branch: text(&mut reader)?,
            tip: Some(ObjectId(reader.array()?)).filter(|tip| tip.0 != [0; 20]),
            digest: ObjectId(reader.array()?),
            complete: flag(&mut reader)?,
            time: reader.number()?.cast_signed(),
        };
        owners.push((Owner { project, reason }, asked));
    }
    let mut files = Vec::new();
    while !reader.0.is_empty() {
        let (path, entry) = read_entry(&mut reader)?;
        let [known] = reader.array()?;
        let stat = if known == 1 {
            Some(Stat::read(&mut reader)?)
        } else {
            None
        };
        let mut of = Vec::new();
        for _ in 0..reader.number()? {
            of.push(
                owners
                    .get(usize::try_from(reader.number()?).ok()?)?
                    .0
                    .clone(),
            );
        }
        files.push((
            path,
            Cached {
                entry,
                stat,
                owners: of,
                pending_writes: Vec::new(),
            },
        ));
    }
    Some(Manifest {
        taken,
        owners: owners.into_iter().collect(),
        files: files.into_iter().collect(),
    })
}

impl Manifest {
    /// Updates the manifest after a run, from its `questions`, what was `taken` of each, and the stat of files that were
    /// `looked` at. An owner that did not get every file, or got another owner's version, is marked incomplete, so that
    /// the next run tries again.
    pub(super) fn record_run(
        &mut self,
        requests: Vec<Request>,
        taken: &[RequestResult],
        looked: &HashMap<BString, Stat>,
    ) {
        let not_ours: BTreeSet<&BString> = taken
            .iter()
            .flat_map(|one| {
                let kept = one.kept.iter().map(|(path, _)| path);
                kept.chain(one.refused.iter().map(|(path, _)| path))
            })
            .collect();
        let mut lacking: BTreeSet<Owner> = BTreeSet::new();
        let mut lacks = |owner: &Owner| {
            if !lacking.contains(owner) {
                lacking.insert(owner.clone());
            }
        };
        let asking: BTreeSet<&Owner> = requests.iter().map(|request| &request.owner).collect();
        for (path, file) in &mut self.files {
            file.owners.retain(|owner| {
                if !asking.contains(owner) {
                    return true;
                }
                // A file that should have been removed but stays is still tracked: it is reported on every run, and
                // removed with `--force`.
                let is_wanted = || {
                    requests
                        .iter()
                        .any(|request| request.files.contains_key(path))
                };
                let stays = not_ours.contains(path) && !is_wanted();
                if stays {
                    lacks(owner);
                }
                stays
            });
        }
        // Of two versions the first counts, as it does in the plan.
        let mut decided: HashMap<&BString, Entry> = HashMap::new();
        for Request { owner, files, .. } in &requests {
            for (path, wanted) in files {
                let entry = *decided.entry(path).or_insert(*wanted);
                let is_ours = !not_ours.contains(path);
                if !is_ours || entry != *wanted {
                    lacks(owner);
                }
                match self.files.get_mut(path) {
                    Some(file) => {
                        if is_ours && file.entry != entry {
                            file.owners.iter().for_each(&mut lacks);
                        }
                        if is_ours {
                            (file.entry, file.pending_writes) = (entry, Vec::new());
                        }
                        file.owners.push(owner.clone());
                    }
                    // What the cache did not write does not become its own.
                    None if !is_ours => {}
                    None => {
                        let fresh = Cached {
                            entry,
                            stat: None,
                            owners: vec![owner.clone()],
                            pending_writes: Vec::new(),
                        };
                        self.files.insert(path.clone(), fresh);
                    }
                }
            }
        }
        for (path, stat) in looked {
            if let Some(file) = self
                .files
                .get_mut(path)
                .filter(|_| !not_ours.contains(path))
            {
                file.stat = Some(*stat);
            }
        }
        self.files.retain(|_, file| !file.owners.is_empty());
        let leaving: Vec<Owner> = requests
            .iter()
            .filter(|request| request.leaves)
            .map(|request| request.owner.clone())
            .collect();
        self.owners.extend(
            requests
                .into_iter()
                .map(|request| (request.owner, request.asked)),
        );
        for owner in lacking {
            self.owners
                .entry(owner)
                .and_modify(|asked| asked.complete = false);
        }
        for owner in leaving {
            if !self.files.values().any(|file| file.owners.contains(&owner)) {
                self.owners.remove(&owner);
            }
        }
    }

    /// The list of files that runs which did not end were about to write.
    pub(super) fn pending_writes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (path, file) in &self.files {
            file.pending_writes
                .iter()
                .for_each(|entry| push_entry(&mut body, path, entry));
        }
        body
    }
}

/// Adds a path and what is to stand there.
pub(super) fn push_entry(body: &mut Vec<u8>, path: &BString, entry: &Entry) {
    push_bytes(body, path);
    push_bytes(body, entry.mode.octal());
    body.extend_from_slice(&entry.id.0);
}

pub(super) fn read_entry(reader: &mut Reader<'_>) -> Option<(BString, Entry)> {
    let path = reader.bytes()?.into();
    let mode = Mode::from_octal(reader.bytes()?)?;
    Some((
        path,
        Entry {
            mode,
            id: ObjectId(reader.array()?),
        },
    ))
}
