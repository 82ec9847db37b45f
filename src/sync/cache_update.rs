//! Updates the local caches after a publication, so that they have the published files at their
//! paths in the codex, and none of projects that are no longer configured. The codex is what
//! counts, so an error here is only a warning.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::caches::{
    apply_plan, merge_results, message_of, removed_project_requests, reopen_cache, unused_cache,
    warn_kept, warn_removed, warn_replaced,
};
use super::committed_cache::in_commit;
use super::request::SyncRequest;
use super::sources::SourceContents;
use crate::cache::{
    Cache, CacheError, CacheOwner, CacheRequest, Reason, RequestRecord, RequestResult,
};
use crate::config::Direction;
use crate::names::ProjectName;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::Warning;
use crate::paths::escaped;
use crate::plan::Entry;
use crate::scan::{Snapshot, SourceFile};
use crate::text::pluralize;
use crate::workspace::Project;

/// A project whose files are in the codex, or would be after a dry run.
pub(super) struct PublishedProject<'r> {
    /// The index of the project in `contents`.
    pub(super) index: usize,
    pub(super) project: &'r Project,
    pub(super) snapshot: &'r Snapshot,
}

/// The publication that the caches are updated from.
pub(super) struct CacheUpdate<'r> {
    pub(super) request: &'r SyncRequest<'r>,
    /// The branch of the codex.
    pub(super) branch: &'r str,
    /// The tip after the publication.
    pub(super) tip: Option<ObjectId>,
    /// The source directories of all published projects.
    pub(super) contents: &'r SourceContents<'r>,
}

/// A cache, and the published projects that share it.
struct UpdateGroup<'p> {
    path: &'p Path,
    projects: Vec<&'p PublishedProject<'p>>,
    /// Whether the files of projects that are no longer configured are removed. A run in both
    /// directions leaves that to the pull into the same cache, which reports on these projects.
    removes: bool,
}

impl CacheUpdate<'_> {
    /// Updates the caches of `projects`. A dry run simulates that, and returns the caches that
    /// would change.
    pub(super) fn update_caches(
        &self,
        projects: &[PublishedProject<'_>],
        warnings: &mut Vec<Warning>,
    ) -> BTreeMap<PathBuf, Cache> {
        let mut simulated = BTreeMap::new();
        for group in self.groups(projects) {
            match self.update_cache(&group, warnings) {
                Ok(Some(cache)) if self.request.dry_run => {
                    simulated.insert(group.path.to_owned(), cache);
                }
                Ok(_) => {}
                Err(error) => {
                    let error = message_of(&error);
                    let message = format!("{error}; the codex is not affected");
                    self.request.warn(warnings, None, message);
                }
            }
        }
        simulated
    }

    /// Groups the projects by cache, in the order of the paths.
    fn groups<'p>(&'p self, projects: &'p [PublishedProject<'p>]) -> Vec<UpdateGroup<'p>> {
        let is_pulled = |project: &&&Project| project.direction == Direction::Bidirectional;
        let pulled = self.request.projects.iter().filter(is_pulled);
        let pulled: HashSet<&Path> = pulled.map(|project| project.cache_dir.as_path()).collect();

        let mut by_path: BTreeMap<&Path, Vec<&PublishedProject<'_>>> = BTreeMap::new();
        for published in projects {
            let group = by_path.entry(&published.project.cache_dir).or_default();
            group.push(published);
        }
        if pulled.is_empty()
            && let Some(unused) = unused_cache(self.request)
        {
            by_path.entry(unused).or_default();
        }

        let group = |(path, projects)| UpdateGroup {
            path,
            projects,
            removes: !pulled.contains(path),
        };
        by_path.into_iter().map(group).collect()
    }

    /// Updates one cache; `None` if it is up to date.
    fn update_cache(
        &self,
        group: &UpdateGroup<'_>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<Cache>, CacheError> {
        let digests: Vec<_> = group.projects.iter().map(|one| digest(one)).collect();
        let cache = Cache::open_read_only(group.path)?;
        let is_up_to_date = self.is_up_to_date(&cache, &group.projects, &digests);
        if is_up_to_date && self.removals(group, &cache).is_empty() {
            return Ok(None);
        }

        let mut cache = reopen_cache(self.request, cache)?;
        let removals = self.removals(group, &cache);
        let removed = removals.iter().map(|request| &request.owner.project);
        let removed = removed.cloned().collect();
        let published = group.projects.iter().zip(digests);
        let mut requests: Vec<_> = published
            .map(|(published, digest)| self.cache_request(published, digest))
            .collect();
        requests.extend(removals);

        let plan = cache.plan(requests, self.request.force, &|files| {
            in_commit(group.path, files)
        })?;
        let sources = sources(group);
        let mut results = apply_plan(
            self.request,
            &mut cache,
            plan,
            |_| (),
            |file| {
                let (index, source) = sources.get(&file.source).ok_or("it is not a source")?;
                let contents = self.contents.read(*index, source);
                contents.map_err(|error| error.to_string())
            },
        )?;

        let of_removed = results.split_off(group.projects.len());
        for (published, result) in group.projects.iter().zip(&results) {
            self.warn_of_published(&published.project.name, result, warnings);
        }
        for (project, result) in merge_results(removed, of_removed) {
            self.warn_of_removed(&project, &result, warnings);
        }
        Ok(Some(cache))
    }

    /// The requests that remove the files of projects which are no longer configured.
    fn removals(&self, group: &UpdateGroup<'_>, cache: &Cache) -> Vec<CacheRequest> {
        if group.removes {
            removed_project_requests(self.request, cache)
        } else {
            Vec::new()
        }
    }

    /// Whether the cache already has what the projects published. The tip is not compared, because
    /// other projects move it and these files stay the same. With `--force` and `--rescan`, the
    /// files themselves are compared.
    fn is_up_to_date(
        &self,
        cache: &Cache,
        projects: &[&PublishedProject<'_>],
        digests: &[ObjectId],
    ) -> bool {
        let is_recorded = |(published, digest): (&&PublishedProject<'_>, &ObjectId)| {
            let before = cache.manifest().owners.get(&owner(published));
            before.is_some_and(|before| before.satisfies_at_any_tip(&self.record(*digest)))
        };
        !self.request.force && !self.request.rescan && projects.iter().zip(digests).all(is_recorded)
    }

    /// The request of one project: all regular files that it published.
    fn cache_request(&self, published: &PublishedProject<'_>, digest: ObjectId) -> CacheRequest {
        let entry = |(path, file): (&BString, &SourceFile)| {
            let path = published.project.to.join(path.as_bstr());
            let entry = Entry {
                mode: file.mode,
                id: file.id,
            };
            file.mode.is_file().then_some((path, entry))
        };
        CacheRequest {
            owner: owner(published),
            record: self.record(digest),
            files: published.snapshot.files.iter().filter_map(entry).collect(),
            kept: BTreeSet::new(),
            removes_owner: false,
        }
    }

    fn record(&self, digest: ObjectId) -> RequestRecord {
        RequestRecord {
            remote: self.request.workspace.remote.url.to_string(),
            branch: self.branch.to_owned(),
            tip: self.tip,
            digest,
            complete: true,
            time: self.request.now,
        }
    }

    /// Warns about files that differ from the published version, and about replaced ones.
    fn warn_of_published(
        &self,
        project: &ProjectName,
        result: &RequestResult,
        warnings: &mut Vec<Warning>,
    ) {
        warn_replaced(self.request, project, &result.replaced, warnings);
        let kept = result.kept.iter().map(|(path, _)| path);
        let refused = result.refused.iter().map(|(path, _)| path);
        self.warn_of_stale("update", project, kept.chain(refused), warnings);
    }

    /// Warns about the removed files of a project that is no longer configured, and about those
    /// that stay.
    fn warn_of_removed(
        &self,
        project: &ProjectName,
        result: &RequestResult,
        warnings: &mut Vec<Warning>,
    ) {
        warn_removed(self.request, project, result, warnings);
        warn_kept(self.request, project, &result.kept, warnings);
        let refused = result.refused.iter().map(|(path, _)| path);
        self.warn_of_stale("delete", project, refused, warnings);
    }

    /// Warns that files could not be updated or deleted, if there are any.
    fn warn_of_stale<'p>(
        &self,
        verb: &str,
        project: &ProjectName,
        mut paths: impl Iterator<Item = &'p BString>,
        warnings: &mut Vec<Warning>,
    ) {
        let Some(first) = paths.next() else {
            return;
        };
        let files = pluralize(1 + paths.count(), "file");
        let message = format!(
            "cannot {verb} {files} in the local cache, for example `{}`; see `fractary-codex cache status`",
            escaped(first)
        );
        self.request.warn_of(warnings, project, message);
    }
}

/// The source of each file that the projects published, by its path in the codex, with the index of
/// its project.
fn sources<'p>(group: &UpdateGroup<'p>) -> HashMap<BString, (usize, &'p SourceFile)> {
    let mut sources = HashMap::new();
    for published in &group.projects {
        for (path, file) in &published.snapshot.files {
            let path = published.project.to.join(path.as_bstr());
            sources.insert(path, (published.index, file));
        }
    }
    sources
}

fn owner(published: &PublishedProject<'_>) -> CacheOwner {
    CacheOwner {
        project: published.project.name.clone(),
        reason: Reason::Published,
    }
}

/// A digest of everything that a project publishes.
fn digest(published: &PublishedProject<'_>) -> ObjectId {
    let mut text = published.project.to.as_bstr().to_vec();
    for (path, file) in &published.snapshot.files {
        text.push(0);
        text.extend_from_slice(path);
        text.push(0);
        text.extend_from_slice(file.mode.octal());
        text.extend_from_slice(&file.id.0);
    }
    hash(Kind::Blob, &text)
}
