//! Remembers the files of a project's last published commit, so that a run with the same tree reads
//! no object.
//!
//! A record belongs to a tree and to the rules that selected its files. It is ignored if any of them
//! differs.

use std::fmt::Write;
use std::path::Path;

use super::snapshot::{Snapshot, SourceFile};
use super::stat_cache::StatCachePolicy;
use crate::object::{Kind, Mode, ObjectId, hash};
use crate::platform::bytes_of;
use crate::record::{self, RecordDirectory, RecordReader};
use crate::workspace::Project;

const HEAD: &str = "fractary-codex committed files 1";

/// The record of one root.
pub(super) struct SnapshotCache {
    records: RecordDirectory,
    name: String,
    /// Whether this run may write a new record.
    keep: bool,
    /// The digest of the tree and of the rules.
    key: ObjectId,
    known: Option<Snapshot>,
}

impl SnapshotCache {
    /// Opens the record of the project with the resolved root `root`, for the tree `tree`. Notifies
    /// the receiver of `policy` if there is a record of another tree.
    pub(super) fn open(
        policy: &StatCachePolicy,
        project: &Project,
        root: &Path,
        tree: ObjectId,
    ) -> Self {
        let name = hash(Kind::Blob, &bytes_of(root)).to_string();
        let key = key(project, root, tree);
        let records = &policy.committed;
        let body = policy.trust.then(|| records.read(&name, HEAD)).flatten();
        let known = body.as_deref().and_then(|body| decode(body, key));
        if let (Some(_), None, Some(changed)) = (&body, &known, &policy.changed) {
            // The receiver is closed after the first notification.
            let _ = changed.send(());
        }
        Self {
            records: records.clone(),
            name,
            keep: policy.keep,
            key,
            known,
        }
    }

    /// The recorded files. The directories of the program are not a part of a record.
    pub(super) fn take(&mut self) -> Option<Snapshot> {
        self.known.take()
    }

    /// Records the files. A snapshot with skipped paths is not recorded, because their warnings need
    /// the reasons. If the record cannot be written, the next scan is only slower.
    pub(super) fn save(&self, snapshot: &Snapshot) {
        if !self.keep || !snapshot.skipped.is_empty() {
            return;
        }
        let body = encode(self.key, snapshot);
        if let Err(error) = self.records.write(&self.name, HEAD, &body) {
            let path = self.records.path().join(&self.name);
            tracing::debug!(path = %path.display(), %error, "cannot write the committed files");
        }
    }
}

/// A digest of everything that the files depend on.
fn key(project: &Project, root: &Path, tree: ObjectId) -> ObjectId {
    let mut text = String::new();
    let policy = &project.scan;
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "{} {tree} {:?} {:?} {:?} {} {}",
        env!("CARGO_PKG_VERSION"),
        root,
        project.claims.patterns(),
        policy.symlinks,
        policy.max_file_size,
        policy.deny_list.digest(),
    );
    hash(Kind::Blob, text.as_bytes())
}

fn encode(key: ObjectId, snapshot: &Snapshot) -> Vec<u8> {
    let mut body = Vec::with_capacity(snapshot.files.len() * 140);
    body.extend_from_slice(&key.0);
    body.extend_from_slice(&(snapshot.unmatched.len() as u64).to_le_bytes());
    for rule in &snapshot.unmatched {
        body.extend_from_slice(&(*rule as u64).to_le_bytes());
    }
    for (path, file) in &snapshot.files {
        record::push_bytes(&mut body, path);
        record::push_bytes(&mut body, &file.source);
        record::push_bytes(&mut body, file.mode.octal());
        body.extend_from_slice(&file.id.0);
        body.extend_from_slice(&file.size.to_le_bytes());
    }
    body
}

fn decode(body: &[u8], key: ObjectId) -> Option<Snapshot> {
    let mut reader = RecordReader(body);
    if reader.array()? != key.0 {
        return None;
    }
    let count = reader.number()?;
    let unmatched: Option<_> = (0..count)
        .map(|_| usize::try_from(reader.number()?).ok())
        .collect();
    let mut files = Vec::with_capacity(body.len() / 140);
    while !reader.0.is_empty() {
        let path = reader.bytes()?.into();
        let file = SourceFile {
            source: reader.bytes()?.into(),
            mode: Mode::from_octal(reader.bytes()?)?,
            id: ObjectId(reader.array()?),
            size: reader.number()?,
        };
        files.push((path, file));
    }
    Some(Snapshot {
        files: files.into_iter().collect(),
        unmatched: unmatched?,
        ..Snapshot::default()
    })
}
