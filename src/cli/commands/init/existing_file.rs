//! The configuration file that already exists, and how a new section `codex` is written into it.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::write_whole;
use crate::cli::command_error::CommandError;
use crate::cli::exit;
use crate::config::yaml_section::Sections;
use crate::config::{self, ENDINGS};
use crate::paths::{escaped, resolved, shown};
use crate::platform;

/// Writes the configuration file at `path`, and creates its directory.
pub(crate) fn write_configuration(path: &Path, text: &str) -> Result<(), CommandError> {
    // If the file is a symlink, its target is replaced and the link is kept.
    let target = dunce::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory)
        .and_then(|()| write_whole(&target, text.as_bytes()))
        .map_err(|error| {
            let message = format!(
                "cannot write `{}`: {}",
                shown(path),
                platform::words_of(&error)
            );
            CommandError::new(exit::CONFIGURATION, "configuration", message, Vec::new())
        })
}

/// The existing configuration file, if there is one. It may contain sections of other tools.
#[derive(Default)]
pub(crate) struct Existing {
    pub(crate) path: Option<PathBuf>,
    /// The sections. A broken symlink counts as a file with a section `codex`, so that it is only
    /// replaced with `--force`.
    sections: Sections,
    pub(crate) text: String,
}

impl Existing {
    /// Finds and reads the file in `directory`, the `.fractary` directory.
    pub(crate) fn find(directory: &Path) -> Result<Self, CommandError> {
        let root = directory.parent().unwrap_or(directory);
        reject_outside(directory, root)?;
        let candidates = ENDINGS.map(|ending| directory.join(format!("config.{ending}")));
        let mut existing = candidates
            .into_iter()
            .filter(|path| path.symlink_metadata().is_ok());
        let Some(path) = existing.next() else {
            return Ok(Self::default());
        };
        if let Some(second) = existing.next() {
            let message = format!(
                "two files for one layer: `{}` and `{}`",
                shown(&path),
                shown(&second)
            );
            return Err(CommandError::usage(message).hint("keep one of them"));
        }

        reject_outside(&path, root)?;
        if !path.exists() {
            return Ok(Self {
                path: Some(path),
                sections: Sections {
                    has_codex: true,
                    ..Sections::default()
                },
                text: String::new(),
            });
        }
        let unreadable = |problem: String| {
            let message = format!("`{}` cannot be changed: {problem}", shown(&path));
            CommandError::usage(message).hint("correct it first, or move it to another directory")
        };
        if platform::is_special(&path) {
            return Err(unreadable("not a regular file".to_owned()));
        }
        let sections =
            config::yaml_section::sections(&path).map_err(|problem| unreadable(problem.message))?;
        let text = fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self {
            path: Some(path),
            sections,
            text,
        })
    }

    /// The path of the file, if it has a section `codex`.
    pub(crate) fn with_codex_section(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| self.sections.has_codex)
    }

    /// The path of the file, if it has the keys of the codex at its top level.
    pub(crate) fn flat(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| self.sections.is_flat)
    }

    /// Returns the text of `config.yaml` with `section` in it. Comments and the sections of other
    /// tools are kept.
    pub(super) fn with(&self, section: &str) -> Result<String, CommandError> {
        let Some(path) = &self.path else {
            return Ok(format!("{HEADER}{section}"));
        };

        let is_yaml = path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && !self.text.trim().is_empty() {
            return config::yaml_section::replaced(&self.text, section).ok_or_else(|| {
                let message = format!(
                    "the section `codex` of `{}` cannot be replaced without changing other sections",
                    shown(path)
                );
                let hint = "write each section on lines of its own, or edit the file";
                CommandError::usage(message).hint(hint)
            });
        }

        if self.sections.others.is_empty() {
            return Ok(format!("{HEADER}{section}"));
        }
        let others: Vec<String> = self
            .sections
            .others
            .iter()
            .map(|name| format!("`{}`", escaped(name.as_bytes())))
            .collect();
        let message = format!(
            "`{}` has other sections ({}), and only YAML files with other sections can be changed",
            shown(path),
            others.join(", ")
        );
        let hint = "add a section `codex` with `organization`, `codex_repo` and `project` yourself";
        Err(CommandError::usage(message).hint(hint))
    }

    /// Removes the file unless it is `written`: two files for one layer are an error.
    pub(super) fn remove_unless(&self, written: &Path) -> Result<(), CommandError> {
        let Some(path) = self.path.as_ref().filter(|path| *path != written) else {
            return Ok(());
        };
        fs::remove_file(path).map_err(|error| {
            let message = format!(
                "cannot remove `{}`, which `config.yaml` replaces: {error}",
                shown(path)
            );
            let hints = vec!["remove it yourself".to_owned()];
            CommandError::new(exit::CONFIGURATION, "configuration", message, hints)
        })
    }
}

/// Rejects a path that leads out of the workspace: nothing is written through such a link.
fn reject_outside(path: &Path, root: &Path) -> Result<(), CommandError> {
    let target = resolved(path);
    if target.starts_with(resolved(root)) {
        return Ok(());
    }
    let message = format!(
        "`{}` is a symlink to `{}`, which is outside the workspace",
        shown(path),
        shown(&target)
    );
    let hint = "remove the symlink, or edit the configuration there";
    Err(CommandError::usage(message).hint(hint))
}

/// The first lines of a new file.
const HEADER: &str = "\
# The projects that are published to the codex with `fractary codex sync --all`.
# The values in effect: `fractary codex config show`; all keys, defaults and meanings: `fractary codex config schema`.
";
