//! Which projects the server's words about a refused push are about.

use crate::names::ProjectName;
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::workspace::Project;

/// How gitolite names a path in the words of its rules.
const GITOLITE: &str = "VREF/NAME/";

/// The projects that `words` name, by their commit or by their path in the codex. None where that is all of them: then
/// the words are about the push.
pub(super) fn named(pushed: &[(&Project, Option<ObjectId>)], words: &[String]) -> Vec<ProjectName> {
    let is_named = |(project, commit): &&(&Project, Option<ObjectId>)| {
        let place = format!("{}/", escaped(project.to.as_bstr()));
        let commit = commit.map(|id| id.to_string());
        words.iter().any(|line| {
            commit.as_ref().is_some_and(|id| line.contains(id)) || contains(line, &place)
        })
    };
    let named: Vec<_> = pushed
        .iter()
        .filter(is_named)
        .map(|(project, _)| project.name.clone())
        .collect();
    if named.len() == pushed.len() {
        Vec::new()
    } else {
        named
    }
}

/// Whether `line` contains `path`, and not as the end of a longer one.
fn contains(line: &str, path: &str) -> bool {
    let begins = |at: usize| {
        let before = &line[..at];
        if before.ends_with(GITOLITE) {
            return true;
        }
        let before = before.strip_suffix('/').unwrap_or(before);
        let last = before.chars().next_back();
        !last.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
    };
    line.match_indices(path).any(|(at, _)| begins(at))
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn a_path_is_found_as_a_whole() {
        for (line, expected) in [
            ("projects/a/", true),
            ("FATAL: W VREF/NAME/projects/a/docs/x.md acme DENIED", true),
            ("file 'projects/a/x.md' is protected", true),
            ("not allowed: /projects/a/x.md", true),
            ("other-projects/a/x.md", false),
            ("other/projects/a/x.md", false),
            ("projects/ab/x.md", false),
        ] {
            assert_eq!(contains(line, "projects/a/"), expected, "{line}");
        }
    }
}
