//! The plans of the commands that remove or move a project, which need no sources.

use std::collections::BTreeMap;

use bstr::{BString, ByteSlice};

use super::merge::PlannedMerge;
use crate::codex::objects::path_history::Origins;
use crate::outcome::SyncError;
use crate::paths::CodexPath;
use crate::plan::{self, Decision, Listing, OthersChange, ProjectPlan};
use crate::sync::remote_session::RemoteSession;
use crate::sync::request::{SyncRequest, Task};
use crate::sync::search_depths::search_depths;
use crate::workspace::Project;

/// Plans a command from the files of the codex.
pub(super) struct TaskPlanner<'r> {
    pub(super) request: &'r SyncRequest<'r>,
    pub(super) session: &'r RemoteSession,
    /// The index of the target.
    pub(super) target: usize,
    /// The merge that comes first, if the plan is made for its result.
    pub(super) merge: Option<&'r PlannedMerge>,
    /// Whether the run has already pushed. The codex may then be as the command leaves it.
    pub(super) has_pushed: bool,
}

impl TaskPlanner<'_> {
    /// The decision on the project of the run, given its files in the codex, by index.
    pub(super) fn decisions(
        &self,
        listings: &BTreeMap<usize, Listing>,
    ) -> Result<BTreeMap<usize, Decision>, SyncError> {
        let decide = |(index, listing): (&usize, &Listing)| {
            let project = self.request.projects[*index];
            let plan = match &self.request.task {
                Task::Sync => unreachable!("a sync is planned from its sources"),
                Task::Retire { includes_others } => {
                    self.retire(project, listing, *includes_others)?
                }
                Task::Rename { from, .. } => self.rename(project, listing, from)?,
            };
            let decision = match plan.changes.is_empty() && plan.moved.is_none() {
                true => Decision::UpToDate(plan),
                false => Decision::Ready(plan),
            };
            Ok((*index, decision))
        };
        listings.iter().map(decide).collect()
    }

    fn retire(
        &self,
        project: &Project,
        listing: &Listing,
        includes_others: bool,
    ) -> Result<ProjectPlan, SyncError> {
        if listing.entries.is_empty() {
            return self.not_in_codex(project, &project.to);
        }
        let origins = match includes_others {
            true => Origins::default(),
            false => self.origins(project, listing)?,
        };
        let change_of_others = |path: &BString| {
            let in_codex = project.to.join(path.as_bstr());
            let name = project.name.as_str();
            let is_published = || origins.is_published(in_codex.as_bstr(), name);
            let is_kept = !includes_others && !is_published();
            is_kept.then(|| {
                let origin = origins.of(in_codex.as_bstr());
                OthersChange::new(path, origin.map(|(id, commit)| (id, &commit.author)))
            })
        };
        let plan = plan::retire(listing, change_of_others);
        let mut entries = listing.entries.iter();
        if let Some((path, _)) = listing.entries.first_key_value()
            && entries.all(|(path, entry)| !plan::can_be_published(path, *entry))
            && !self.has_pushed
        {
            return Err(SyncError::NotDeletable {
                path: project.to.join(path.as_bstr()),
            });
        }
        if plan.changes.is_empty() && !self.has_pushed {
            return Err(SyncError::NothingPublished {
                project: project.name.clone(),
                directory: project.to.clone(),
                files: listing.entries.len(),
            });
        }
        Ok(plan)
    }

    /// Finds the commits that gave the files of a project their present versions.
    fn origins(&self, project: &Project, listing: &Listing) -> Result<Origins, SyncError> {
        let tips = self
            .session
            .tips_of_listing(self.target, self.merge.map(|merge| merge.base));
        let entries = listing.entries.iter();
        let files = entries.map(|(path, entry)| (project.to.join(path.as_bstr()), *entry));
        self.session.origins(
            self.request,
            self.target,
            (&tips, &files.collect()),
            search_depths(),
        )
    }

    fn rename(
        &self,
        project: &Project,
        listing: &Listing,
        from: &CodexPath,
    ) -> Result<ProjectPlan, SyncError> {
        let files = self.moved_files()?;
        if files.entries.is_empty() {
            return self.not_in_codex(project, from);
        }
        let obstacle = listing.obstacle.as_ref().map(|(path, _)| path.clone());
        let is_occupied = !listing.entries.is_empty();
        let occupied = is_occupied.then(|| project.to.as_bstr().to_owned());
        if let Some(path) = obstacle.or(occupied) {
            return Err(SyncError::TargetExists { path });
        }
        plan::rename(from.clone(), files).map_err(|path| SyncError::NotMovable {
            path: from.join(path.as_bstr()),
        })
    }

    /// The files of the codex in the directory that is moved.
    fn moved_files(&self) -> Result<Listing, SyncError> {
        let Some(project) = self.request.moved_project() else {
            return Ok(Listing::default());
        };
        let listings = match self.merge {
            Some(merge) => merge.listings_of(self.session, &[project])?,
            None => self.session.listings_at_start(self.target, &[project])?,
        };
        Ok(listings.into_iter().next().unwrap_or_default())
    }

    /// The plan if the codex has no files in the directory: after a push of the run, that is its
    /// result.
    fn not_in_codex(
        &self,
        project: &Project,
        directory: &CodexPath,
    ) -> Result<ProjectPlan, SyncError> {
        if self.has_pushed {
            return Ok(ProjectPlan::default());
        }
        Err(SyncError::NotInCodex {
            project: project.name.clone(),
            directory: directory.clone(),
        })
    }
}
