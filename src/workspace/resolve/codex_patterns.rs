//! Resolves the patterns of the files that a project pulls.

use super::findings::Findings;
use crate::config::tree::Node;
use crate::config::{Configuration, Location, Problem};
use crate::glob::{self, Glob};
use crate::paths::escaped;
use crate::workspace::project::SCHEME;
use crate::workspace::template::{self, Unfilled, Values};

const INCLUDE: &str = "sync.from_codex.include";
const EXCLUDE: &str = "sync.from_codex.exclude";

/// The includes of a project, in the current form and with placeholders replaced.
pub(super) fn includes(
    configuration: &Configuration,
    name: &str,
    values: &Values<'_>,
    findings: &mut Findings,
) -> Vec<String> {
    let list = configuration
        .layers
        .list(&["projects", name, "sync", "from_codex", "include"]);
    let mut patterns = Vec::new();
    for node in list.into_iter().flat_map(Node::elements) {
        let written = node.as_text().unwrap_or_default();
        let current = current_form(written);
        if let Some(current) = &current {
            let message = format!("`{INCLUDE}`: `{written}` is an older form of `{current}`");
            let problem = Problem::new(message).key(INCLUDE).at(&node.at);
            findings.warn(problem.hint(format!("write `{current}`")));
        }

        let pattern = current.as_deref().unwrap_or(written);
        let check = |filled: &str| check_codex_pattern(configuration, filled);
        patterns.extend(fill(INCLUDE, pattern, node, values, check, findings));
    }
    patterns
}

/// The excludes of a project from all layers, with placeholders replaced.
pub(super) fn excludes(
    configuration: &Configuration,
    name: &str,
    values: &Values<'_>,
    findings: &mut Findings,
) -> Vec<String> {
    let path = ["projects", name, "sync", "from_codex", "exclude"];
    let check = |filled: &str| {
        if filled.contains("://") {
            check_codex_pattern(configuration, filled)
        } else {
            check_below_project("*", filled, true)
        }
    };
    let mut patterns = Vec::new();
    for node in configuration.layers.combined_list(&path) {
        let written = node.as_text().unwrap_or_default();
        patterns.extend(fill(EXCLUDE, written, node, values, check, findings));
    }
    patterns
}

/// An error about a pattern, with a hint.
pub(in crate::workspace) struct Rejected {
    pub(in crate::workspace) reason: String,
    pub(in crate::workspace) hint: Option<String>,
}

impl Rejected {
    fn by_glob(error: &glob::InvalidGlob, is_exclude: bool) -> Self {
        Self {
            reason: error.to_string(),
            hint: error.hint(is_exclude).map(str::to_owned),
        }
    }
}

/// Replaces the placeholders of a pattern. Returns `None` and reports the reason if that is not
/// possible, or if `check` rejects the result.
fn fill(
    key: &str,
    pattern: &str,
    node: &Node,
    values: &Values<'_>,
    check: impl Fn(&str) -> Result<(), Rejected>,
    findings: &mut Findings,
) -> Option<String> {
    match template::fill(pattern, values) {
        Ok(filled) => match check(&filled) {
            Ok(()) => return Some(filled),
            Err(Rejected { reason, hint }) => {
                let problem = Problem::new(format!("`{key}`: {reason}")).key(key);
                findings.error(problem.at(&node.at).maybe_hint(hint));
            }
        },
        Err(unfilled @ Unfilled::Unknown { .. }) => {
            findings.error(template::problem(key, unfilled).at(&node.at));
        }
        // The pattern would match nothing.
        Err(unfilled) => findings.warn(template::problem(key, unfilled).at(&node.at)),
    }
    None
}

/// Converts an older form of an include to the current form; `None` if it has the current form
/// already.
fn current_form(pattern: &str) -> Option<String> {
    if pattern.contains("://") || pattern.is_empty() {
        return None;
    }
    if let Some(rest) = pattern
        .strip_prefix("projects/")
        .filter(|rest| !rest.is_empty())
    {
        return Some(format!("{SCHEME}{{org}}/{rest}"));
    }

    // In the older tool, a first directory with a dot in its name is a project. A hidden directory
    // is not.
    let first = pattern.split_once('/').map(|(first, _)| first);
    let is_project = first.is_some_and(|first| {
        let is_placeholder = matches!(first, "{project}" | "{codex_repo}");
        let has_dot = !first.starts_with('.') && first.contains('.');
        is_placeholder || (has_dot && !glob::is_pattern(first))
    });
    Some(if is_project {
        format!("{SCHEME}{{org}}/{pattern}")
    } else {
        format!("{SCHEME}{{org}}/{{project}}/{pattern}")
    })
}

/// Checks a pattern `codex://ORG/PROJECT/PATH`.
pub(in crate::workspace) fn check_codex_pattern(
    configuration: &Configuration,
    pattern: &str,
) -> Result<(), Rejected> {
    let organization = check_syntax(pattern)?;
    check_organization(configuration, pattern, organization)
}

/// Checks the syntax of a pattern `codex://ORG/PROJECT/PATH`, in which `PATH` is optional, and
/// returns `ORG`.
fn check_syntax(pattern: &str) -> Result<&str, Rejected> {
    let rest = pattern.strip_prefix(SCHEME).unwrap_or_default();
    let mut parts = rest.splitn(3, '/');
    let organization = parts.next().unwrap_or_default();
    let project = parts.next().unwrap_or_default();
    if organization.is_empty() || project.is_empty() {
        return Err(Rejected {
            reason: format!(
                "`{}`: expected `codex://ORGANIZATION/PROJECT/PATH`",
                escaped(pattern.as_bytes())
            ),
            hint: None,
        });
    }

    let path = parts.next().filter(|path| !path.is_empty());
    for glob in [organization, project].into_iter().chain(path) {
        Glob::new(glob).map_err(|error| Rejected::by_glob(&error, false))?;
    }
    check_below_project(project, path.unwrap_or("**"), false)?;
    Ok(organization)
}

/// Rejects a pattern of another organization than the configured one: its codex is not available. A
/// detected organization is not compared, because that of a fork is its owner's.
fn check_organization(
    configuration: &Configuration,
    pattern: &str,
    organization: &str,
) -> Result<(), Rejected> {
    let Some(own) = &configuration.raw.organization else {
        return Ok(());
    };
    let origin = configuration.origin_of(&["organization"]);
    let is_detected = origin.is_some_and(|at| at.source.location == Location::Detected);
    // Hosting services ignore the case of organizations.
    let glob = Glob::new(&organization.to_lowercase());
    let is_own = glob.is_ok_and(|glob| glob.matches(own.to_lowercase().as_bytes()));
    if is_detected || is_own {
        return Ok(());
    }
    Err(Rejected {
        reason: format!(
            "`{}` is for the organization `{}`, but the codex belongs to `{}`",
            escaped(pattern.as_bytes()),
            escaped(organization.as_bytes()),
            escaped(own.as_bytes())
        ),
        hint: Some("write `codex://{org}/…`".to_owned()),
    })
}

/// Checks a pattern on its own and below a project: together, the two can be too long.
fn check_below_project(project: &str, pattern: &str, is_exclude: bool) -> Result<(), Rejected> {
    Glob::new(pattern)
        .and_then(|_| Glob::new(&format!("{project}/{}", glob::without_dot(pattern))))
        .map(drop)
        .map_err(|error| Rejected::by_glob(&error, is_exclude))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_older_form_has_one_meaning() {
        for (older, current) in [
            ("projects/core/docs/**", Some("codex://{org}/core/docs/**")),
            (
                "codex.acme.com/docs/**",
                Some("codex://{org}/codex.acme.com/docs/**"),
            ),
            ("docs/**", Some("codex://{org}/{project}/docs/**")),
            ("README.md", Some("codex://{org}/{project}/README.md")),
            (
                ".fractary/codex/**",
                Some("codex://{org}/{project}/.fractary/codex/**"),
            ),
            ("codex://{org}/core/docs/**", None),
        ] {
            assert_eq!(current_form(older).as_deref(), current, "{older}");
        }
    }

    #[test]
    fn codex_patterns_name_organization_and_project() {
        for good in [
            "codex://a/b",
            "codex://a/b/",
            "codex://a/b/docs/**",
            "codex://a/b.c/*.{md,txt}",
        ] {
            assert_eq!(check_syntax(good).ok(), Some("a"), "{good}");
        }
        for bad in [
            "codex://",
            "codex://a",
            "codex:///b/x",
            "codex://a/b/../c",
            "codex://a/b/[",
            "codex://a/../x",
            "http://a/b",
            "CODEX://a/b",
        ] {
            assert!(check_syntax(bad).is_err(), "{bad}");
        }
    }
}
