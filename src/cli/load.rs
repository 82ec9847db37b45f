//! From the process to a workspace: where things are looked for, and what the flags say.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use etcetera::BaseStrategy;
use tracing::field::Empty;

use super::args::Global;
use super::error_report::{Failure, of_configuration};
use super::terminal::Terminal;
use crate::codex::{git_config, source_revision};
use crate::config::{self, Configuration, FlagValue, LoadRequest};
use crate::environment::Environment;
use crate::event::Reporter;
use crate::interrupt::Interrupt;
use crate::paths::shown;
use crate::sync::SyncRequest;
use crate::workspace::{self, Project, Workspace};

/// The error that the process's own directory was deleted, or may not be entered.
fn no_current_directory(error: &io::Error) -> Failure {
    Failure::new(
        super::error_report::exit::USAGE,
        "usage",
        format!("the current directory cannot be used: {error}"),
        vec!["change to a directory that exists, or give `-C` an absolute path".to_owned()],
    )
}

/// What every command gets.
pub(crate) struct Context {
    /// Options of every command.
    pub(crate) global: Global,
    /// The process's variables.
    pub(crate) environment: Environment,
    /// The process's streams.
    pub(crate) terminal: Terminal,
    /// The request to stop.
    pub(crate) interrupt: Interrupt,
}

impl Context {
    /// The directory the run works in, absolute.
    pub(crate) fn directory(&self) -> Result<PathBuf, Failure> {
        let unusable = |path: &Path, error: io::Error| {
            let message = format!("cannot work in `{}`: {error}", shown(path));
            Failure::new(
                super::error_report::exit::USAGE,
                "usage",
                message,
                Vec::new(),
            )
        };
        let directory = match &self.global.directory {
            Some(directory) if directory.is_absolute() => directory.clone(),
            given => {
                let here = std::env::current_dir().map_err(|error| no_current_directory(&error))?;
                match given {
                    Some(directory) => here.join(directory),
                    None => return Ok(here),
                }
            }
        };
        let found = directory
            .canonicalize()
            .and_then(|path| match path.is_dir() {
                true => Ok(path),
                false => Err(io::ErrorKind::NotADirectory.into()),
            });
        let found = found.map_err(|error| unusable(&directory, error))?;
        // Children such as git need a current directory.
        if std::env::current_dir().is_err() {
            std::env::set_current_dir(&found).map_err(|error| unusable(&found, error))?;
        }
        Ok(found)
    }

    /// Loads configuration and workspace; `flags` are the command's own.
    pub(crate) fn load(
        &self,
        env_name: Option<&str>,
        flags: Vec<FlagValue>,
    ) -> Result<(Configuration, Workspace), Failure> {
        let span = tracing::debug_span!("config", files = Empty, projects = Empty).entered();
        let request = self.request(env_name, flags)?;
        let loaded = workspace::load(&request).map_err(|problems| of_configuration(&problems))?;
        span.record("files", loaded.0.files().len())
            .record("projects", loaded.1.projects.len());
        Ok(loaded)
    }

    /// Loads the layers alone: what they come to may still be no workspace.
    pub(crate) fn load_layers(&self) -> Result<Configuration, Failure> {
        let span = tracing::debug_span!("config", files = Empty).entered();
        let request = self.request(None, Vec::new())?;
        let configuration =
            config::load(&request).map_err(|problems| of_configuration(&problems))?;
        span.record("files", configuration.files().len());
        Ok(configuration)
    }

    /// The layers that are found from here, however wrong they may be, where neither a flag nor a variable names a file.
    pub(crate) fn surroundings(&self) -> Result<Configuration, Failure> {
        let request = self.request(None, Vec::new())?;
        Ok(config::gather(&LoadRequest {
            config_file: None,
            environment: Environment::default(),
            ..request
        })
        .0)
    }

    /// A sync as it is when no flag says anything.
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

    /// Seconds since the epoch.
    pub(crate) fn now(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() as i64)
    }

    fn request(
        &self,
        env_name: Option<&str>,
        flags: Vec<FlagValue>,
    ) -> Result<LoadRequest, Failure> {
        let cwd = self.directory()?;
        let places = etcetera::choose_base_strategy().ok();
        Ok(LoadRequest {
            detect_organization: Some(|root| {
                source_revision::organization(root).map_err(|error| error.to_string())
            }),
            safe_directories: Some(git_config::safe_directories),
            environment: self.environment.clone(),
            config_file: self.global.config_file.clone(),
            user_config_dir: places.as_ref().map(BaseStrategy::config_dir),
            state_home: places
                .as_ref()
                .and_then(BaseStrategy::state_dir)
                .or_else(|| places.as_ref().map(BaseStrategy::data_dir)),
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
    let places = etcetera::choose_base_strategy().ok()?;
    Some(places.cache_dir().join("fractary-codex"))
}
