//! The inputs that every command shares: global options, environment, directories, and the loaded
//! workspace.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::CommandFactory;
use etcetera::BaseStrategy;
use tracing::field::Empty;

use super::args::{Cli, Global, accepted_by};
use super::command_error::CommandError;
use super::error_report;
use super::terminal::Terminal;
use super::workflow_step::WorkflowStep;
use crate::codex::{git_config, source_repository};
use crate::config::{self, Configuration, FlagValue, LoadRequest, Problems};
use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::outcome::ProjectReport;
use crate::paths::shown;
use crate::report::ErrorReport;
use crate::sync::SyncRequest;
use crate::workspace::{self, Project, Workspace};

/// The inputs of a command.
#[derive(Clone)]
pub(crate) struct Context {
    /// The options that every command accepts.
    pub(crate) global: Global,
    /// The environment variables of the process.
    pub(crate) environment: Environment,
    /// The streams of the process.
    pub(crate) terminal: Terminal,
    /// The command line without the program and without secrets.
    pub(crate) command_line: String,
    /// Set when a signal requests the run to stop.
    pub(crate) interrupt: Interrupt,
}

impl Context {
    /// Reports why a project failed or was withheld. `None` if it is as it should be.
    pub(crate) fn error_of_project(&self, project: &ProjectReport) -> Option<ErrorReport> {
        error_report::of_project(project, &self.global.target)
    }

    /// The given options that every command accepts and that decide what a run does, such as `-C`, as
    /// words for a shell.
    pub(crate) fn global_options(&self) -> Vec<String> {
        // `plan` has no such options of its own.
        let words = accepted_by(&Cli::command(), "plan", &self.global.target);
        words.into_iter().map(str::to_owned).collect()
    }

    /// Returns the directory to work in, as an absolute path: that of `-C`, or the current
    /// directory.
    pub(crate) fn directory(&self) -> Result<PathBuf, CommandError> {
        let directory = match &self.global.directory {
            Some(directory) if directory.is_absolute() => directory.clone(),
            relative => {
                let current =
                    std::env::current_dir().map_err(|error| no_current_directory(&error))?;
                match relative {
                    Some(directory) => current.join(directory),
                    None => return Ok(current),
                }
            }
        };

        let found = dunce::canonicalize(&directory)
            .and_then(|path| match path.is_dir() {
                true => Ok(path),
                false => Err(io::ErrorKind::NotADirectory.into()),
            })
            .map_err(|error| unusable_directory(&directory, &error))?;
        // Child processes such as git need a current directory.
        if std::env::current_dir().is_err() {
            std::env::set_current_dir(&found)
                .map_err(|error| unusable_directory(&found, &error))?;
        }
        Ok(found)
    }

    /// The step of GitHub Actions that the program runs in.
    pub(crate) fn workflow_step(&self) -> WorkflowStep<'_> {
        WorkflowStep::new(&self.command_line, &self.environment, &self.terminal)
    }

    /// Loads the configuration and the workspace. `flags` are the values of the command's own
    /// options.
    pub(crate) fn load(
        &self,
        env_name: Option<&str>,
        flags: Vec<FlagValue>,
    ) -> Result<(Configuration, Workspace), CommandError> {
        let loaded = self.try_load(env_name, flags)?;
        loaded.map_err(|problems| CommandError::from(&problems))
    }

    /// As [`load`](Self::load), with the errors of the configuration as a list.
    pub(crate) fn try_load(
        &self,
        env_name: Option<&str>,
        flags: Vec<FlagValue>,
    ) -> Result<Result<(Configuration, Workspace), Problems>, CommandError> {
        let span = tracing::debug_span!("config", files = Empty, projects = Empty).entered();
        let request = self.request(env_name, flags)?;
        let loaded = workspace::load(&request);
        if let Ok((configuration, workspace)) = &loaded {
            span.record("files", configuration.files().len())
                .record("projects", workspace.projects.len());
            tracing::info!("configuration: {}", configuration.sources().join(", "));
        }
        Ok(loaded)
    }

    /// As [`try_load`](Self::try_load), as if the file of the workspace were `file`, with this text.
    pub(crate) fn try_load_text(
        &self,
        file: &Path,
        text: &str,
    ) -> Result<Result<(Configuration, Workspace), Problems>, CommandError> {
        let request = self.request(None, Vec::new())?;
        Ok(workspace::load(&LoadRequest {
            config_file: Some(file.to_owned()),
            config_text: Some(text.to_owned()),
            ..request
        }))
    }

    /// Loads the configuration only, without checking that its values form a valid workspace.
    pub(crate) fn load_layers(&self) -> Result<Configuration, CommandError> {
        let span = tracing::debug_span!("config", files = Empty).entered();
        let request = self.request(None, Vec::new())?;
        let configuration =
            config::load(&request).map_err(|problems| CommandError::from(&problems))?;
        span.record("files", configuration.files().len());
        Ok(configuration)
    }

    /// Loads the configuration that is found from the current directory, even if it contains
    /// errors. Options and variables that name another file are ignored.
    pub(crate) fn surrounding_configuration(&self) -> Result<Configuration, CommandError> {
        let request = self.request(None, Vec::new())?;
        let (configuration, _) = config::gather(&LoadRequest {
            config_file: None,
            environment: Environment::default(),
            ..request
        });
        Ok(configuration)
    }

    /// A request with the defaults of all options of `sync`.
    pub(crate) fn sync_request<'w>(
        &self,
        configuration: &'w Configuration,
        workspace: &'w Workspace,
        projects: Vec<&'w Project>,
        reporter: Arc<dyn Reporter>,
    ) -> SyncRequest<'w> {
        SyncRequest {
            projects,
            cache_home: clone_home(),
            interrupt: self.interrupt.clone(),
            reporter,
            ..SyncRequest::new(configuration, workspace, std::env::temp_dir(), self.now())
        }
    }

    /// The current time in seconds since the epoch.
    pub(crate) fn now(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() as i64)
    }

    fn request(
        &self,
        env_name: Option<&str>,
        flags: Vec<FlagValue>,
    ) -> Result<LoadRequest, CommandError> {
        let cwd = self.directory()?;
        let directories = etcetera::choose_base_strategy().ok();
        Ok(LoadRequest {
            detect_organization: Some(|root| {
                source_repository::organization(root).map_err(|error| error.to_string())
            }),
            safe_directories: Some(git_config::safe_directories),
            environment: self.environment.clone(),
            config_file: self.global.config_file.clone(),
            config_text: None,
            user_config_dir: directories.as_ref().map(BaseStrategy::config_dir),
            state_home: directories
                .as_ref()
                .and_then(BaseStrategy::state_dir)
                .or_else(|| directories.as_ref().map(BaseStrategy::data_dir)),
            clone_home: clone_home(),
            env_name: env_name.map(str::to_owned),
            flags,
            config_arguments: self.global.config.clone(),
            cwd,
        })
    }
}

/// The user's cache directory for this program, which holds the persistent clones.
fn clone_home() -> Option<PathBuf> {
    let directories = etcetera::choose_base_strategy().ok()?;
    Some(directories.cache_dir().join("fractary-codex"))
}

/// The current directory of the process was deleted, or access to it is denied.
fn no_current_directory(error: &io::Error) -> CommandError {
    CommandError::usage(format!("the current directory cannot be used: {error}"))
        .hint("change to an existing directory, or use `-C` with an absolute path")
}

fn unusable_directory(path: &Path, error: &io::Error) -> CommandError {
    CommandError::usage(format!(
        "cannot use `{}` as the directory: {error}",
        shown(path)
    ))
}
