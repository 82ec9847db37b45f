//! The commits of a plan, written into the clone as one pack.

use std::collections::{BTreeSet, HashSet};
use std::io;

use rayon::prelude::*;

use super::opened::Opened;
use super::publish::Publish;
use super::sources::Roots;
use crate::codex::commit::{self, NewCommit};
use crate::codex::identity::Identity;
use crate::codex::source;
use crate::codex::store::StoreError;
use crate::event::{Counter, Event, Stage};
use crate::outcome::SyncError;
use crate::scan::{ScanError, SourceFile};

enum WriteError {
    Source(usize, ScanError),
    Store(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Store(error)
    }
}

impl Publish<'_> {
    /// Writes the commits; `false` if a project failed meanwhile, so that there is another plan to make.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) fn commit(
        &mut self,
        opened: &Opened,
        identity: &Identity,
    ) -> Result<bool, SyncError> {
        let request = self.request;
        request.reporter.event(&Event::Started {
            stage: Stage::Commit,
        });
        let unknown: Vec<_> = self
            .going()
            .map(|(n, p, _)| (n, p))
            .filter(|(n, _)| request.workspace.commit.trailers && !self.revisions.contains_key(n))
            .collect();
        let snapshots = &self.snapshots;
        let found: Vec<_> = unknown
            .into_par_iter()
            .map(|(n, project)| (n, source::revision(project, &snapshots[n])))
            .collect();
        let mut unreadable = BTreeSet::new();
        for (number, revision) in found {
            let revision = revision.unwrap_or_else(|error| {
                unreadable.insert(error);
                None
            });
            self.revisions.insert(number, revision);
        }
        for error in unreadable {
            let message = format!("commits do not name their source revision: {error}");
            request.warn(&mut self.outcome.warnings, None, message);
        }
        let going: Vec<_> = self.going().collect();
        let new: Vec<_> = going
            .iter()
            .map(|(number, project, plan)| {
                let revision = self.revisions.get(number).and_then(Option::as_ref);
                let work_id = request.work_id.as_deref();
                let message = commit::message(
                    request.workspace,
                    &opened.branch,
                    project,
                    plan,
                    revision,
                    work_id,
                );
                NewCommit {
                    project,
                    plan,
                    message,
                }
            })
            .collect();
        let store = opened.store();
        let built = commit::build(store, opened.base, &new, identity).map_err(StoreError::from)?;
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
        let commits = going
            .iter()
            .map(|(number, ..)| *number)
            .zip(built.commits)
            .collect();
        let unchanged = match written {
            Ok(()) => {
                self.written.extend(seen);
                self.commits = commits;
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
        Ok(unchanged)
    }
}
