//! Selects the files of the codex that a project pulls.

use std::collections::{BTreeMap, BTreeSet};

use bstr::{BString, ByteSlice};

use super::pull_run::PullRun;
use crate::cache::selected::Selected;
use crate::cache::{Cache, CacheOwner, CacheRequest, Reason, Refusal, RequestRecord};
use crate::codex::store::StoreError;
use crate::object::Mode;
use crate::outcome::SyncError;
use crate::paths::escaped;
use crate::plan::Entry;
use crate::workspace::Project;
use crate::workspace::claims::InvalidPattern;
use crate::workspace::codex_selector::CodexSelector;

/// Whether a project selects files by their frontmatter instead of by patterns.
fn uses_frontmatter(project: &Project) -> bool {
    project.from_codex.include.is_empty() && project.from_codex.use_frontmatter
}

impl PullRun<'_> {
    /// Compiles the patterns of `project`, and warns if there are none.
    pub(super) fn selector(
        &mut self,
        project: &Project,
    ) -> Result<CodexSelector, Vec<InvalidPattern>> {
        let workspace = self.request.workspace;
        if uses_frontmatter(project) {
            return CodexSelector::markdown(project, workspace);
        }
        let selector = CodexSelector::new(project, workspace)?;
        if project.from_codex.include.is_empty() {
            self.warn(
                project,
                "`sync.from_codex.include` is empty: nothing to pull",
            );
        }
        Ok(selector)
    }

    /// Selects the files of `project`. Returns them as a request for its cache, and the files that
    /// match but cannot be pulled, with the reason.
    pub(super) fn select_files(
        &mut self,
        project: &Project,
        selector: &CodexSelector,
        cache: &Cache,
    ) -> Result<(CacheRequest, Vec<(BString, Refusal)>), SyncError> {
        let owner = CacheOwner {
            project: project.name.clone(),
            reason: Reason::Pulled,
        };
        let mut record = RequestRecord {
            remote: self.request.workspace.remote.url.to_string(),
            branch: self.session.branch().to_owned(),
            tip: self.session.tip(),
            digest: selector.digest(),
            complete: true,
            time: self.request.now,
        };

        let mut refused = Vec::new();
        let files = if self.is_in_cache(cache, &owner, &record) {
            let files = cache.files_of(&owner);
            self.warn_of_unmatched(project, selector, &files);
            files
        } else {
            let mut selected = self.find_in_codex(selector, cache)?;
            // The fetch may have found a newer tip.
            record.tip = self.session.tip();
            self.warn_of_unsupported(project, &selected.not_files);
            self.add_planned_publishes(selector, &mut selected.files);
            self.warn_of_unmatched(project, selector, &selected.files);
            if uses_frontmatter(project) {
                self.keep_routed(project, &mut selected.files)?;
            }
            refused = selected.refused;
            selected.files
        };

        let kept = self.kept_outside(cache, &owner, selector);
        // The other files may be from an earlier tip.
        record.complete = refused.is_empty() && kept.is_empty();
        let request = CacheRequest {
            owner,
            record,
            files,
            kept,
            removes_owner: false,
        };
        Ok((request, refused))
    }

    /// The files of `owner` that the selector does not select, if the run must not remove them.
    fn kept_outside(
        &self,
        cache: &Cache,
        owner: &CacheOwner,
        selector: &CodexSelector,
    ) -> BTreeSet<BString> {
        if !self.request.keeps_unselected {
            return BTreeSet::new();
        }
        let files = cache.files_of(owner).into_keys();
        files.filter(|path| !selector.selects(path)).collect()
    }

    /// Whether the cache already has the result of this request, so that the codex's trees are not
    /// needed.
    fn is_in_cache(&self, cache: &Cache, owner: &CacheOwner, record: &RequestRecord) -> bool {
        let before = cache.manifest().owners.get(owner);
        before.is_some_and(|before| before.satisfies(record))
            && self.planned_publishes.is_empty()
            && !self.request.rescan
    }

    /// Searches the trees of the tip, and fetches them if necessary. Trees that have not changed since
    /// `cache` was written are not read again.
    fn find_in_codex(
        &mut self,
        selector: &CodexSelector,
        cache: &Cache,
    ) -> Result<Selected, SyncError> {
        let (store, tip) = self.session.clone_of_tip(self.request)?;
        let root = tip
            .map(|tip| store.root_tree(tip))
            .transpose()
            .map_err(StoreError::from)?;
        // Maps no pack into memory.
        let contents = store.contents();
        let read = |id| match cache.implied_tree(id) {
            Some(data) => Ok(data.to_vec()),
            None => contents.read_tree(id),
        };
        let selected = Selected::find(selector, &read, root);
        Ok(selected.map_err(StoreError::from)?)
    }

    /// Applies the planned publishes of a dry run to the selected files.
    fn add_planned_publishes(
        &self,
        selector: &CodexSelector,
        files: &mut BTreeMap<BString, Entry>,
    ) {
        for publish in self.planned_publishes {
            for change in &publish.plan.changes {
                let path = publish.project.to.join(change.path.as_bstr());
                let file = change.op.file();
                match file.filter(|file| file.mode.is_file() && selector.selects(&path)) {
                    Some(file) => {
                        let entry = Entry {
                            mode: file.mode,
                            id: file.id,
                        };
                        files.insert(path, entry);
                    }
                    None => {
                        files.remove(&path);
                    }
                }
            }
        }
    }

    fn warn_of_unsupported(&mut self, project: &Project, entries: &[(BString, Mode)]) {
        for (path, mode) in entries {
            let kind = match mode {
                Mode::Link => "symlinks",
                _ => "submodules",
            };
            self.warn(
                project,
                &format!("skipped `{}`: {kind} are not pulled", escaped(path)),
            );
        }
    }

    /// Warns about includes that match nothing. Projects with the same include are warned once.
    fn warn_of_unmatched(
        &mut self,
        project: &Project,
        selector: &CodexSelector,
        files: &BTreeMap<BString, Entry>,
    ) {
        for message in selector.unmatched(project, files.keys()) {
            let mut warnings = self.outcome.warnings.iter();
            if warnings.all(|warning| warning.message != message) {
                self.warn(project, &message);
            }
        }
    }

    pub(super) fn warn(&mut self, project: &Project, message: &str) {
        let warnings = &mut self.outcome.warnings;
        self.request
            .warn(warnings, Some(project), message.to_owned());
    }
}
