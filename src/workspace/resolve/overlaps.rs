//! Checks that projects do not share directories, on this machine or in the codex.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use bstr::BString;

use super::findings::Findings;
use crate::config::tree::key_path;
use crate::config::{Configuration, Problem};
use crate::paths::shown;
use crate::workspace::project::Project;

/// Reports directories of the codex that are the same for two projects, that contain each other, or
/// that only some file systems distinguish.
pub(super) fn check_destinations(
    configuration: &Configuration,
    projects: &[Project],
    findings: &mut Findings,
) {
    let mut destinations: Vec<(BString, &Project)> = projects
        .iter()
        .map(|project| (project.to.folded_directory(), project))
        .collect();
    destinations.sort_by(|a, b| (&a.0, &a.1.name).cmp(&(&b.0, &b.1.name)));

    // Everything below a directory directly follows it, so each path is compared with the last one
    // that is not below another.
    let mut upper: Option<&(BString, &Project)> = None;
    for destination in &destinations {
        let (path, second) = destination;
        let Some((above, first)) = upper.filter(|(above, _)| path.starts_with(above.as_slice()))
        else {
            upper = Some(destination);
            continue;
        };

        let overlap = if first.to == second.to {
            format!("have the same directory `{}`", first.to)
        } else if above == path {
            format!(
                "have the directories `{}` and `{}`, which differ only in case or Unicode form",
                first.to, second.to
            )
        } else {
            format!("overlap: `{}` is inside `{}`", second.to, first.to)
        };
        let message = format!(
            "the projects `{}` and `{}` {overlap} in the codex",
            first.name, second.name
        );
        let key = ["projects", second.name.as_str(), "to"];
        let at = configuration
            .origin_of(&key)
            .cloned()
            .or_else(|| configuration.project_origin(second.name.as_str()));
        let problem = Problem::new(message).key(key_path(&key));
        findings.error(
            problem
                .hint("set another `to` for one of them")
                .maybe_at(at.as_ref()),
        );
    }
}

/// Reports projects with the same root, because each file belongs to one project. `roots` are the
/// resolved roots.
pub(super) fn check_roots(
    configuration: &Configuration,
    projects: &[Project],
    roots: &[PathBuf],
    findings: &mut Findings,
) {
    let mut known: HashMap<&Path, &Project> = HashMap::new();
    for (project, root) in projects.iter().zip(roots) {
        let Some(first) = known.get(root.as_path()) else {
            known.insert(root, project);
            continue;
        };
        let message = format!(
            "the projects `{}` and `{}` have the same root: `{}`",
            first.name,
            project.name,
            shown(root)
        );
        let hint = "set another `root` for one of them, or leave it out with `workspace.exclude`";
        let at = configuration.project_origin(project.name.as_str());
        let problem = Problem::new(message)
            .key(key_path(&["projects", project.name.as_str(), "root"]))
            .hint(hint);
        findings.error(problem.maybe_at(at.as_ref()));
    }
}

/// Reports a cache that is or contains the root of a project: it would be published, and the
/// project's files would be taken for files of the cache.
pub(super) fn check_caches(projects: &[Project], roots: &[PathBuf], findings: &mut Findings) {
    let caches: HashSet<&Path> = projects.iter().map(|p| p.cache_dir.as_path()).collect();
    for (project, root) in projects.iter().zip(roots) {
        let Some(cache) = root.ancestors().find(|above| caches.contains(above)) else {
            continue;
        };
        let message = format!(
            "the cache `{}` contains the root of the project `{}`",
            shown(cache),
            project.name
        );
        let hint = "set `cache.dir` to a directory that nothing else uses";
        findings.error(Problem::new(message).key("cache.dir").hint(hint));
    }
}
