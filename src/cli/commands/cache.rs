//! `cache`: lists, describes and clears the local caches.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use bstr::BString;
use serde_json::{Value, json};

use super::{finish, to_json};
use crate::cache::{
    Cache, CacheError, CacheOwner, Condition, Manifest, Reason, RequestRecord, RequestResult,
};
use crate::cli::args::{CacheArgs, CacheCommand};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::paths::{escaped, shown};
use crate::report::ago;
use crate::text::pluralize;
use crate::workspace::{Project, select};

/// Runs the command and returns the exit status.
pub(crate) fn run(command: &CacheCommand, context: &Context) -> u8 {
    let (CacheCommand::List(arguments)
    | CacheCommand::Status(arguments)
    | CacheCommand::Clear { arguments, .. }) = command;
    let json = arguments.output.is_json();
    let caches = match selected_caches(arguments, context) {
        Ok(caches) => caches,
        Err(error) => return finish(Err(error), json, context),
    };

    // Files that cannot be removed do not stop the command, but change its exit status.
    let all_removed = Cell::new(true);
    let reports = caches.iter().map(|cache| match command {
        CacheCommand::List(_) => list(cache, json),
        CacheCommand::Status(_) => status(cache, json, context),
        CacheCommand::Clear { force, .. } => {
            let results = clear(cache, *force, context)?;
            let is_clear = results.iter().all(|result| result.refused.is_empty());
            all_removed.set(all_removed.get() && is_clear);
            Ok(clear_report(&cache.path, &results, json))
        }
    });

    match finish_each(reports, &caches, json, context) {
        exit::DONE if !all_removed.get() => exit::SOME_FAILED,
        status => status,
    }
}

/// A cache, and the projects in it that a command is about.
struct SelectedCache {
    path: PathBuf,
    /// Names of projects.
    projects: Vec<String>,
    /// Include every project that the cache has files of, also those that were removed from the
    /// configuration.
    all: bool,
}

impl SelectedCache {
    /// Whether the files of this owner are selected.
    fn includes(&self, owner: &CacheOwner) -> bool {
        self.all
            || self
                .projects
                .iter()
                .any(|project| project == owner.project.as_str())
    }
}

/// The caches of the selected projects, in the order of their paths. Without a selection, these are
/// all projects and the workspace's own cache.
fn selected_caches(
    arguments: &CacheArgs,
    context: &Context,
) -> Result<Vec<SelectedCache>, CommandError> {
    let (_, workspace) = context.load(None, Vec::new())?;
    let everything = arguments.project.is_empty();
    let projects: Vec<&Project> = if everything {
        workspace.projects.iter().collect()
    } else {
        let directory = context.directory()?;
        select(&workspace, false, &arguments.project, &directory)
            .map_err(|error| CommandError::from(&error))?
    };

    let mut caches: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
    for project in projects {
        caches
            .entry(&project.cache_dir)
            .or_default()
            .push(project.name.to_string());
    }
    // The workspace's own cache can contain files although no project uses it any more.
    if everything && workspace.owns_cache(&workspace.cache_dir) && workspace.cache_dir.exists() {
        caches.entry(&workspace.cache_dir).or_default();
    }

    let selected = |(path, projects): (&Path, _)| SelectedCache {
        path: path.to_owned(),
        projects,
        all: everything && workspace.owns_cache(path),
    };
    Ok(caches.into_iter().map(selected).collect())
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
            Ok(CacheReport::Json(document)) => documents.push(document),
            Err(error) => {
                let error = CommandError::from(&error);
                documents.push(json!({
                    "path": shown(&cache.path).to_string(),
                    "error": error.report,
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
        text = to_json(&json!({ "schema_version": 1, "caches": documents }));
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

/// Lists the files of a cache that belong to any of the selected projects.
fn list(cache: &SelectedCache, as_json: bool) -> Result<CacheReport, CacheError> {
    let content = Cache::open_read_only(&cache.path)?;
    let files = content.manifest().files.iter().filter_map(|(path, file)| {
        let mut users: Vec<_> = file
            .owners
            .iter()
            .filter(|owner| cache.includes(owner))
            .map(|owner| owner.project.as_str())
            .collect();
        // A project can be an owner twice: because it published the file, and because it pulled it.
        users.dedup();
        (!users.is_empty()).then(|| (escaped(path).to_string(), file.entry.id.to_string(), users))
    });

    Ok(if as_json {
        let files: Vec<_> = files
            .map(|(path, id, users)| json!({ "path": path, "id": id, "projects": users }))
            .collect();
        CacheReport::Json(json!({ "path": shown(&cache.path).to_string(), "files": files }))
    } else {
        CacheReport::Text(files.map(|(path, ..)| format!("{path}\n")).collect())
    })
}

/// The state of the selected part of a cache.
struct CacheStatus<'c> {
    path: &'c Path,
    manifest: &'c Manifest,
    owners: Vec<(&'c CacheOwner, &'c RequestRecord)>,
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
    let manifest = content.manifest();
    let is_selected = |path: &BString| {
        let mut owners = manifest.files[path].owners.iter();
        owners.any(|owner| cache.includes(owner))
    };
    let differing = content.verify()?.into_iter();
    let status = CacheStatus {
        path: &cache.path,
        manifest,
        owners: manifest
            .owners
            .iter()
            .filter(|(owner, _)| cache.includes(owner))
            .collect(),
        differing: differing
            .filter(|(path, _)| is_selected(path))
            .map(|(path, condition)| (escaped(&path).to_string(), condition))
            .collect(),
    };

    Ok(if as_json {
        CacheReport::Json(status.json())
    } else {
        CacheReport::Text(status.text(context))
    })
}

impl CacheStatus<'_> {
    /// The number of files that belong to the owner.
    fn file_count(&self, owner: &CacheOwner) -> usize {
        let files = self.manifest.files.values();
        files.filter(|file| file.owners.contains(owner)).count()
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
        let owner = |(owner, record): &(&CacheOwner, &RequestRecord)| {
            json!({
                "project": owner.project.as_str(),
                "reason": match owner.reason {
                    Reason::Published => "published",
                    Reason::Pulled => "brought",
                },
                "files": self.file_count(owner),
                "remote": record.remote,
                "branch": record.branch,
                "tip": record.tip,
                "time": record.time,
                "complete": record.complete,
            })
        };
        json!({
            "path": shown(self.path).to_string(),
            "projects": self.owners.iter().map(owner).collect::<Vec<_>>(),
            "changed": self.paths(Condition::Changed),
            "missing": self.paths(Condition::Missing),
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
/// are kept unless `force` is set.
fn clear(
    cache: &SelectedCache,
    force: bool,
    context: &Context,
) -> Result<Vec<RequestResult>, CacheError> {
    if !cache.path.exists() {
        return Ok(Vec::new());
    }
    let mut content = Cache::open(&cache.path, &context.interrupt, || {})?;
    content.clear(|owner| cache.includes(owner), force)
}

/// The report on a cache that was cleared: the number of removed files, and the files that are
/// left.
fn clear_report(path: &Path, results: &[RequestResult], as_json: bool) -> CacheReport {
    let removed: usize = results.iter().map(|result| result.plan.changes.len()).sum();
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
        let failed: Vec<_> = failed
            .map(|(path, reason)| json!({ "path": path, "error": reason }))
            .collect();
        return CacheReport::Json(
            json!({ "path": directory, "removed": removed, "kept": kept, "failed": failed }),
        );
    }

    let mut text = format!("{directory}: {} removed\n", pluralize(removed, "file"));
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
