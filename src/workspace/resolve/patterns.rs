//! The patterns of all layers, checked where they stand, and the forms in which `from_codex` may be written.

use crate::config::Problem;
use crate::config::tree::{Node, key_path};
use crate::glob::{self, Glob};
use crate::workspace::claims::{ClaimPatterns, Claims, InvalidPattern, MappingPatterns};
use crate::workspace::project::SCHEME;
use crate::workspace::resolve::Resolver;
use crate::workspace::template::{self, Unfilled, Values};

impl<'c> Resolver<'c> {
    /// Checks every glob under `sync.to_codex` of every layer, the overridden ones as well.
    pub(super) fn check_patterns(&mut self) {
        let configuration = self.configuration;
        for layer in configuration.layers.iter() {
            let projects = layer
                .tree
                .get(&["projects"])
                .and_then(Node::as_map)
                .into_iter()
                .flatten();
            let own = projects.map(|(name, _)| vec!["projects".to_owned(), name.clone()]);
            for parent in std::iter::once(Vec::new()).chain(own) {
                for list in [["to_codex", "include"], ["to_codex", "exclude"]] {
                    let path: Vec<String> = parent
                        .iter()
                        .cloned()
                        .chain(["sync"].iter().chain(&list).map(|s| (*s).to_owned()))
                        .collect();
                    for node in layer.tree.get(&path).into_iter().flat_map(Node::elements) {
                        self.check_glob(&key_path(&path), node);
                    }
                }
            }
        }
    }

    fn check_glob(&mut self, key: &str, node: &Node) {
        if let Err(error) = Glob::new(node.as_text().unwrap_or_default()) {
            self.wrong(
                Problem::new(format!("`{key}`: {error}"))
                    .key(key)
                    .at(&node.at),
            );
        }
    }

    /// The mappings of a project, checked.
    pub(super) fn mappings(&mut self, name: &str, values: &Values<'_>) -> Vec<MappingPatterns> {
        let raw = self
            .configuration
            .raw
            .projects
            .get(name)
            .and_then(|project| project.mappings.clone());
        let mut mappings = Vec::new();
        // The numbers are those of the file, where some of its mappings may have been told and taken out already.
        let list = self
            .configuration
            .layers
            .list(&["projects", name, "mappings"])
            .and_then(Node::as_list);
        let there = list
            .into_iter()
            .flatten()
            .enumerate()
            .filter(|(_, element)| element.is_something());
        for ((number, _), mapping) in there.zip(raw.unwrap_or_default()) {
            let number = number.to_string();
            let path = ["projects", name, "mappings", number.as_str()];
            let to = match template::fill(&mapping.to, values) {
                Ok(to) => to,
                Err(unfilled) => {
                    let path = [path.as_slice(), &["to"]].concat();
                    let problem = self.at(&path, template::problem(&key_path(&path), unfilled));
                    self.wrong(problem);
                    continue;
                }
            };
            let mapping = MappingPatterns {
                from: mapping.from,
                to,
                exclude: mapping.exclude,
            };
            let alone = ClaimPatterns {
                mappings: vec![mapping.clone()],
                ..ClaimPatterns::default()
            };
            for error in Claims::new(alone).err().unwrap_or_default() {
                let leaf = match &error {
                    InvalidPattern::Destination { .. } => "to",
                    _ if Glob::new(&mapping.from).is_err() => "from",
                    _ => "exclude",
                };
                let path = [path.as_slice(), &[leaf]].concat();
                let key = key_path(&path);
                let problem = self.at(&path, Problem::new(format!("`{key}`: {error}")).key(key));
                self.wrong(problem);
            }
            mappings.push(mapping);
        }
        mappings
    }

    /// The patterns of `from_codex.include` that count for the project, in today's form, placeholders replaced.
    pub(super) fn codex_patterns(&mut self, name: &str, values: &Values<'_>) -> Vec<String> {
        let mut patterns = Vec::new();
        let path = ["projects", name, "sync", "from_codex", "include"];
        let list = self.configuration.layers.list(&path);
        for node in list.into_iter().flat_map(Node::elements) {
            let key = "sync.from_codex.include";
            let written = node.as_text().unwrap_or_default();
            let modern = modern(written);
            if let Some(modern) = &modern {
                let problem = Problem::new(format!(
                    "`{key}`: `{written}` is an older form of `{modern}`"
                ));
                self.warnings.push(
                    problem
                        .key(key)
                        .at(&node.at)
                        .hint(format!("write `{modern}`")),
                );
            }
            patterns.extend(self.filled(
                key,
                modern.as_deref().unwrap_or(written),
                node,
                values,
                checked,
            ));
        }
        patterns
    }

    /// The patterns of `from_codex.exclude`, of all layers, placeholders replaced.
    pub(super) fn codex_excludes(&mut self, name: &str, values: &Values<'_>) -> Vec<String> {
        let path = ["projects", name, "sync", "from_codex", "exclude"];
        let nodes: Vec<&'c Node> = self.configuration.layers.combined_list(&path).collect();
        let check = |filled: &str| {
            let is_plain = !filled.contains("://");
            if is_plain {
                in_any_project("*", filled)
            } else {
                checked(filled)
            }
        };
        let mut patterns = Vec::new();
        for node in nodes {
            let written = node.as_text().unwrap_or_default();
            patterns.extend(self.filled("sync.from_codex.exclude", written, node, values, check));
        }
        patterns
    }

    /// A pattern with its placeholders replaced, if it passes `check`.
    fn filled(
        &mut self,
        key: &str,
        pattern: &str,
        node: &Node,
        values: &Values<'_>,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Option<String> {
        match template::fill(pattern, values) {
            Ok(filled) => match check(&filled) {
                Ok(()) => return Some(filled),
                Err(reason) => self.wrong(
                    Problem::new(format!("`{key}`: {reason}"))
                        .key(key)
                        .at(&node.at),
                ),
            },
            Err(unfilled @ Unfilled::Unknown { .. }) => {
                self.wrong(template::problem(key, unfilled).at(&node.at))
            }
            // A pattern about something that is not there matches nothing.
            Err(unfilled) => self
                .warnings
                .push(template::problem(key, unfilled).at(&node.at)),
        }
        None
    }
}

/// An older form of a `from_codex` pattern in today's, or `None` if it is today's.
fn modern(pattern: &str) -> Option<String> {
    if pattern.contains("://") || pattern.is_empty() {
        return None;
    }
    if let Some(rest) = pattern
        .strip_prefix("projects/")
        .filter(|rest| !rest.is_empty())
    {
        return Some(format!("{SCHEME}{{org}}/{rest}"));
    }
    // The older tool takes a first directory with a dot in it for a project's name; `.fractary` is none.
    let first = pattern.split_once('/').map(|(first, _)| first);
    let is_project = first.is_some_and(|first| {
        let placeholder = matches!(first, "{project}" | "{codex_repo}");
        placeholder || (!first.starts_with('.') && first.contains('.') && !glob::is_pattern(first))
    });
    Some(if is_project {
        format!("{SCHEME}{{org}}/{pattern}")
    } else {
        format!("{SCHEME}{{org}}/{{project}}/{pattern}")
    })
}

/// Whether a pattern of the codex can be used: `codex://ORG/PROJECT`, and a glob behind it if it likes.
fn checked(pattern: &str) -> Result<(), String> {
    let shown = || crate::paths::escaped(pattern.as_bytes()).to_string();
    let rest = pattern.strip_prefix(SCHEME).unwrap_or_default();
    let mut parts = rest.splitn(3, '/');
    let (organization, project) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    if organization.is_empty() || project.is_empty() {
        return Err(format!(
            "`{}`: expected `codex://ORGANIZATION/PROJECT/PATH`",
            shown()
        ));
    }
    let path = parts.next().filter(|path| !path.is_empty());
    for glob in [organization, project].into_iter().chain(path) {
        Glob::new(glob).map_err(|error| error.to_string())?;
    }
    in_any_project(project, path.unwrap_or("**"))
}

/// Checks a pattern that is valid by itself together with the one for the project: both may be long.
fn in_any_project(project: &str, pattern: &str) -> Result<(), String> {
    Glob::new(pattern)
        .and_then(|_| Glob::new(&format!("{project}/{}", glob::without_dot(pattern))))
        .map(drop)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_forms_have_one_meaning_each() {
        for (older, today) in [
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
            assert_eq!(modern(older).as_deref(), today, "{older}");
        }
    }

    #[test]
    fn patterns_of_the_codex_name_organization_and_project() {
        for good in [
            "codex://a/b",
            "codex://a/b/",
            "codex://a/b/docs/**",
            "codex://a/b.c/*.{md,txt}",
        ] {
            assert_eq!(checked(good), Ok(()), "{good}");
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
            assert!(checked(bad).is_err(), "{bad}");
        }
    }
}
