//! `cache`: what the local cache holds, how it is, and emptying it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{finish, to_json};
use crate::cache::{Cache, CacheError, Condition, Manifest, Owner, Reason, Taken};
use crate::cli::args::{CacheArgs, CacheCommand};
use crate::cli::failure::{self, Failure, exit};
use crate::cli::load::Context;
use crate::paths::{escaped, shown};
use crate::report::ago;
use crate::text::pluralize;
use crate::workspace::{Project, select};

/// Runs the command and gives its exit status.
pub(crate) fn run(command: &CacheCommand, context: &Context) -> u8 {
    let (CacheCommand::List(arguments)
    | CacheCommand::Status(arguments)
    | CacheCommand::Clear { arguments, .. }) = command;
    let json = arguments.output.is_json();
    let chosen = match chosen(arguments, context) {
        Ok(chosen) => chosen,
        Err(failure) => return finish(Err(failure), json, context),
    };

    let all_removed = Cell::new(true);
    let reports = chosen.iter().map(|chosen| match command {
        CacheCommand::List(_) => list(chosen, json),
        CacheCommand::Status(_) => status(chosen, json, context),
        CacheCommand::Clear { force, .. } => {
            let taken = clear(chosen, *force, context)?;
            all_removed.set(all_removed.get() && taken.iter().all(|one| one.refused.is_empty()));
            Ok(cleared(&chosen.path, &taken, json))
        }
    });
    let status = finish_each(reports, &chosen, json, context);
    if status == exit::DONE && !all_removed.get() {
        exit::SOME_FAILED
    } else {
        status
    }
}

/// A cache, and whose files in it a command is about.
struct Chosen {
    path: PathBuf,
    /// Names of projects.
    projects: Vec<String>,
    /// All projects that the cache has files of, also those that the configuration no longer has.
    all: bool,
}

impl Chosen {
    fn includes(&self, owner: &Owner) -> bool {
        self.all
            || self
                .projects
                .iter()
                .any(|project| project == owner.project.as_str())
    }
}

fn chosen(arguments: &CacheArgs, context: &Context) -> Result<Vec<Chosen>, Failure> {
    let (_, workspace) = context.load(None, Vec::new())?;
    let everything = arguments.project.is_empty();
    let projects: Vec<&Project> = if everything {
        workspace.projects.iter().collect()
    } else {
        let directory = context.directory()?;
        select(&workspace, false, &arguments.project, &directory)
            .map_err(|e| failure::of_selection(&e))?
    };

    let mut caches: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
    for project in projects {
        caches
            .entry(&project.cache_dir)
            .or_default()
            .push(project.name.to_string());
    }
    // Files may be left in the workspace's own cache though no project uses it any more.
    if everything && workspace.owns_cache(&workspace.cache_dir) && workspace.cache_dir.exists() {
        caches.entry(&workspace.cache_dir).or_default();
    }
    let chosen = |(path, projects): (&Path, _)| Chosen {
        path: path.to_owned(),
        projects,
        all: everything && workspace.owns_cache(path),
    };
    Ok(caches.into_iter().map(chosen).collect())
}

/// What is reported of one cache: text for people, or a value for programs.
enum Told {
    Text(String),
    Value(serde_json::Value),
}

/// Prints a report of each cache. An error of one does not hide what was done to the others: it follows their reports, and
/// in JSON it is the `error` of its cache.
fn finish_each(
    reports: impl Iterator<Item = Result<Told, CacheError>>,
    chosen: &[Chosen],
    json: bool,
    context: &Context,
) -> u8 {
    let mut text = String::new();
    let mut values = Vec::new();
    let mut failures = Vec::new();
    for (report, chosen) in reports.zip(chosen) {
        match report {
            Ok(Told::Text(one)) => text.push_str(&one),
            Ok(Told::Value(value)) => values.push(value),
            Err(error) => {
                let failure = failure::of_cache(&error);
                values.push(json!({
                    "path": shown(&chosen.path).to_string(),
                    "error": failure.report,
                }));
                failures.push(failure);
            }
        }
    }

    let exit = failures.first().map_or(exit::DONE, |failure| failure.exit);
    if json && failures.len() == chosen.len() && !failures.is_empty() {
        return finish(Err(failures.remove(0)), json, context);
    }
    if json {
        text = to_json(&json!({ "schema_version": 1, "caches": values }));
    }
    if !text.is_empty() {
        context.terminal.result(&text);
    }
    for failure in &failures {
        if json {
            context.terminal.annotate(None, &failure.report);
        } else {
            context.terminal.error(None, &failure.report);
        }
    }
    exit
}

fn list(chosen: &Chosen, as_json: bool) -> Result<Told, CacheError> {
    let cache = Cache::look(&chosen.path)?;
    let files = cache.manifest().files.iter().filter_map(|(path, file)| {
        let mut of: Vec<_> = file
            .owners
            .iter()
            .filter(|owner| chosen.includes(owner))
            .map(|o| o.project.as_str())
            .collect();
        of.dedup();
        (!of.is_empty()).then(|| (escaped(path).to_string(), file.entry.id.to_string(), of))
    });
    if as_json {
        let files: Vec<_> = files
            .map(|(path, id, of)| json!({ "path": path, "id": id, "projects": of }))
            .collect();
        return Ok(Told::Value(
            json!({ "path": shown(&chosen.path).to_string(), "files": files }),
        ));
    }
    Ok(Told::Text(files.fold(
        String::new(),
        |mut text, (path, ..)| {
            let _ = writeln!(text, "{path}");
            text
        },
    )))
}

fn status(chosen: &Chosen, as_json: bool, context: &Context) -> Result<Told, CacheError> {
    let path = &chosen.path;
    let cache = Cache::look(path)?;
    let manifest: &Manifest = cache.manifest();
    let odd: Vec<_> = cache
        .conditions()?
        .into_iter()
        .filter(|(path, _)| {
            manifest.files[path]
                .owners
                .iter()
                .any(|owner| chosen.includes(owner))
        })
        .map(|(path, condition)| (escaped(&path).to_string(), condition))
        .collect();
    let owners: Vec<_> = manifest
        .owners
        .iter()
        .filter(|(owner, _)| chosen.includes(owner))
        .collect();
    let count = |owner: &Owner| {
        manifest
            .files
            .values()
            .filter(|file| file.owners.contains(owner))
            .count()
    };
    let named = |condition| {
        odd.iter()
            .filter(move |(_, c)| *c == condition)
            .map(|(path, _)| path)
            .collect::<Vec<_>>()
    };
    if as_json {
        let owners = owners.iter().map(|(owner, asked)| {
            json!({
                "project": owner.project.as_str(), "reason": reason(owner.reason), "files": count(owner),
                "remote": asked.remote, "branch": asked.branch, "tip": asked.tip, "time": asked.time,
                "complete": asked.complete,
            })
        });
        return Ok(Told::Value(json!({
            "path": shown(path).to_string(), "projects": owners.collect::<Vec<_>>(),
            "changed": named(Condition::Changed), "missing": named(Condition::Missing),
        })));
    }
    let style = context.terminal.out;
    let mut text = format!("{}\n", style.strong(shown(path)));
    if owners.is_empty() {
        text.push_str("  empty\n");
    }
    for (owner, asked) in owners {
        let tip = asked
            .tip
            .map_or_else(|| "no commits".to_owned(), |tip| tip.short());
        let (why, files, when) = (
            reason(owner.reason),
            pluralize(count(owner), "file"),
            ago(context.now().saturating_sub(asked.time)),
        );
        let partly = if asked.complete { "" } else { ", incomplete" };
        let _ = writeln!(
            text,
            "  {}: {files} {why}, of `{}` at {tip}, {when}{partly}",
            owner.project,
            escaped(asked.branch.as_bytes())
        );
    }
    for (condition, label) in [
        (Condition::Changed, "changed by hand"),
        (Condition::Missing, "missing"),
    ] {
        for path in named(condition) {
            let _ = writeln!(text, "  {} {path}", style.warn(label));
        }
    }
    Ok(Told::Text(text))
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Published => "published",
        Reason::Wanted => "brought",
    }
}

fn clear(chosen: &Chosen, force: bool, context: &Context) -> Result<Vec<Taken>, CacheError> {
    if !chosen.path.exists() {
        return Ok(Vec::new());
    }
    let mut cache = Cache::open(&chosen.path, &context.interrupt, || {})?;
    cache.clear(|owner| chosen.includes(owner), force)
}

fn cleared(path: &Path, taken: &[Taken], as_json: bool) -> Told {
    let removed: usize = taken.iter().map(|one| one.plan.changes.len()).sum();
    let kept: Vec<_> = taken
        .iter()
        .flat_map(|one| &one.kept)
        .map(|(path, _)| escaped(path).to_string())
        .collect();
    let refused = taken
        .iter()
        .flat_map(|one| &one.refused)
        .map(|(path, why)| (escaped(path).to_string(), why));
    let place = shown(path).to_string();
    if as_json {
        let failed: Vec<_> = refused
            .map(|(path, why)| json!({ "path": path, "error": why }))
            .collect();
        return Told::Value(
            json!({ "path": place, "removed": removed, "kept": kept, "failed": failed }),
        );
    }
    let mut text = format!("{place}: {} removed\n", pluralize(removed, "file"));
    for path in kept {
        let _ = writeln!(
            text,
            "  kept {path}: it was changed by hand; `--force` removes it too"
        );
    }
    for (path, why) in refused {
        let _ = writeln!(text, "  {path} cannot be removed: {why}");
    }
    Told::Text(text)
}
