//! Resolves the patterns of the files that a project publishes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::findings::Findings;
use crate::config::layers::with_default;
use crate::config::tree::{Map, Node, key_path};
use crate::config::{Configuration, LayerKind, Problem};
use crate::glob::Glob;
use crate::workspace::claims::{
    ClaimPatterns, Claims, IncludeOrigin, InvalidPattern, MappingPatterns,
};
use crate::workspace::template::{self, Values};

/// Reports the invalid globs below `sync.to_codex` in all layers, also the overridden ones.
pub(super) fn check(configuration: &Configuration, findings: &mut Findings) {
    for layer in configuration.layers.iter() {
        let projects = layer.tree.get(&["projects"]).and_then(Node::as_map);
        let names = projects.into_iter().flat_map(Map::keys);
        let of_projects = names.map(|name| vec!["projects", name.as_str()]);
        for parent in std::iter::once(Vec::new()).chain(of_projects) {
            for list in ["include", "exclude", "branches"] {
                let path = [parent.as_slice(), &["sync", "to_codex", list]].concat();
                let elements = layer.tree.get(&path).into_iter().flat_map(Node::elements);
                for node in elements {
                    check_glob(&key_path(&path), node, findings);
                }
            }
        }
    }
}

fn check_glob(key: &str, node: &Node, findings: &mut Findings) {
    if let Err(error) = Glob::new(node.as_text().unwrap_or_default()) {
        let problem = Problem::new(format!("`{key}`: {error}")).key(key);
        let hint = error.hint(key.ends_with("exclude"));
        findings.error(problem.at(&node.at).maybe_hint(hint.map(str::to_owned)));
    }
}

/// The patterns of a project before they are compiled.
pub(super) fn resolve(
    configuration: &Configuration,
    name: &str,
    values: &Values<'_>,
    findings: &mut Findings,
) -> ClaimPatterns {
    let sync = configuration.project_sync(name);
    let mappings = mappings(configuration, name, values, findings);

    let path = ["projects", name, "sync", "to_codex", "include"];
    let include_in_effect = configuration.layers.candidates(&path).first().copied();
    let include_origin = match include_in_effect {
        Some(include) if include.is_of_project => IncludeOrigin::Project,
        Some(include) if include.layer != LayerKind::Defaults => IncludeOrigin::AllProjects,
        _ => IncludeOrigin::Defaults,
    };
    // An include for all projects does not apply to a project with mappings, unless it is a flag.
    let has_own_include = include_in_effect
        .is_some_and(|include| include.is_of_project || include.layer == LayerKind::Flags);
    let include = if mappings.is_empty() || has_own_include {
        with_default(sync.to_codex.include, "sync.to_codex.include")
    } else {
        Vec::new()
    };

    ClaimPatterns {
        include,
        include_origin,
        exclude: sync.to_codex.exclude.unwrap_or_default(),
        mappings,
        default_excludes: with_default(sync.default_excludes, "sync.default_excludes"),
    }
}

/// The mappings of a project, with placeholders replaced. Reports the invalid ones.
fn mappings(
    configuration: &Configuration,
    name: &str,
    values: &Values<'_>,
    findings: &mut Findings,
) -> Vec<MappingPatterns> {
    let project = configuration.raw.projects.get(name);
    let mappings = project.and_then(|project| project.mappings.clone());
    // In the file, invalid mappings that were removed still have an index.
    let list = configuration.layers.list(&["projects", name, "mappings"]);
    let indexes = list
        .and_then(Node::as_list)
        .into_iter()
        .flatten()
        .enumerate()
        .filter(|(_, element)| element.is_something())
        .map(|(index, _)| index.to_string());

    let mut resolved = Vec::new();
    for (index, mapping) in indexes.zip(mappings.unwrap_or_default()) {
        let path = ["projects", name, "mappings", index.as_str()];
        let to = match template::fill(&mapping.to, values) {
            Ok(to) => to,
            Err(unfilled) => {
                let to_path = [path.as_slice(), &["to"]].concat();
                let problem = template::problem(&key_path(&to_path), unfilled);
                findings.error(problem.maybe_at(configuration.origin_of(&to_path)));
                // The rest of the mapping is checked all the same.
                "unknown".to_owned()
            }
        };
        let mapping = MappingPatterns {
            from: mapping.from,
            to,
            exclude: mapping.exclude,
        };
        check_mapping(configuration, &path, &mapping, findings);
        resolved.push(mapping);
    }
    resolved
}

/// Reports the invalid parts of the mapping at `path`.
fn check_mapping(
    configuration: &Configuration,
    path: &[&str],
    mapping: &MappingPatterns,
    findings: &mut Findings,
) {
    let alone = ClaimPatterns {
        mappings: vec![mapping.clone()],
        ..ClaimPatterns::default()
    };
    for error in Claims::new(alone).err().unwrap_or_default() {
        let (leaf, hint) = match &error {
            InvalidPattern::Destination { .. } => ("to", None),
            InvalidPattern::Glob(glob) if Glob::new(&mapping.from).is_err() => {
                ("from", glob.hint(false))
            }
            InvalidPattern::Glob(glob) => ("exclude", glob.hint(true)),
        };
        let path = [path, &[leaf]].concat();
        let key = key_path(&path);
        let problem = Problem::new(format!("`{key}`: {error}"))
            .key(key)
            .maybe_hint(hint.map(str::to_owned));
        findings.error(problem.maybe_at(configuration.origin_of(&path)));
    }
}

/// Compiles the patterns of all projects. Equal patterns are compiled once, because most projects
/// have no patterns of their own.
pub(super) fn compile(
    patterns: &[ClaimPatterns],
) -> HashMap<&ClaimPatterns, Result<Arc<Claims>, Vec<InvalidPattern>>> {
    let distinct: HashSet<&ClaimPatterns> = patterns.iter().collect();
    distinct
        .into_par_iter()
        .map(|patterns| (patterns, Claims::new(patterns.clone()).map(Arc::new)))
        .collect()
}
