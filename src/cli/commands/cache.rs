//! `cache`: what the local cache holds, how it is, and emptying it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::json;

use super::{finish, to_json};
use crate::cache::{Cache, CacheError, Condition, Manifest, Owner, Reason, Taken};
use crate::cli::args::{CacheArgs, CacheCommand};
use crate::cli::failure::{self, Failure, exit};
use crate::cli::load::Context;
use crate::paths::{escaped, shown};
use crate::report::ago;
use crate::words::counted;
use crate::workspace::{Project, select};

/// Runs the command and gives its exit status.
pub(crate) fn run(command: &CacheCommand, context: &Context) -> u8 {
    let (CacheCommand::List(arguments)
    | CacheCommand::Status(arguments)
    | CacheCommand::Clear { arguments, .. }) = command;
    let json = arguments.output.is_json();
    let all_went = Cell::new(true);
    let result = chosen(arguments, context).and_then(|chosen| match command {
        CacheCommand::List(_) => chosen.each(json, |path, projects| Ok(list(path, projects, json))),
        CacheCommand::Status(_) => {
            chosen.each(json, |path, projects| status(path, projects, json, context))
        }
        CacheCommand::Clear { force, .. } => chosen.each(json, |path, projects| {
            let taken = clear(path, projects, *force, context)?;
            all_went.set(all_went.get() && taken.iter().all(|one| one.refused.is_empty()));
            Ok(cleared(path, &taken, json))
        }),
    });
    match finish(result, json, context) {
        exit::DONE if !all_went.get() => exit::SOME_FAILED,
        status => status,
    }
}

/// The chosen projects' names by the cache that they use.
struct Chosen(BTreeMap<std::path::PathBuf, Vec<String>>);

fn chosen(arguments: &CacheArgs, context: &Context) -> Result<Chosen, Failure> {
    let (_, workspace) = context.load(None, Vec::new())?;
    let projects: Vec<&Project> = if arguments.project.is_empty() {
        workspace.projects.iter().collect()
    } else {
        let directory = context.directory()?;
        select(&workspace, false, &arguments.project, &directory)
            .map_err(|e| failure::of_selection(&e))?
    };
    let mut caches: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for project in projects {
        caches
            .entry(project.cache_dir.clone())
            .or_default()
            .push(project.name.to_string());
    }
    Ok(Chosen(caches))
}

/// What is told of one cache: text for people, or a value for programs.
enum Told {
    Text(String),
    Value(serde_json::Value),
}

impl Chosen {
    fn each(
        &self,
        json: bool,
        tell: impl Fn(&Path, &[String]) -> Result<Told, CacheError>,
    ) -> Result<String, Failure> {
        let told = self
            .0
            .iter()
            .map(|(path, projects)| tell(path, projects))
            .collect::<Result<Vec<_>, _>>();
        let told = told.map_err(|error| failure::of_cache(&error))?;
        let mut text = String::new();
        let mut values = Vec::new();
        for one in told {
            match one {
                Told::Text(one) => text.push_str(&one),
                Told::Value(value) => values.push(value),
            }
        }
        Ok(if json {
            to_json(&json!({ "schema_version": 1, "caches": values }))
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

fn list(path: &Path, projects: &[String], as_json: bool) -> Told {
    let cache = Cache::look(path);
    let files = cache.manifest().files.iter().filter_map(|(path, file)| {
        let mut of: Vec<_> = file
            .owners
            .iter()
            .filter(|owner| is_of(owner, projects))
            .map(|o| o.project.as_str())
            .collect();
        of.dedup();
        (!of.is_empty()).then(|| (escaped(path).to_string(), file.entry.id.to_string(), of))
    });
    if as_json {
        let files: Vec<_> = files
            .map(|(path, id, of)| json!({ "path": path, "id": id, "projects": of }))
            .collect();
        return Told::Value(json!({ "path": shown(path).to_string(), "files": files }));
    }
    Told::Text(files.fold(String::new(), |mut text, (path, ..)| {
        let _ = writeln!(text, "{path}");
        text
    }))
}

fn status(
    path: &Path,
    projects: &[String],
    as_json: bool,
    context: &Context,
) -> Result<Told, CacheError> {
    let cache = Cache::look(path);
    let manifest: &Manifest = cache.manifest();
    let odd: Vec<_> = cache
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
    let owners: Vec<_> = manifest
        .owners
        .iter()
        .filter(|(owner, _)| is_of(owner, projects))
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
            counted(count(owner), "file"),
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

fn cleared(path: &Path, taken: &[Taken], as_json: bool) -> Told {
    let removed: usize = taken.iter().map(|one| one.plan.changes.len()).sum();
    let kept: Vec<_> = taken
        .iter()
        .flat_map(|one| &one.kept)
        .map(|path| escaped(path).to_string())
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
    let mut text = format!("{place}: {} removed\n", counted(removed, "file"));
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
