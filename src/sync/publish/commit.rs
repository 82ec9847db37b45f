//! Writes the commits of a plan into the clone, as one pack.

use std::collections::{BTreeSet, HashSet};
use std::io;

use rayon::prelude::*;

use super::Publish;
use crate::codex::identity::Identity;
use crate::codex::objects::commit_builder::{self, NewCommit};
use crate::codex::source_revision;
use crate::codex::store::StoreError;
use crate::event::{Counter, Event, Stage};
use crate::outcome::SyncError;
use crate::scan::{ScanError, SourceFile};
use crate::sync::remote_session::RemoteSession;
use crate::sync::sources::Roots;

enum WriteError {
    /// A file of the project at this index could not be read.
    Source(usize, ScanError),
    Store(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Store(error)
    }
}

impl Publish<'_> {
    /// Writes one commit per project that is to be published.
    ///
    /// Returns `false` if the sources of a project could not be read: the project is then marked as failed, and the
    /// caller must plan again without it.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) fn commit(
        &mut self,
        session: &RemoteSession,
        identity: &Identity,
    ) -> Result<bool, SyncError> {
        let request = self.request;
        request.reporter.event(&Event::Started {
            stage: Stage::Commit,
        });
        self.add_revisions();

        let going: Vec<_> = self.going().collect();
        let commits: Vec<_> = going
            .iter()
            .map(|(number, project, plan)| NewCommit {
                project,
                plan,
                message: commit_builder::message(
                    request.workspace,
                    &session.target.branch,
                    project,
                    plan,
                    self.revisions.get(number).and_then(Option::as_ref),
                    request.work_id.as_deref(),
                ),
            })
            .collect();
        let store = session.store();
        let built = commit_builder::build(store, session.base.tip, &commits, identity)
            .map_err(StoreError::from)?;

        // Each blob is written once, even if several projects publish it or an earlier attempt has written it already.
        let mut blobs = Vec::new();
        let mut seen = HashSet::new();
        for (number, _, plan) in &going {
            for file in plan.files() {
                if !self.written.contains(&file.id) && seen.insert(file.id) {
                    blobs.push((file.id, file.size, (*number, file)));
                }
            }
        }

        let roots = Roots::new(&request.projects);
        let counter = Counter::new(request.reporter.as_ref(), Stage::Commit, Some(blobs.len()));
        let read = |(number, file): &(usize, &SourceFile)| {
            let contents = roots.get(*number).and_then(|root| root.contents(file));
            counter.file();
            contents.map_err(|error| WriteError::Source(*number, error))
        };
        let written = store.write_pack(&built.objects, &blobs, read);

        let numbers: Vec<_> = going.iter().map(|(number, ..)| *number).collect();
        let is_complete = match written {
            Ok(()) => {
                self.written.extend(seen);
                self.commits = numbers.into_iter().zip(built.commits).collect();
                true
            }
            Err(WriteError::Store(error)) => return Err(store.unwritable(error).into()),
            Err(WriteError::Source(number, error)) => {
                self.failed.insert(number, error);
                false
            }
        };
        request.reporter.event(&Event::Finished {
            stage: Stage::Commit,
        });
        Ok(is_complete)
    }

    /// Determines the source revision of each project that is to be published, unless an earlier attempt has done so.
    fn add_revisions(&mut self) {
        if !self.request.workspace.commit.trailers {
            return;
        }

        let missing: Vec<_> = self
            .going()
            .map(|(number, project, _)| (number, project))
            .filter(|(number, _)| !self.revisions.contains_key(number))
            .collect();
        let snapshots = &self.snapshots;
        let revisions: Vec<_> = missing
            .into_par_iter()
            .map(|(number, project)| {
                (
                    number,
                    source_revision::revision(project, &snapshots[number]),
                )
            })
            .collect();

        // One warning per reason, not per project.
        let mut unreadable = BTreeSet::new();
        for (number, revision) in revisions {
            let revision = revision.unwrap_or_else(|error| {
                unreadable.insert(error);
                None
            });
            self.revisions.insert(number, revision);
        }
        for error in unreadable {
            let message = format!("commits do not name their source revision: {error}");
            self.request.warn(&mut self.outcome.warnings, None, message);
        }
    }
}
