//! Digests of the resolved settings that decide what a sync publishes, to find out whether two runs
//! have the same ones. Settings that only decide how a run works, such as time limits, are left
//! out. No secret is a part of them.

use std::collections::BTreeMap;

use super::project::Project;
use super::settings::Workspace;
use crate::object::{Kind, ObjectId, hash};

/// Digests by the name of a section of the configuration.
pub(crate) type SettingsDigests = BTreeMap<String, ObjectId>;

impl Workspace {
    /// The digests of the settings of all projects.
    pub(crate) fn settings_digests(&self) -> SettingsDigests {
        let names = (&self.organization, &self.codex_repo, &self.environment_name);
        digests([
            ("commit", format!("{:?}", self.commit)),
            ("organization, codex_repo, --env", format!("{names:?}")),
            ("push.mode", format!("{:?}", self.push_branches)),
            ("push.pull_request", format!("{:?}", self.pull_request)),
            ("remote.create", self.remote.create.to_string()),
        ])
    }

    /// The digests of the settings of a project. The place of the workspace on the machine does not
    /// matter.
    pub(crate) fn settings_digests_of(&self, project: &Project) -> SettingsDigests {
        let root = project.root.strip_prefix(&self.root);
        let root = root.unwrap_or(&project.root);
        let scan = &project.scan;
        let branches = project.guards.branches.iter().map(|glob| glob.pattern());
        let branches: Vec<_> = branches.collect();
        let files = (scan.symlinks, scan.max_file_size, scan.respect_gitignore);
        digests([
            ("sync.to_codex.branches", format!("{branches:?}")),
            ("sync.checks", format!("{:?}", project.checks)),
            ("sync.delete_guard", format!("{:?}", project.delete_guard)),
            ("sync.to_codex.dirty", format!("{:?}", project.guards.dirty)),
            (
                "sync.symlinks, max_file_size, respect_gitignore",
                format!("{files:?}"),
            ),
            ("sync.on_drift", format!("{:?}", project.on_drift)),
            (
                "sync.to_codex.include, exclude, mappings",
                format!("{:?}", project.claims.patterns()),
            ),
            ("sync.prune", project.prune.to_string()),
            ("root", format!("{root:?}")),
            (
                "sync.direction",
                project.is_configured_to_publish.to_string(),
            ),
            ("sync.to_codex.source", format!("{:?}", scan.source)),
        ])
    }
}

fn digests<const N: usize>(texts: [(&str, String); N]) -> SettingsDigests {
    let digest = |(name, text): (&str, String)| {
        let id = hash(Kind::Blob, text.as_bytes());
        (name.to_owned(), id)
    };
    texts.into_iter().map(digest).collect()
}
