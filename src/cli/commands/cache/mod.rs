//! `cache`: lists, describes and clears the local caches.

mod file_list;
mod selected_cache;

use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;

use bstr::BString;
use serde_json::{Value, json};

use super::{finish, to_json};
use crate::cache::{
    Cache, CacheError, CacheOwner, Condition, Manifest, Reason, RequestRecord, RequestResult,
};
use crate::cli::args::{CacheClearArgs, CacheCommand, CacheListArgs};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::paths::{escaped, shown};
use crate::report::ago;
use crate::report::cache::{
    CacheDocument, CacheHealth, CachePart, CacheState, CachedSync, CachedSyncReason, ClearedCache,
    FailedCache, UnremovedFile,
};
use crate::text::pluralize;
#[cfg(feature = "mcp")]
use crate::workspace::Workspace;

use file_list::FileList;
use selected_cache::{SelectedCache, selected_caches};

/// Runs the command and returns the exit status.
pub(crate) fn run(command: &CacheCommand, context: &Context) -> u8 {
    match command {
        CacheCommand::List(arguments) => {
            let json = arguments.common.output.is_json();
            match selected_caches(&arguments.common, arguments.pattern.as_deref(), context) {
                Ok(caches) => run_list(arguments, &caches, json, context),
                Err(error) => finish(Err(error), json, context),
            }
        }
        CacheCommand::Status(arguments) => {
            let json = arguments.output.is_json();
            match selected_caches(arguments, None, context) {
                Ok(caches) => {
                    let reports = caches.iter().map(|cache| status(cache, json, context));
                    finish_each(reports, &caches, json, context)
                }
                Err(error) => finish(Err(error), json, context),
            }
        }
        CacheCommand::Clear(arguments) => {
            let json = arguments.common.output.is_json();
            match selected_caches(&arguments.common, arguments.pattern.as_deref(), context) {
                Ok(caches) => run_clear(arguments, &caches, json, context),
                Err(error) => finish(Err(error), json, context),
            }
        }
    }
}

/// Lists the files of all caches, sorted together.
fn run_list(
    arguments: &CacheListArgs,
    caches: &[SelectedCache],
    json: bool,
    context: &Context,
) -> u8 {
    let mut files = FileList::default();
    let reads: Vec<_> = caches
        .iter()
        .map(|cache| files.read(cache, arguments.status))
        .collect();
    files.sort_and_limit(arguments);
    let reports = reads.into_iter().zip(caches).map(|(read, cache)| {
        read?;
        Ok(if json {
            CacheReport::Json(files.document(cache))
        } else {
            CacheReport::Text(String::new())
        })
    });
    let status = finish_each(reports, caches, json, context);
    if !json {
        context.terminal.result(&files.text());
    }
    status
}

/// Clears the caches. Files that cannot be removed do not stop the command, but change its exit
/// status.
fn run_clear(
    arguments: &CacheClearArgs,
    caches: &[SelectedCache],
    json: bool,
    context: &Context,
) -> u8 {
    let all_removed = Cell::new(true);
    let reports = caches.iter().map(|cache| {
        let results = clear(cache, arguments, context)?;
        let is_clear = results.iter().all(|result| result.refused.is_empty());
        all_removed.set(all_removed.get() && is_clear);
        Ok(clear_report(&cache.path, &results, arguments.dry_run, json))
    });
    match finish_each(reports, caches, json, context) {
        exit::DONE if !all_removed.get() => exit::SOME_FAILED,
        status => status,
    }
}

/// The report on one cache.
enum CacheReport {
    Text(String),
    Json(Value),
}

/// Prints a report of each cache, and returns the exit status. An error of one cache does not hide
/// what was done to the others: it follows their reports, and in JSON it is the `error` of its
/// cache.
fn finish_each(
    reports: impl Iterator<Item = Result<CacheReport, CacheError>>,
    caches: &[SelectedCache],
    json: bool,
    context: &Context,
) -> u8 {
    let mut text = String::new();
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    for (report, cache) in reports.zip(caches) {
        match report {
            Ok(CacheReport::Text(part)) => text.push_str(&part),
            Ok(CacheReport::Json(document)) => documents.push(CachePart::Done(document)),
            Err(error) => {
                let error = CommandError::from(&error);
                documents.push(CachePart::Failed(FailedCache {
                    path: shown(&cache.path).to_string(),
                    error: error.report.clone(),
                }));
                errors.push(error);
            }
        }
    }

    let exit = errors.first().map_or(exit::DONE, |error| error.exit);
    if json && errors.len() == caches.len() && !errors.is_empty() {
        return finish(Err(errors.remove(0)), json, context);
    }
    if json {
        text = to_json(&CacheDocument {
            schema_version: 1,
            caches: documents,
        });
    }
    if !text.is_empty() {
        context.terminal.result(&text);
    }
    for error in &errors {
        if json {
            context.terminal.annotate(None, &error.report);
        } else {
            context.terminal.error(None, &error.report);
        }
    }
    exit
}

/// The state of the selected part of a cache.
struct CacheStatus<'c> {
    path: &'c Path,
    manifest: &'c Manifest,
    owners: Vec<(&'c CacheOwner, &'c RequestRecord)>,
    /// The number of files.
    files: usize,
    /// Their size in bytes, as far as it is recorded.
    bytes: u64,
    /// The files that differ from the manifest, as they are printed.
    differing: Vec<(String, Condition)>,
}

/// Reports the source and age of a cache's files, and the files that differ from those that were
/// written.
fn status(
    cache: &SelectedCache,
    as_json: bool,
    context: &Context,
) -> Result<CacheReport, CacheError> {
    let content = Cache::open_read_only(&cache.path)?;
    let status = CacheStatus::read(cache, &content)?;
    Ok(if as_json {
        CacheReport::Json(status.json())
    } else {
        CacheReport::Text(status.text(context))
    })
}

/// The states of all caches of a workspace, as parts of the JSON document.
#[cfg(feature = "mcp")]
pub(super) fn status_documents(workspace: &Workspace) -> Result<Vec<Value>, CommandError> {
    let projects = workspace.projects.iter().collect();
    let caches = selected_cache::of_projects(projects, true, None, workspace).into_iter();
    let documents = caches.map(|cache| {
        let content = Cache::open_read_only(&cache.path)?;
        Ok(CacheStatus::read(&cache, &content)?.json())
    });
    let documents: Result<_, CacheError> = documents.collect();
    documents.map_err(|error| CommandError::from(&error))
}

impl<'c> CacheStatus<'c> {
    /// Reads the state of the selected part of a cache, and compares its files with the manifest.
    fn read(cache: &'c SelectedCache, content: &'c Cache) -> Result<Self, CacheError> {
        let manifest = content.manifest();
        let is_selected = |path: &BString| {
            let mut owners = manifest.files[path].owners.iter();
            owners.any(|owner| cache.includes(owner))
        };
        let differing = content.verify()?.into_iter();
        let selected: Vec<_> = manifest
            .files
            .iter()
            .filter(|(path, _)| is_selected(path))
            .collect();
        let sizes = selected.iter().filter_map(|(_, file)| file.stat);
        Ok(Self {
            path: &cache.path,
            manifest,
            files: selected.len(),
            bytes: sizes.map(|stat| stat.size).sum(),
            owners: manifest
                .owners
                .iter()
                .filter(|(owner, _)| cache.includes(owner))
                .collect(),
            differing: differing
                .filter(|(path, _)| is_selected(path))
                .map(|(path, condition)| (escaped(&path).to_string(), condition))
                .collect(),
        })
    }

    /// The number of files that belong to the owner.
    fn file_count(&self, owner: &CacheOwner) -> usize {
        let files = self.manifest.files.values();
        files.filter(|file| file.owners.contains(owner)).count()
    }

    /// Whether all files are complete and as syncs wrote them.
    fn is_healthy(&self) -> bool {
        self.differing.is_empty() && self.owners.iter().all(|(_, record)| record.complete)
    }

    /// The paths of the files in this condition.
    fn paths(&self, condition: Condition) -> Vec<&String> {
        let differing = self.differing.iter();
        differing
            .filter(|(_, found)| *found == condition)
            .map(|(path, _)| path)
            .collect()
    }

    /// The state as a part of the JSON document.
    fn json(&self) -> Value {
        let owner = |(owner, record): &(&CacheOwner, &RequestRecord)| CachedSync {
            project: owner.project.to_string(),
            reason: match owner.reason {
                Reason::Published => CachedSyncReason::Published,
                Reason::Pulled => CachedSyncReason::Pulled,
            },
            files: self.file_count(owner),
            remote: record.remote.clone(),
            branch: record.branch.clone(),
            tip: record.tip.map(|tip| tip.to_string()),
            time: record.time,
            complete: record.complete,
        };
        let paths = |condition| self.paths(condition).into_iter().cloned().collect();
        json!(CacheState {
            path: shown(self.path).to_string(),
            status: match self.is_healthy() {
                true => CacheHealth::Healthy,
                false => CacheHealth::Degraded,
            },
            files: self.files,
            bytes: self.bytes,
            projects: self.owners.iter().map(owner).collect(),
            changed: paths(Condition::Changed),
            missing: paths(Condition::Missing),
        })
    }

    /// The state as lines of text, one per project and one per file that differs.
    fn text(&self, context: &Context) -> String {
        let style = context.terminal.out;
        let mut text = format!("{}\n", style.strong(shown(self.path)));
        if self.owners.is_empty() {
            text.push_str("  empty\n");
        }
        for (owner, record) in &self.owners {
            let tip = match record.tip {
                Some(tip) => tip.short(),
                None => "no commits".to_owned(),
            };
            let files = pluralize(self.file_count(owner), "file");
            let reason = match owner.reason {
                Reason::Published => "published",
                Reason::Pulled => "pulled",
            };
            let branch = escaped(record.branch.as_bytes());
            let age = ago(context.now().saturating_sub(record.time));
            let incomplete = if record.complete { "" } else { ", incomplete" };
            let _ = writeln!(
                text,
                "  {}: {files} {reason}, from `{branch}` at {tip}, {age}{incomplete}",
                owner.project
            );
        }
        for (condition, label) in [
            (Condition::Changed, "modified locally"),
            (Condition::Missing, "missing"),
        ] {
            for path in self.paths(condition) {
                let _ = writeln!(text, "  {} {path}", style.warn(label));
            }
        }
        text
    }
}

/// Removes the files that only belong to the selected projects. Files that were modified locally
/// are kept unless `--force` is given.
fn clear(
    cache: &SelectedCache,
    arguments: &CacheClearArgs,
    context: &Context,
) -> Result<Vec<RequestResult>, CacheError> {
    if !cache.path.exists() {
        return Ok(Vec::new());
    }
    let mut content = if arguments.dry_run {
        Cache::open_simulated(&cache.path)?
    } else {
        Cache::open(&cache.path, &context.interrupt, || {})?
    };
    content.clear(
        |owner| cache.includes(owner),
        |path| cache.covers(path),
        arguments.force,
        arguments.dry_run,
    )
}

/// The report on a cache that was cleared: the number of removed files, and the files that are
/// left.
fn clear_report(
    path: &Path,
    results: &[RequestResult],
    dry_run: bool,
    as_json: bool,
) -> CacheReport {
    let removed: Vec<_> = results
        .iter()
        .flat_map(|result| &result.plan.changes)
        .map(|change| escaped(&change.path).to_string())
        .collect();
    let kept: Vec<_> = results
        .iter()
        .flat_map(|result| &result.kept)
        .map(|(path, _)| escaped(path).to_string())
        .collect();
    let failed = results
        .iter()
        .flat_map(|result| &result.refused)
        .map(|(path, reason)| (escaped(path).to_string(), reason));
    let directory = shown(path).to_string();

    if as_json {
        let failed = failed.map(|(path, reason)| UnremovedFile {
            path: path.to_string(),
            error: reason.to_string(),
        });
        return CacheReport::Json(json!(ClearedCache {
            path: directory,
            dry_run,
            removed: removed.len(),
            removed_files: removed,
            kept,
            failed: failed.collect(),
        }));
    }

    let verb = if dry_run {
        "would be removed"
    } else {
        "removed"
    };
    let mut text = format!("{directory}: {} {verb}\n", pluralize(removed.len(), "file"));
    for path in removed.iter().filter(|_| dry_run) {
        let _ = writeln!(text, "  {path}");
    }
    for path in kept {
        let _ = writeln!(
            text,
            "  kept {path}: it was modified locally; use `--force` to remove it"
        );
    }
    for (path, reason) in failed {
        let _ = writeln!(text, "  cannot remove {path}: {reason}");
    }
    CacheReport::Text(text)
}
