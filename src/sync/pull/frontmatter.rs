//! Routing by frontmatter, as in the older tool: a Markdown file names the projects that receive
//! it. It is deprecated, and only used by a project that enables `sync.routing.use_frontmatter` and
//! has no `sync.from_codex.include`.
//!
//! `codex_sync_include` and `codex_sync_exclude` are globs for project names; `includes` and
//! `excludes` below `codex` are older names. An exclude takes precedence, and a file without an
//! include is not routed. A file is never routed to its own
//! project or to the codex itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bstr::{BString, ByteSlice};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::sources::SourceContents;
use super::pull_run::PullRun;
use crate::glob::Glob;
use crate::outcome::SyncError;
use crate::plan::Entry;
use crate::workspace::Project;

/// The keys that are read from a frontmatter. All others are ignored.
#[derive(Debug, Default, Deserialize)]
struct Frontmatter {
    #[serde(default, alias = "codex_sync_includes")]
    codex_sync_include: Option<Names>,
    #[serde(default, alias = "codex_sync_excludes")]
    codex_sync_exclude: Option<Names>,
    #[serde(default)]
    codex: CodexKey,
}

/// The key `codex`, which can also belong to another tool.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum CodexKey {
    Names {
        includes: Option<Names>,
        excludes: Option<Names>,
    },
    Other(IgnoredAny),
}

impl Default for CodexKey {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

impl Frontmatter {
    fn routes_to(&self, project: &str) -> bool {
        let (includes, excludes) = match &self.codex {
            CodexKey::Names { includes, excludes } => (includes.as_ref(), excludes.as_ref()),
            CodexKey::Other(_) => (None, None),
        };
        let matches = |names: &Names| names.matches(project);
        let include = self.codex_sync_include.as_ref().or(includes);
        let exclude = self.codex_sync_exclude.as_ref().or(excludes);
        include.is_some_and(matches) && !exclude.is_some_and(matches)
    }
}

/// One glob or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    Many(Vec<String>),
    One(String),
}

impl Names {
    /// Whether any of the globs matches. An invalid glob matches nothing.
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

impl PullRun<'_> {
    /// Removes the files that are not routed to `project` from `files`. The contents of planned
    /// publishes, which the codex does not have, are read from the source directories.
    pub(super) fn keep_routed(
        &mut self,
        project: &Project,
        files: &mut BTreeMap<BString, Entry>,
    ) -> Result<(), SyncError> {
        self.warn(
            project,
            "`sync.routing.use_frontmatter` is deprecated: list the files in `sync.from_codex.include`",
        );
        if project.name.as_str().starts_with("codex.") {
            files.clear();
            return Ok(());
        }

        let publishes = self.planned_publishes;
        let publishing: Vec<&Project> = publishes.iter().map(|publish| publish.project).collect();
        let sources = SourceContents::new(&self.request.sources, &publishing);
        let mut unpublished = HashMap::new();
        for (index, publish) in publishes.iter().enumerate() {
            let files = publish.plan.files();
            unpublished.extend(files.map(|file| (file.id, (index, file))));
        }

        let ids: BTreeSet<_> = files
            .values()
            .map(|entry| entry.id)
            .filter(|id| !unpublished.contains_key(id))
            .collect();
        self.session.fetch_contents(self.request, &ids)?;
        let contents = self.session.clone_of_tip(self.request)?.0.contents();

        files.retain(|_, entry| {
            let document = match unpublished.get(&entry.id) {
                Some((index, file)) => sources.read(*index, file).ok(),
                None => contents.read(entry.id).ok(),
            };
            parse_frontmatter(&document.unwrap_or_default())
                .is_some_and(|frontmatter| frontmatter.routes_to(project.name.as_str()))
        });
        Ok(())
    }
}

/// Parses the YAML between a first line `---` and the next one; `None` if there is no such block or
/// it is invalid.
fn parse_frontmatter(contents: &[u8]) -> Option<Frontmatter> {
    let text = contents.to_str().ok()?.replace("\r\n", "\n");
    let (block, _) = text.strip_prefix("---\n")?.split_once("\n---")?;
    serde_saphyr::from_str(block).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frontmatter_selects_the_receiving_projects() {
        for (text, project, expected) in [
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
            (
                "---\ncodex:\n  includes: ['bill*']\n  other: 1\n---\n",
                "billing",
                true,
            ),
            (
                "---\ncodex: { includes: ['*'], excludes: [billing] }\n---\n",
                "billing",
                false,
            ),
            (
                "---\ncodex: { includes: ['*'] }\ncodex_sync_include: []\n---\n",
                "billing",
                false,
            ),
            (
                "---\ncodex: [x]\ncodex_sync_include: billing\n---\n",
                "billing",
                true,
            ),
            ("---\ncodex_sync_include: []\n---\n", "billing", false),
            ("---\ntitle: x\n---\n", "billing", false),
            ("---\ncodex_sync_include: [*]\n---\n", "billing", false),
            ("codex_sync_include: ['*']\n", "billing", false),
            ("---\ncodex_sync_include: ['*']\n", "billing", false),
        ] {
            let frontmatter = parse_frontmatter(text.as_bytes()).unwrap_or_default();
            assert_eq!(frontmatter.routes_to(project), expected, "{text}");
        }
    }
}
