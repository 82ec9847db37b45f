//! Checks that projects do not share directories, on this machine or in the codex.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use bstr::BString;

use super::findings::Findings;
use crate::config::tree::key_path;
use crate::config::{Configuration, Problem};
use crate::paths::{CodexPath, escaped, shown};

/// The directories of a project, also if its other settings are invalid.
pub(super) struct ProjectPlace<'p> {
    pub(super) name: &'p str,
    /// The resolved root.
    pub(super) root: &'p Path,
    /// The directory in the codex; `None` if it is invalid.
    pub(super) to: Option<&'p CodexPath>,
    pub(super) cache: &'p Path,
}

/// Reports directories of the codex that are the same for two projects, that contain each other, or
/// that only some file systems distinguish.
pub(super) fn check_destinations(
    configuration: &Configuration,
    places: &[ProjectPlace<'_>],
    findings: &mut Findings,
) {
    let mut destinations: Vec<PlaceInCodex<'_>> = places
        .iter()
        .filter_map(|place| {
            let to = place.to?;
            Some(PlaceInCodex {
                folded: to.folded_directory(),
                to,
                name: place.name,
            })
        })
        .collect();
    destinations.sort_by(|a, b| (&a.folded, a.name).cmp(&(&b.folded, b.name)));

    // Everything below a directory directly follows it, so each path is compared with the last one
    // that is not below another.
    let mut upper: Option<&PlaceInCodex<'_>> = None;
    for second in &destinations {
        let is_below =
            |above: &&PlaceInCodex<'_>| second.folded.starts_with(above.folded.as_slice());
        let Some(first) = upper.filter(is_below) else {
            upper = Some(second);
            continue;
        };

        let overlap = if first.to == second.to {
            format!("have the same directory `{}`", first.to)
        } else if first.folded == second.folded {
            format!(
                "have the directories `{}` and `{}`, which differ only in case or Unicode form",
                first.to, second.to
            )
        } else {
            format!("overlap: `{}` is inside `{}`", second.to, first.to)
        };
        let message = format!(
            "the projects `{}` and `{}` {overlap} in the codex",
            escaped(first.name.as_bytes()),
            escaped(second.name.as_bytes())
        );
        let key = ["projects", second.name, "to"];
        let at = configuration
            .origin_of(&key)
            .cloned()
            .or_else(|| configuration.project_origin(second.name));
        let problem = Problem::new(message).key(key_path(&key));
        findings.error(
            problem
                .hint("set another `to` for one of them")
                .maybe_at(at.as_ref()),
        );
    }
}

/// A directory of the codex, and the project that it belongs to.
struct PlaceInCodex<'p> {
    /// The path in the form that is the same for all spellings.
    folded: BString,
    to: &'p CodexPath,
    name: &'p str,
}

/// Reports projects with the same root, because each file belongs to one project.
pub(super) fn check_roots(
    configuration: &Configuration,
    places: &[ProjectPlace<'_>],
    findings: &mut Findings,
) {
    let mut known: HashMap<&Path, &str> = HashMap::new();
    for ProjectPlace { name, root, .. } in places {
        let Some(first) = known.get(root) else {
            known.insert(root, name);
            continue;
        };
        let message = format!(
            "the projects `{}` and `{}` have the same root: `{}`",
            escaped(first.as_bytes()),
            escaped(name.as_bytes()),
            shown(root)
        );
        let hint = "set another `root` for one of them, or leave it out with `workspace.exclude`";
        let at = configuration.project_origin(name);
        let problem = Problem::new(message)
            .key(key_path(&["projects", name, "root"]))
            .hint(hint);
        findings.error(problem.maybe_at(at.as_ref()));
    }
}

/// Reports a cache that is or contains the root of a project: it would be published, and the
/// project's files would be taken for files of the cache.
pub(super) fn check_caches(places: &[ProjectPlace<'_>], findings: &mut Findings) {
    let caches: HashSet<&Path> = places.iter().map(|place| place.cache).collect();
    for ProjectPlace { name, root, .. } in places {
        let Some(cache) = root.ancestors().find(|above| caches.contains(above)) else {
            continue;
        };
        let message = format!(
            "the cache `{}` contains the root of the project `{}`",
            shown(cache),
            escaped(name.as_bytes())
        );
        let hint = "set `cache.dir` to a directory that nothing else uses";
        findings.error(Problem::new(message).key("cache.dir").hint(hint));
    }
}
