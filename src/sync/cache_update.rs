//! The local cache after a publication: the files as they landed, at their codex paths. It is a convenience beside what
//! the remote holds, so an error here is only a warning.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::request::SyncRequest;
use super::sources::Roots;
use crate::cache::{Cache, CacheError, Owner, Reason, Request, RequestRecord, RequestResult};
use crate::event::{Counter, Event, Stage};
use crate::names::ProjectName;
use crate::object::{Kind, ObjectId, hash};
use crate::outcome::Warning;
use crate::paths::escaped;
use crate::plan::Entry;
use crate::scan::{Snapshot, SourceFile};
use crate::text::pluralize;
use crate::workspace::Project;

/// A project whose files the codex holds.
pub(super) struct PublishedProject<'r> {
    /// Its number among the projects of `roots`.
    pub(super) number: usize,
    pub(super) project: &'r Project,
    pub(super) snapshot: &'r Snapshot,
}

/// Updates the caches of the projects to what the codex holds of them at `tip`. A dry run returns the caches that would
/// change, as they would be then.
pub(super) fn update_caches(
    request: &SyncRequest<'_>,
    published: &[PublishedProject<'_>],
    branch: &str,
    tip: Option<ObjectId>,
    roots: &Roots<'_>,
    warnings: &mut Vec<Warning>,
) -> BTreeMap<PathBuf, Cache> {
    let mut assumed = BTreeMap::new();
    let mut groups: BTreeMap<&Path, Vec<&PublishedProject<'_>>> = BTreeMap::new();
    for one in published {
        groups.entry(&one.project.cache_dir).or_default().push(one);
    }
    for (path, group) in groups {
        let record = |digest| RequestRecord {
            remote: request.workspace.remote.url.to_string(),
            branch: branch.to_owned(),
            tip,
            digest,
            complete: true,
            time: request.now,
        };
        match update_cache(request, path, &group, roots, record, warnings) {
            Ok(cache) => assumed.extend(cache.map(|cache| (path.to_owned(), cache))),
            Err(_) if request.dry_run => {}
            Err(error) => {
                let causes = std::error::Error::source(&error)
                    .map(|cause| format!(": {cause}"))
                    .unwrap_or_default();
                request.warn(
                    warnings,
                    None,
                    format!("{error}{causes}; the codex itself is up to date"),
                );
            }
        }
    }
    assumed
}

fn update_cache(
    request: &SyncRequest<'_>,
    path: &Path,
    group: &[&PublishedProject<'_>],
    roots: &Roots<'_>,
    record: impl Fn(ObjectId) -> RequestRecord,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Cache>, CacheError> {
    let owner = |one: &PublishedProject<'_>| Owner {
        project: one.project.name.clone(),
        reason: Reason::Published,
    };
    let digests: Vec<_> = group.iter().map(|one| digest(one)).collect();
    let look = Cache::open_read_only(path)?;
    let is_there = |(one, digest): (&&PublishedProject<'_>, &ObjectId)| {
        // The tip does not count: others move it, and these files are the same ones.
        let before = look.manifest().owners.get(&owner(one));
        before.is_some_and(|before| before.satisfies_at_any_tip(&record(*digest)))
    };
    // With `--force` and `--rescan` the files themselves are looked at.
    if !request.force && !request.rescan && group.iter().zip(&digests).all(is_there) {
        return Ok(None);
    }
    let mut cache = if request.dry_run {
        look
    } else {
        Cache::open(path, &request.interrupt, || {
            request.reporter.event(&Event::Waiting)
        })?
    };
    let mut sources: HashMap<BString, (usize, &SourceFile)> = HashMap::new();
    let mut questions = Vec::new();
    for (one, digest) in group.iter().zip(digests) {
        let mut files = BTreeMap::new();
        for (below, file) in one
            .snapshot
            .files
            .iter()
            .filter(|(_, file)| file.mode.is_file())
        {
            let path = one.project.to.join(below.as_bstr());
            sources.insert(path.clone(), (one.number, file));
            files.insert(
                path,
                Entry {
                    mode: file.mode,
                    id: file.id,
                },
            );
        }
        questions.push(Request {
            owner: owner(one),
            record: record(digest),
            files,
            removes_owner: false,
        });
    }
    let plan = cache.plan(questions, request.force)?;
    if request.dry_run {
        cache.simulate(plan);
        return Ok(Some(cache));
    }
    request.reporter.event(&Event::Started {
        stage: Stage::Write,
    });
    let counter = Counter::new(request.reporter.as_ref(), Stage::Write, None);
    let taken = cache.apply(plan, |wanted| {
        counter.file();
        let (number, file) = sources.get(&wanted.source).ok_or("it is not a source")?;
        let contents = roots.get(*number).and_then(|root| root.contents(file));
        contents.map_err(|error| error.to_string())
    });
    request.reporter.event(&Event::Finished {
        stage: Stage::Write,
    });
    let taken = taken?;
    for (one, taken) in group.iter().zip(taken) {
        warn_replaced(request, &one.project.name, &taken, warnings);
        let left = taken.kept.len() + taken.refused.len();
        let kept = taken.kept.first().map(|(path, _)| path);
        if let Some(first) = kept.or(taken.refused.first().map(|(path, _)| path)) {
            let message = format!(
                "{left} files of the local cache are not as published, such as `{}`; see `cache status`",
                escaped(first)
            );
            request.warn(warnings, Some(one.project), message);
        }
    }
    Ok(None)
}

/// Names files of the user that were in the way of the cache and are deleted because that was forced.
pub(super) fn warn_replaced(
    request: &SyncRequest<'_>,
    project: &ProjectName,
    taken: &RequestResult,
    warnings: &mut Vec<Warning>,
) {
    let Some(first) = taken.replaced.first() else {
        return;
    };
    let files = pluralize(taken.replaced.len(), "file");
    let verb = if request.dry_run { "would be" } else { "was" };
    let message = format!(
        "{files} in the cache, such as `{}`, not written by a sync: in the way, and {verb} deleted (`--force`)",
        escaped(first)
    );
    request.warn_of(warnings, project, message);
}

/// A digest of all that a project publishes.
fn digest(one: &PublishedProject<'_>) -> ObjectId {
    let mut text = one.project.to.as_bstr().to_vec();
    for (path, file) in &one.snapshot.files {
        text.push(0);
        text.extend_from_slice(path);
        text.push(0);
        text.extend_from_slice(file.mode.octal());
        text.extend_from_slice(&file.id.0);
    }
    hash(Kind::Blob, &text)
}
