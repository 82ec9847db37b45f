//! Finds patterns that publish nothing: they match no file, or they name files that a default
//! exclude leaves out.

use std::collections::BTreeMap;

use crate::config::tree::key_path;
use crate::paths::escaped;
use crate::workspace::Project;
use crate::workspace::claims::IncludeOrigin;

/// A pattern that publishes nothing.
#[derive(Debug, Clone)]
pub(crate) struct UselessPattern<'p> {
    /// The project; `None` for a pattern that several projects share.
    pub project: Option<&'p Project>,
    /// The key, the pattern and the reason.
    pub message: String,
}

/// Finds the useless patterns of projects. Each project comes with the indexes of its rules that
/// match no file. A pattern that several projects share is useful if it matches in one of them, and
/// the default patterns are always useful.
pub(crate) fn useless_patterns<'p>(
    surveyed: &[(&'p Project, &[usize])],
) -> Vec<UselessPattern<'p>> {
    // The messages, in the order of projects and rules.
    let mut order: Vec<String> = Vec::new();
    // For each message, the projects that have the pattern, and whether it is useless in all of
    // them.
    let mut shared: BTreeMap<String, (Vec<&Project>, bool)> = BTreeMap::new();
    for (project, unmatched) in surveyed {
        for number in project.claims.rules() {
            let Some(key) = key_of(project, number) else {
                continue;
            };
            let pattern = escaped(project.claims.pattern(number).as_bytes()).to_string();
            let excluded_by = project.claims.default_exclude_of(number);
            let message = match excluded_by {
                Some(exclude) => format!(
                    "`{key}`: `{pattern}` names files that the default exclude `{exclude}` leaves out (`sync.default_excludes: false` turns it off)"
                ),
                None => format!("`{key}`: `{pattern}` matches no file"),
            };
            let (projects, useless) = shared.entry(message.clone()).or_insert_with(|| {
                order.push(message);
                (Vec::new(), true)
            });
            projects.push(project);
            *useless &= excluded_by.is_some() || unmatched.contains(&number);
        }
    }

    order
        .into_iter()
        .filter_map(|message| {
            let (projects, useless) = &shared[&message];
            let project = match projects.as_slice() {
                [project] => Some(*project),
                _ => None,
            };
            useless.then_some(UselessPattern { project, message })
        })
        .collect()
}

/// The configuration key of the rule with index `number`; `None` for a default pattern.
fn key_of(project: &Project, number: usize) -> Option<String> {
    let patterns = project.claims.patterns();
    let name = project.name.as_str();
    Some(match number.checked_sub(patterns.include.len()) {
        Some(mapping) => key_path(&["projects", name, "mappings", &mapping.to_string(), "from"]),
        None => match patterns.include_origin {
            IncludeOrigin::Defaults => return None,
            IncludeOrigin::AllProjects => "sync.to_codex.include".to_owned(),
            IncludeOrigin::Project => key_path(&["projects", name, "sync", "to_codex", "include"]),
        },
    })
}
