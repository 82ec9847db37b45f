//! Whole loads, from files, variables and flags to the workspace.

mod explain;
mod layers;
mod problems;
mod projects;
mod robust;
mod schema_agreement;
mod shapes;

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::config::Direction;
use crate::workspace::{self, Workspace};

/// A test directory, and the request that loads the configuration in it.
struct World {
    dir: TempDir,
    request: LoadRequest,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let home = dir.path().join("home");
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(dir.path().join("ws")).unwrap();
        let request = LoadRequest {
            cwd: dir.path().join("ws"),
            user_config_dir: Some(home.join("config")),
            state_home: Some(home.join("state")),
            ..LoadRequest::default()
        };
        Self { dir, request }
    }

    fn at(mut self, cwd: &str) -> Self {
        self.request.cwd = self.dir.path().join(cwd);
        self
    }

    fn env(mut self, variables: &[(&str, &str)]) -> Self {
        self.request.environment = variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        self
    }

    fn set(mut self, settings: &[&str]) -> Self {
        self.request.config_arguments = settings.iter().map(|s| (*s).to_owned()).collect();
        self
    }

    fn load(&self) -> (Configuration, Workspace) {
        workspace::load(&self.request)
            .unwrap_or_else(|problems| panic!("{}", self.shown(&problems)))
    }

    fn workspace(&self) -> Workspace {
        self.load().1
    }

    fn problems(&self) -> String {
        self.shown(&workspace::load(&self.request).unwrap_err())
    }

    fn shown(&self, problems: &Problems) -> String {
        let line = |problem: &Problem| {
            let hint = problem
                .hint
                .as_ref()
                .map(|hint| format!(" [{hint}]"))
                .unwrap_or_default();
            format!("{problem}{hint}\n")
        };
        let text: String = problems.iter().map(line).collect();
        text.replace(self.dir.path().to_str().unwrap(), "/T")
    }
}

const ONE: &str =
    "codex:\n  organization: acme\n  codex_repo: codex.acme.com\n  project: billing\n";

fn names(workspace: &Workspace) -> Vec<&str> {
    workspace
        .projects
        .iter()
        .map(|project| project.name.as_str())
        .collect()
}
