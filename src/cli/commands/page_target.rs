//! The target of `--html FILE`.

use std::fs;
use std::path::{Path, PathBuf};

use super::write_whole;
use crate::cli::args::Format;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::paths::shown;
use crate::platform;

/// The target of a page.
pub(super) enum PageTarget {
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

impl PageTarget {
    /// Resolves `file`. A target that cannot be written in any case is a usage error, so that it is
    /// reported before the run starts.
    pub(super) fn new(
        file: &Path,
        format: Format,
        context: &Context,
    ) -> Result<Self, CommandError> {
        if file == Path::new("-") {
            return Self::stdout(format);
        }

        let name = shown(file).to_string();
        let path = context.directory()?.join(file);
        // If the path is a link, its target is replaced and the link is kept.
        let path = path.canonicalize().unwrap_or(path);

        let rejected = |reason: &str| Err(unwritable(&name, reason, exit::USAGE));
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
        Ok(Self::File { name, path })
    }

    fn stdout(format: Format) -> Result<Self, CommandError> {
        match format {
            Format::Human => Ok(Self::Stdout),
            Format::Json | Format::Ndjson => {
                let message = "`--html -` and a JSON format cannot both use standard output";
                Err(CommandError::usage(message).hint("write the page to a file: `--html FILE`"))
            }
        }
    }

    /// Writes the page to the file, if the target is one. The file is replaced atomically. A
    /// failure here counts as a failure of the run, not as wrong usage, because the target was
    /// checked before.
    pub(super) fn write(&self, page: &str) -> Result<(), CommandError> {
        let Self::File { name, path } = self else {
            return Ok(());
        };
        write_whole(path, page)
            .map_err(|error| unwritable(name, &platform::words_of(&error), exit::SOME_FAILED))
    }
}

fn unwritable(name: &str, reason: &str, exit: u8) -> CommandError {
    let message = format!("cannot write the report to `{name}`: {reason}");
    CommandError::new(exit, "page", message, Vec::new())
}
