//! The older tool's routing: a Markdown file says in its frontmatter which projects get it. Deprecated, and so only
//! where a project's configuration asks for it and names nothing else.
//!
//! `codex_sync_include` and `codex_sync_exclude` are globs for names of projects; an exclude wins, without an include
//! nobody gets the file, its own project never does, nor does the codex.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bstr::{BString, ByteSlice};
use serde::Deserialize;

use super::SyncRequest;
use super::opened::Opened;
use super::sources::Roots;
use crate::glob::Glob;
use crate::outcome::{SyncError, SyncOutcome};
use crate::plan::{Entry, ProjectPlan};
use crate::workspace::Project;

/// What is read of a frontmatter; everything else in it is somebody else's.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Frontmatter {
    #[serde(default, alias = "codex_sync_includes")]
    codex_sync_include: Names,
    #[serde(default, alias = "codex_sync_excludes")]
    codex_sync_exclude: Names,
}

/// One glob or several.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Names {
    Many(Vec<String>),
    One(String),
}

impl Default for Names {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Names {
    fn matches(&self, name: &str) -> bool {
        let globs = match self {
            Self::Many(globs) => globs.as_slice(),
            Self::One(glob) => std::slice::from_ref(glob),
        };
        globs
            .iter()
            .any(|glob| Glob::new(glob).is_ok_and(|glob| glob.matches(name.as_bytes())))
    }
}

/// Leaves of `files` those that are routed to `project`. What is in `published` stands in the projects, not yet in the codex.
pub(super) fn keep_routed(
    request: &SyncRequest<'_>,
    opened: &mut Opened,
    project: &Project,
    published: &[(&Project, &ProjectPlan)],
    files: &mut BTreeMap<BString, Entry>,
    outcome: &mut SyncOutcome,
) -> Result<(), SyncError> {
    let message = "`sync.routing.use_frontmatter` is deprecated: name what you want in `sync.from_codex.include`";
    request.warn(&mut outcome.warnings, Some(project), message.to_owned());
    if project.name.as_str().starts_with("codex.") {
        files.clear();
        return Ok(());
    }
    let publishing: Vec<&Project> = published.iter().map(|(project, _)| *project).collect();
    let roots = Roots::new(&publishing);
    let plans = published
        .iter()
        .enumerate()
        .flat_map(|(number, (_, plan))| plan.files().map(move |file| (number, file)));
    let new: HashMap<_, _> = plans
        .map(|(number, file)| (file.id, (number, file)))
        .collect();
    let ids: BTreeSet<_> = files
        .values()
        .map(|entry| entry.id)
        .filter(|id| !new.contains_key(id))
        .collect();
    opened.fetch_contents(request, &ids)?;
    let contents = opened.clone_of_tip(request)?.0.contents();
    files.retain(|_, entry| {
        let document = match new.get(&entry.id) {
            Some((number, file)) => roots.get(*number).and_then(|root| root.contents(file)).ok(),
            None => contents.read(entry.id).ok(),
        };
        let document = document.unwrap_or_default();
        frontmatter(&document).is_some_and(|said| {
            said.codex_sync_include.matches(project.name.as_str())
                && !said.codex_sync_exclude.matches(project.name.as_str())
        })
    });
    Ok(())
}

/// What the block between the first line `---` and the next says; `None` if there is none or it is not YAML.
fn frontmatter(contents: &[u8]) -> Option<Frontmatter> {
    let text = contents.to_str().ok()?.replace("\r\n", "\n");
    let (block, _) = text.strip_prefix("---\n")?.split_once("\n---")?;
    serde_saphyr::from_str(block).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frontmatter_says_who_gets_a_file() {
        for (text, who, gets) in [
            (
                "---\ncodex_sync_include: ['*']\n---\n# Hi\n",
                "billing",
                true,
            ),
            (
                "---\ncodex_sync_include: [billing, 'auth-*']\n---\n",
                "auth-web",
                true,
            ),
            (
                "---\r\ncodex_sync_include: billing\r\n---\r\n",
                "billing",
                true,
            ),
            (
                "---\ncodex_sync_includes: [billing]\n---\n",
                "billing",
                true,
            ),
            (
                "---\ntitle: x\ncodex_sync_include: ['*']\ncodex_sync_exclude: [bill*]\n---\n",
                "billing",
                false,
            ),
            ("---\ncodex_sync_include: [auth]\n---\n", "billing", false),
            ("---\ncodex_sync_include: []\n---\n", "billing", false),
            ("---\ntitle: no word of it\n---\n", "billing", false),
            ("---\ncodex_sync_include: [*]\n---\n", "billing", false),
            ("codex_sync_include: ['*']\n", "billing", false),
            ("---\ncodex_sync_include: ['*']\n", "billing", false),
        ] {
            let said = frontmatter(text.as_bytes()).unwrap_or_default();
            assert_eq!(
                said.codex_sync_include.matches(who) && !said.codex_sync_exclude.matches(who),
                gets,
                "{text}"
            );
        }
    }
}
