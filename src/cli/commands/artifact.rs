//! A document that a run writes besides its result: the page of `--html FILE`, the plan of
//! `--plan-out FILE`, or the report of `--code-quality FILE`.

use std::fs;
use std::path::{Path, PathBuf, is_separator};

use super::{temporary_file, write_whole};
use crate::cli::args::Format;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::outcome::SyncOutcome;
use crate::paths::{FRACTARY_DIR, shown};
use crate::platform;
use crate::report::{ErrorReport, code_quality, page};
use crate::saved_plan::document::SavedPlan;
use crate::text::shell_path;

/// A document that a run writes besides its result.
pub(super) struct Artifact {
    contents: ArtifactContents,
    target: ArtifactTarget,
}

/// The contents of a document.
pub(super) enum ArtifactContents {
    /// The HTML page.
    Page,
    /// The saved plan of a sync.
    Plan {
        /// The options that decide what is published.
        options: Vec<String>,
        /// The options that the command which carries out the plan needs, as words for a shell.
        global_options: Vec<String>,
    },
    /// The code quality report of GitLab.
    CodeQuality,
}

/// The place of a document.
enum ArtifactTarget {
    /// Standard output, instead of the table.
    Stdout,
    /// A file, which is replaced atomically.
    File {
        /// The path as the user gave it.
        name: String,
        /// The absolute path, with all links resolved.
        path: PathBuf,
    },
}

/// A document that was written, or could not be written.
pub(super) struct WrittenArtifact {
    /// The text for people, instead of the table or after it.
    pub(super) text: WrittenText,
    pub(super) error: Option<CommandError>,
}

/// The text for people about a document that was written.
pub(super) enum WrittenText {
    /// The document itself, instead of the table.
    Instead(String),
    /// A line after the table; empty if the document could not be written.
    After(String),
}

impl Artifact {
    /// Resolves `file`. A target that cannot be written in any case is a usage error, so that it is
    /// reported before the run starts.
    pub(super) fn new(
        contents: ArtifactContents,
        file: &Path,
        format: Format,
        context: &Context,
    ) -> Result<Self, CommandError> {
        let target = match file == Path::new("-") {
            true => contents.stdout(format)?,
            false => contents.file(file, context)?,
        };
        Ok(Self { contents, target })
    }

    /// The code quality report, which has a file.
    pub(super) fn code_quality(
        file: &Path,
        format: Format,
        context: &Context,
    ) -> Result<Self, CommandError> {
        Self::new(ArtifactContents::CodeQuality, file, format, context)
    }

    pub(super) fn is_code_quality(&self) -> bool {
        matches!(self.contents, ArtifactContents::CodeQuality)
    }

    /// Writes the document of a run that ended before it had an outcome, if there is one, and returns
    /// the error if it cannot be written.
    pub(super) fn write_failure(
        &self,
        error: &ErrorReport,
        context: &Context,
    ) -> Option<CommandError> {
        let ArtifactTarget::File { name, path } = &self.target else {
            return None;
        };
        if !self.is_code_quality() {
            return None;
        }
        let document = code_quality::of_failure(error, &context.terminal.checkout)?;
        let error = write_whole(path, document.as_bytes()).err()?;
        let reason = platform::words_of(&error);
        Some(self.contents.unwritable(name, &reason, exit::SOME_FAILED))
    }

    /// The file that is written; `None` for standard output.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.target {
            ArtifactTarget::File { path, .. } => Some(path),
            ArtifactTarget::Stdout => None,
        }
    }

    /// The error for a document that must not be written to its file.
    pub(super) fn rejected(&self, reason: &str) -> CommandError {
        let name = match &self.target {
            ArtifactTarget::File { name, .. } => name,
            ArtifactTarget::Stdout => "-",
        };
        self.contents.unwritable(name, reason, exit::USAGE)
    }

    /// Whether the document is the only result on standard output.
    pub(super) fn is_on_stdout(&self) -> bool {
        matches!(self.target, ArtifactTarget::Stdout)
    }

    /// Writes the document of a run; `None` if the run has none. A file is replaced atomically. A
    /// failure here counts as a failure of the run, not as wrong usage, because the target was
    /// checked before.
    pub(super) fn write(
        &self,
        outcome: &SyncOutcome,
        context: &Context,
    ) -> Option<WrittenArtifact> {
        let document = self.contents.document(outcome, context)?;
        let ArtifactTarget::File { name, path } = &self.target else {
            return Some(WrittenArtifact {
                text: WrittenText::Instead(document),
                error: None,
            });
        };
        let error = write_whole(path, document.as_bytes()).err().map(|error| {
            let reason = platform::words_of(&error);
            self.contents.unwritable(name, &reason, exit::SOME_FAILED)
        });
        let line = match &error {
            None => self.contents.line(name),
            Some(_) => String::new(),
        };
        Some(WrittenArtifact {
            text: WrittenText::After(line),
            error,
        })
    }
}

impl ArtifactContents {
    /// The document of a run. A run that ended early has no new information, so it has none.
    fn document(&self, outcome: &SyncOutcome, context: &Context) -> Option<String> {
        if outcome.failure.is_some() {
            return None;
        }
        let errors = |project: &_| context.error_of_project(project);
        match self {
            Self::Page => {
                let now = context.environment.time(context.now());
                let all = context.terminal.verbose;
                Some(page::page(outcome, errors, now, all))
            }
            Self::Plan { options, .. } => {
                let plan = SavedPlan::new(outcome, options.clone(), errors)?;
                Some(plan.text())
            }
            Self::CodeQuality => Some(code_quality::of_run(outcome, &context.terminal.checkout)),
        }
    }

    fn stdout(&self, format: Format) -> Result<ArtifactTarget, CommandError> {
        let (option, what) = match self {
            Self::Page => ("--html", "page"),
            Self::Plan { .. } => ("--plan-out", "plan"),
            Self::CodeQuality => {
                let message = "`--code-quality` cannot use standard output";
                let hint = "write the report to a file: `--code-quality FILE`";
                return Err(CommandError::usage(message).hint(hint));
            }
        };
        if format.is_for_people() {
            return Ok(ArtifactTarget::Stdout);
        }
        let message = format!("`{option} -` and a JSON format cannot both use standard output");
        let hint = format!("write the {what} to a file: `{option} FILE`");
        Err(CommandError::usage(message).hint(hint))
    }

    fn file(&self, file: &Path, context: &Context) -> Result<ArtifactTarget, CommandError> {
        let name = shown(file).to_string();
        let path = context.directory()?.join(file);
        // If the path is a link, its target is replaced and the link is kept.
        let path = dunce::canonicalize(&path).unwrap_or(path);

        let rejected = |reason: &str| Err(self.unwritable(&name, reason, exit::USAGE));
        if name.ends_with(is_separator) {
            return rejected("the name of a file does not end with a slash");
        }
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => return rejected("it is a directory"),
            Ok(meta) if !meta.is_file() => return rejected("it is not a regular file"),
            Ok(_) => {}
            Err(_) if !path.parent().is_some_and(Path::is_dir) => {
                return rejected("its directory does not exist");
            }
            Err(_) if path.is_symlink() => return rejected("it is a broken link"),
            Err(_) => {}
        }
        if path.iter().any(|part| part == ".git") {
            return rejected("it is in the directory of a git repository");
        }
        if is_of_configuration(&path) {
            return rejected("it would be read as a file of the configuration");
        }
        if !self.may_replace(&path) {
            return rejected("it exists and is not a saved plan; remove it, or name another file");
        }
        if let Err(error) = temporary_file(&path) {
            return rejected(&platform::words_of(&error));
        }
        Ok(ArtifactTarget::File { name, path })
    }

    /// Whether a file can be replaced by this document. A plan replaces only another plan, of any
    /// version, or an empty file as `mktemp` makes it.
    fn may_replace(&self, path: &Path) -> bool {
        match (self, fs::metadata(path)) {
            (Self::Plan { .. }, Ok(meta)) if meta.len() > 0 => {
                fs::read(path).is_ok_and(|text| SavedPlan::is_one(&text))
            }
            _ => true,
        }
    }

    fn unwritable(&self, name: &str, reason: &str, exit: u8) -> CommandError {
        let (kind, what) = match self {
            Self::Page => ("page", "report"),
            Self::Plan { .. } => ("plan-file", "plan"),
            Self::CodeQuality => ("code-quality", "code quality report"),
        };
        let message = format!("cannot write the {what} to `{name}`: {reason}");
        CommandError::new(exit, kind, message, Vec::new())
    }

    /// The line about a document that was written to the file `name`.
    fn line(&self, name: &str) -> String {
        match self {
            Self::Page => format!("wrote the report to {name}\n"),
            Self::CodeQuality => format!("wrote the code quality report to {name}\n"),
            Self::Plan { global_options, .. } => {
                let options: String = global_options
                    .iter()
                    .map(|word| format!("{word} "))
                    .collect();
                format!(
                    "saved the plan to {name}; `fractary-codex sync {options}--plan {}` carries it out\n",
                    shell_path(name)
                )
            }
        }
    }
}

/// Whether the program would read a file as a part of the configuration.
fn is_of_configuration(path: &Path) -> bool {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return false;
    };
    let is_config = name.as_encoded_bytes().starts_with(b"config.");
    (is_config && directory.ends_with(FRACTARY_DIR))
        || directory.ends_with(Path::new(FRACTARY_DIR).join("env"))
}
