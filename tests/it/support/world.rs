//! A workspace with its codex, and an HTTP server in front of the codex if the test needs one.

use std::process::Command;

use super::http::HttpServer;
use super::{Codex, Output, Sandbox};

/// The token that the server of [`World::behind_http`] requires. No output may show it.
pub(crate) const TOKEN: &str = "t0ken-that-must-not-show";

/// A workspace with its codex.
pub(crate) struct World {
    // Declared first, so that the server stops before its directory is removed.
    server: Option<HttpServer>,
    pub(crate) sandbox: Sandbox,
    pub(crate) codex: Codex,
}

impl World {
    /// A project `alpha` with a file to publish, and a codex with a commit of another user.
    pub(crate) fn new() -> Self {
        Self::builder().build()
    }

    /// The same, with the codex behind a server that requires [`TOKEN`].
    pub(crate) fn behind_http() -> Self {
        let credentials = format!("x-access-token:{TOKEN}");
        Self::builder().server(Some(&credentials)).build()
    }

    pub(crate) fn builder() -> WorldBuilder {
        WorldBuilder {
            sandbox: Sandbox::new(),
            projects: vec!["alpha"],
            files: None,
            config: String::new(),
            codex_files: vec![("README.md", "codex")],
            credentials: None,
        }
    }

    /// The tip of a branch; `None` if it does not exist.
    pub(crate) fn tip_of(&self, branch: &str) -> Option<String> {
        let listed = self.codex.git(&[
            "for-each-ref",
            "--format=%(objectname)",
            &format!("refs/heads/{branch}"),
        ]);
        listed.lines().next().map(str::to_owned)
    }

    /// The contents of a file on a branch.
    pub(crate) fn file_on(&self, branch: &str, path: &str) -> String {
        self.codex
            .git(&["cat-file", "blob", &format!("{branch}:{path}")])
    }

    /// Makes a commit of another user on a sync branch.
    pub(crate) fn commit_on(&self, branch: &str, path: &str, content: &str) -> String {
        let main = self.tip_of("main").unwrap();
        let tip = self.tip_of(branch).unwrap();
        // The helper commits to `main`.
        self.codex.git(&["update-ref", "refs/heads/main", &tip]);
        self.codex.commit(&[("100644", path, content)], &[]);
        let commit = self.tip_of("main").unwrap();
        self.codex
            .git(&["update-ref", &format!("refs/heads/{branch}"), &commit]);
        self.codex.git(&["update-ref", "refs/heads/main", &main]);
        commit
    }

    /// The server in front of the codex.
    pub(crate) fn server(&self) -> &HttpServer {
        self.server.as_ref().unwrap()
    }

    /// A command that runs the program in the workspace. If there is a server, the codex is reached
    /// through it, and no time-out expires even on a slow machine.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.program(arguments);
        if let Some(server) = &self.server {
            command
                .env("FRACTARY_CODEX_REMOTE__URL", server.url("codex.git"))
                .env(
                    "FRACTARY_CODEX_REMOTE__TIMEOUT",
                    "{connect='60s', idle='60s', push_verdict='60s'}",
                );
        }
        command
    }

    /// Runs [`World::command`].
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.sandbox.finish(self.command(arguments))
    }
}

/// The settings of a [`World`].
pub(crate) struct WorldBuilder {
    sandbox: Sandbox,
    projects: Vec<&'static str>,
    /// The files of the workspace, if they are not the default ones.
    files: Option<Vec<(&'static str, &'static str)>>,
    config: String,
    /// The files of the first commit of the codex, if it has one.
    codex_files: Vec<(&'static str, &'static str)>,
    /// `Some` if there is a server.
    credentials: Option<Option<String>>,
}

impl WorldBuilder {
    /// Uses the program's default transport, whatever transport the test run is for.
    pub(crate) fn default_transport(mut self) -> Self {
        self.sandbox = Sandbox::with_default_transport();
        self
    }

    /// Sets the projects. The root of each is the directory of its name. By default it has a file
    /// `README.md` that contains the name.
    pub(crate) fn projects(mut self, names: &[&'static str]) -> Self {
        self.projects = names.to_vec();
        self
    }

    /// Sets the files (path, contents) of the workspace, instead of the default ones.
    pub(crate) fn files(mut self, files: &[(&'static str, &'static str)]) -> Self {
        self.files = Some(files.to_vec());
        self
    }

    /// Appends lines to the configuration file, indented by two spaces.
    pub(crate) fn config(mut self, lines: &str) -> Self {
        self.config = lines.to_owned();
        self
    }

    /// Sets the files (path, contents) of the codex, which another user committed.
    pub(crate) fn codex_files(mut self, files: &[(&'static str, &'static str)]) -> Self {
        self.codex_files = files.to_vec();
        self
    }

    /// Leaves the codex without commits.
    pub(crate) fn empty_codex(mut self) -> Self {
        self.codex_files.clear();
        self
    }

    /// Starts a server in front of the codex, which requires `credentials` (`user:password`) if
    /// they are given.
    pub(crate) fn server(mut self, credentials: Option<&str>) -> Self {
        self.credentials = Some(credentials.map(str::to_owned));
        self
    }

    pub(crate) fn build(self) -> World {
        let sandbox = self.sandbox;
        let codex = sandbox.workspace(&self.projects, &self.config);
        if !self.codex_files.is_empty() {
            let files: Vec<_> = self
                .codex_files
                .iter()
                .map(|(path, contents)| ("100644", *path, *contents))
                .collect();
            codex.commit(&files, &[]);
        }
        match self.files {
            Some(files) => files.iter().for_each(|(path, contents)| {
                sandbox.write(&format!("ws/{path}"), contents);
            }),
            None => self.projects.iter().for_each(|project| {
                sandbox.write(&format!("ws/{project}/README.md"), project);
            }),
        }

        let start = |credentials: Option<String>| {
            HttpServer::start(&sandbox.path(""), credentials.as_deref())
        };
        World {
            server: self.credentials.map(start),
            sandbox,
            codex,
        }
    }
}
