//! The values of keys that no layer sets, or that an environment replaces: the resolution of the
//! workspace derives them from other keys.

use std::path::Path;

use super::remote_settings;
use crate::config::{Configuration, layers};
use crate::paths::{absolute, escaped, shown};
use crate::workspace::settings::Workspace;

/// A value that is derived from other keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DerivedValue {
    /// The value, without secrets; `None` if it is only known during a run.
    pub(crate) value: Option<String>,
    /// Where it comes from.
    pub(crate) source: String,
}

/// Derives the values of keys.
pub(crate) struct DerivedValues<'c> {
    configuration: &'c Configuration,
    /// `None` if the configuration is not valid.
    workspace: Option<Workspace>,
}

impl<'c> DerivedValues<'c> {
    pub(super) fn new(configuration: &'c Configuration, workspace: Option<Workspace>) -> Self {
        Self {
            configuration,
            workspace,
        }
    }

    /// The value of the key at `path`; `None` if a layer sets the value that is in effect, or if none
    /// is used instead.
    pub(crate) fn of(&self, path: &[String]) -> Option<DerivedValue> {
        let workspace = self.workspace.as_ref()?;
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if let ["remote", "branch"] = path.as_slice() {
            return self.branch(workspace);
        }
        if self.configuration.origin_of(&path).is_some() {
            return None;
        }

        let project = |name: &str| workspace.project(name);
        let (value, source) = match path.as_slice() {
            ["remote", "url"] => (
                Some(workspace.remote.url.to_string()),
                "`organization` and `codex_repo`".to_owned(),
            ),
            ["state", "dir"] => (
                Some(shown(&workspace.state_dir).to_string()),
                "the user's state directory".to_owned(),
            ),
            ["remote", "token"] => (
                None,
                "`remotes`, else `GITHUB_TOKEN` or `GH_TOKEN` for github.com and the host of `GITHUB_SERVER_URL`"
                    .to_owned(),
            ),
            ["commit", "author"] | ["commit", "author", _] => {
                (None, "`GIT_AUTHOR_*`, else git's configuration".to_owned())
            }
            ["projects", name, "root"] => {
                let root = &project(name)?.root;
                let source = if self.configuration.raw.project.as_deref() == Some(*name) {
                    "the root of the workspace"
                } else if *root == absolute(&self.configuration.root, Path::new(name)) {
                    "the directory with the name of the project"
                } else {
                    "`workspace.members`"
                };
                (Some(shown(root).to_string()), source.to_owned())
            }
            ["projects", name, "to"] => (
                Some(project(name)?.to.to_string()),
                format!("the default `{}`", layers::derived("project_to")),
            ),
            _ => return None,
        };
        Some(DerivedValue { value, source })
    }

    /// The branch, unless `remote.branch` is in effect.
    fn branch(&self, workspace: &Workspace) -> Option<DerivedValue> {
        let configuration = self.configuration;
        let environment = |name: &str| format!("`sync.environments.{}`", escaped(name.as_bytes()));
        let source = match (&configuration.environment_name, &workspace.remote.branch) {
            (Some(name), _) => {
                let selected = configuration.environment_origin.as_ref();
                let selected = selected.map(|at| format!(", selected by {at}"));
                environment(name) + &selected.unwrap_or_default()
            }
            (None, Some(_)) if configuration.raw.remote.branch.is_some() => return None,
            (None, Some(_)) => environment(remote_settings::DEFAULT_ENVIRONMENT[2]),
            (None, None) => "the HEAD of the remote, or `main` if the remote is empty".to_owned(),
        };
        Some(DerivedValue {
            value: workspace.remote.branch.clone(),
            source,
        })
    }
}
