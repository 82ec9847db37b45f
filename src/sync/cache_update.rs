//! Updates the local caches after a publication, so that they have the published files at their paths in the codex, and
//! none of projects that are no longer configured. The codex is what counts, so an error here is only a warning.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::caches::{
    apply_plan, merge_results, message_of, open_cache, removed_project_requests, unused_cache,
    warn_kept, warn_removed, warn_replaced,
};
use super::request::SyncRequest;
use super::source_roots::SourceRoots;
use crate::cache::{Cache, CacheError, CacheOwner, Reason, Request, RequestRecord, RequestResult};
use crate::config::Direction;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::Warning;
use crate::paths::escaped;
use crate::plan::Entry;
use crate::scan::{Snapshot, SourceFile};
use crate::text::pluralize;
use crate::workspace::Project;

/// A project whose files are in the codex, or would be after a dry run.
pub(super) struct PublishedProject<'r> {
    /// The index of the project in `roots`.
    pub(super) number: usize,
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
    pub(super) roots: &'r SourceRoots<'r>,
}

impl CacheUpdate<'_> {
    /// Updates the caches of `projects`. A dry run simulates that, and returns the caches that would change.
    pub(super) fn update_caches(
        &self,
        projects: &[PublishedProject<'_>],
        warnings: &mut Vec<Warning>,
    ) -> BTreeMap<PathBuf, Cache> {
        let mut groups: BTreeMap<&Path, Vec<&PublishedProject<'_>>> = BTreeMap::new();
        for published in projects {
            let group = groups.entry(&published.project.cache_dir).or_default();
            group.push(published);
        }

        // A run in both directions leaves removed projects to the pull of the same cache, which reports on them.
        let request = self.request;
        let is_pulled = |project: &&&Project| project.direction == Direction::Bidirectional;
        let pulled = request.projects.iter().filter(is_pulled);
        let pulled: HashSet<&Path> = pulled.map(|project| project.cache_dir.as_path()).collect();
        if pulled.is_empty()
            && let Some(unused) = unused_cache(request)
        {
            groups.entry(unused).or_default();
        }

        let mut simulated = BTreeMap::new();
        for (path, projects) in groups {
            let removes = !pulled.contains(path);
            match self.update_cache(path, &projects, removes, warnings) {
                Ok(Some(cache)) if self.request.dry_run => {
                    simulated.insert(path.to_owned(), cache);
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

    /// Updates one cache; `None` if it is up to date. With `removes`, the files of projects that are no longer configured
    /// are removed.
    fn update_cache(
        &self,
        path: &Path,
        projects: &[&PublishedProject<'_>],
        removes: bool,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<Cache>, CacheError> {
        let digests: Vec<_> = projects.iter().map(|published| digest(published)).collect();
        let removals = |cache: &Cache| match removes {
            true => removed_project_requests(self.request, cache),
            false => Vec::new(),
        };
        let cache = Cache::open_read_only(path)?;
        if self.is_up_to_date(&cache, projects, &digests) && removals(&cache).is_empty() {
            return Ok(None);
        }

        let mut cache = open_cache(self.request, path)?;
        let mut requests = Vec::new();
        let mut sources: HashMap<BString, (usize, &SourceFile)> = HashMap::new();
        for (published, digest) in projects.iter().zip(digests) {
            requests.push(self.cache_request(published, digest));
            for (path, file) in &published.snapshot.files {
                let path = published.project.to.join(path.as_bstr());
                sources.insert(path, (published.number, file));
            }
        }

        let removals = removals(&cache);
        let removed = removals.iter().map(|request| &request.owner.project);
        let removed = removed.cloned().collect();
        requests.extend(removals);

        let plan = cache.plan(requests, self.request.force)?;
        let mut results = apply_plan(self.request, &mut cache, plan, |file| {
            let (number, source) = sources.get(&file.source).ok_or("it is not a source")?;
            let contents = self
                .roots
                .get(*number)
                .and_then(|root| root.contents(source));
            contents.map_err(|error| error.to_string())
        })?;
        let of_removed = results.split_off(projects.len());
        for (published, result) in projects.iter().zip(&results) {
            self.warn(published.project, result, warnings);
        }
        for (project, result) in merge_results(removed, of_removed) {
            warn_removed(self.request, &project, &result, warnings);
            warn_kept(self.request, &project, &result.kept, warnings);
        }
        Ok(Some(cache))
    }

    /// Whether the cache already has what the projects published. The tip is not compared, because other projects move it
    /// and these files stay the same. With `--force` and `--rescan`, the files themselves are compared.
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
    fn cache_request(&self, published: &PublishedProject<'_>, digest: ObjectId) -> Request {
        let entry = |(path, file): (&BString, &SourceFile)| {
            let path = published.project.to.join(path.as_bstr());
            let entry = Entry {
                mode: file.mode,
                id: file.id,
            };
            file.mode.is_file().then_some((path, entry))
        };
        Request {
            owner: owner(published),
            record: self.record(digest),
            files: published.snapshot.files.iter().filter_map(entry).collect(),
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

    /// Warns about files of the cache that differ from the published version, and about replaced ones.
    fn warn(&self, project: &Project, result: &RequestResult, warnings: &mut Vec<Warning>) {
        warn_replaced(self.request, &project.name, &result.replaced, warnings);

        let kept = result.kept.iter().map(|(path, _)| path);
        let refused = result.refused.iter().map(|(path, _)| path);
        let mut stale = kept.chain(refused);
        if let Some(first) = stale.next() {
            let files = pluralize(1 + stale.count(), "file");
            let message = format!(
                "cannot update {files} in the local cache, for example `{}`; see `fractary-codex cache status`",
                escaped(first)
            );
            self.request.warn(warnings, Some(project), message);
        }
    }
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
