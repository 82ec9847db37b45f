//! `cache`: lists the files of the local cache, shows its state, and clears it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{finish, to_json};
use crate::cache::{Cache, CacheError, Condition, Manifest, Owner, Reason, Taken};
use crate::cli::args::{CacheArgs, CacheCommand};
use crate::cli::failure::{self, Failure, exit};
use crate::cli::load::Context;
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
    // Files that cannot be removed do not stop the command, but change its exit status.
    let all_removed = Cell::new(true);

    let result = selected_caches(arguments, context).and_then(|caches| match command {
        CacheCommand::List(_) => {
            caches.report(json, |path, projects| Ok(list(path, projects, json)))
        }
        CacheCommand::Status(_) => {
            caches.report(json, |path, projects| status(path, projects, json, context))
        }
        CacheCommand::Clear { force, .. } => caches.report(json, |path, projects| {
            let results = clear(path, projects, *force, context)?;
            let is_clear = results.iter().all(|result| result.refused.is_empty());
            all_removed.set(all_removed.get() && is_clear);
            Ok(clear_report(path, &results, json))
        }),
    });

    match finish(result, json, context) {
        exit::DONE if !all_removed.get() => exit::SOME_FAILED,
        status => status,
    }
}

/// The selected caches by their directory, each with the names of the selected projects that use it.
struct SelectedCaches(BTreeMap<PathBuf, Vec<String>>);

fn selected_caches(arguments: &CacheArgs, context: &Context) -> Result<SelectedCaches, Failure> {
    let (_, workspace) = context.load(None, Vec::new())?;
    let projects: Vec<&Project> = if arguments.project.is_empty() {
        workspace.projects.iter().collect()
    } else {
        let directory = context.directory()?;
        select(&workspace, false, &arguments.project, &directory)
            .map_err(|error| failure::of_selection(&error))?
    };

    let mut caches: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for project in projects {
        caches
            .entry(project.cache_dir.clone())
            .or_default()
            .push(project.name.to_string());
    }
    Ok(SelectedCaches(caches))
}

/// The report on one cache.
enum CacheReport {
    Text(String),
    Json(Value),
}

impl SelectedCaches {
    /// Calls `report` for each cache, and joins the results to the output of the command.
    fn report(
        &self,
        json: bool,
        report: impl Fn(&Path, &[String]) -> Result<CacheReport, CacheError>,
    ) -> Result<String, Failure> {
        let mut text = String::new();
        let mut documents = Vec::new();
        for (path, projects) in &self.0 {
            match report(path, projects).map_err(|error| failure::of_cache(&error))? {
                CacheReport::Text(part) => text.push_str(&part),
                CacheReport::Json(document) => documents.push(document),
            }
        }

        Ok(if json {
            to_json(&json!({ "schema_version": 1, "caches": documents }))
        } else {
            text
        })
    }
}

fn is_of(owner: &Owner, projects: &[String]) -> bool {
    projects
        .iter()
        .any(|project| project == owner.project.as_str())
}

/// Lists the files of a cache that belong to any of `projects`.
fn list(path: &Path, projects: &[String], as_json: bool) -> CacheReport {
    let cache = Cache::look(path);
    let files = cache.manifest().files.iter().filter_map(|(path, file)| {
        let mut users: Vec<_> = file
            .owners
            .iter()
            .filter(|owner| is_of(owner, projects))
            .map(|owner| owner.project.as_str())
            .collect();
        // A project can be an owner twice: because it published the file, and because it pulled it.
        users.dedup();
        (!users.is_empty()).then(|| (escaped(path).to_string(), file.entry.id.to_string(), users))
    });

    if as_json {
        let files: Vec<_> = files
            .map(|(path, id, users)| json!({ "path": path, "id": id, "projects": users }))
            .collect();
        return CacheReport::Json(json!({ "path": shown(path).to_string(), "files": files }));
    }
    CacheReport::Text(files.map(|(path, ..)| format!("{path}\n")).collect())
}

/// Reports the source and age of a cache's files, and the files that differ from those that were written.
fn status(
    path: &Path,
    projects: &[String],
    as_json: bool,
    context: &Context,
) -> Result<CacheReport, CacheError> {
    let cache = Cache::look(path);
    let manifest: &Manifest = cache.manifest();
    let owners: Vec<_> = manifest
        .owners
        .iter()
        .filter(|(owner, _)| is_of(owner, projects))
        .collect();
    let file_count = |owner: &Owner| {
        manifest
            .files
            .values()
            .filter(|file| file.owners.contains(owner))
            .count()
    };

    // The files that differ from the manifest.
    let conditions: Vec<_> = cache
        .conditions()?
        .into_iter()
        .filter(|(path, _)| {
            manifest.files[path]
                .owners
                .iter()
                .any(|owner| is_of(owner, projects))
        })
        .map(|(path, condition)| (escaped(&path).to_string(), condition))
        .collect();
    let paths = |wanted| {
        conditions
            .iter()
            .filter(move |(_, condition)| *condition == wanted)
            .map(|(path, _)| path)
            .collect::<Vec<_>>()
    };

    if as_json {
        let owners = owners.iter().map(|(owner, record)| {
            json!({
                "project": owner.project.as_str(),
                "reason": match owner.reason {
                    Reason::Published => "published",
                    Reason::Wanted => "brought",
                },
                "files": file_count(owner),
                "remote": record.remote,
                "branch": record.branch,
                "tip": record.tip,
                "time": record.time,
                "complete": record.complete,
            })
        });
        return Ok(CacheReport::Json(json!({
            "path": shown(path).to_string(),
            "projects": owners.collect::<Vec<_>>(),
            "changed": paths(Condition::Changed),
            "missing": paths(Condition::Missing),
        })));
    }

    let style = context.terminal.out;
    let mut text = format!("{}\n", style.strong(shown(path)));
    if owners.is_empty() {
        text.push_str("  empty\n");
    }
    for (owner, record) in owners {
        let tip = record
            .tip
            .map_or_else(|| "no commits".to_owned(), |tip| tip.short());
        let files = pluralize(file_count(owner), "file");
        let reason = match owner.reason {
            Reason::Published => "published",
            Reason::Wanted => "pulled",
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
        for path in paths(condition) {
            let _ = writeln!(text, "  {} {path}", style.warn(label));
        }
    }
    Ok(CacheReport::Text(text))
}

/// Removes the files that only belong to `projects`. Files that were modified locally are kept unless `force` is set.
fn clear(
    path: &Path,
    projects: &[String],
    force: bool,
    context: &Context,
) -> Result<Vec<Taken>, CacheError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    Cache::open(path, &context.interrupt, || {})?.clear(|owner| is_of(owner, projects), force)
}

fn clear_report(path: &Path, results: &[Taken], as_json: bool) -> CacheReport {
    let removed: usize = results.iter().map(|result| result.plan.changes.len()).sum();
    let kept: Vec<_> = results
        .iter()
        .flat_map(|result| &result.kept)
        .map(|path| escaped(path).to_string())
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
