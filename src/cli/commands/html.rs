//! `--html FILE`: where a page goes.

use std::fs;
use std::path::{Path, PathBuf};

use super::write_whole;
use crate::cli::args::Format;
use crate::cli::failure::{Failure, exit};
use crate::cli::load::Context;
use crate::paths::shown;
use crate::platform;

/// A place for a page.
pub(super) enum Target {
    /// Standard output, in place of the table.
    Output,
    /// A file, which is replaced as a whole or not at all.
    File {
        /// As it was given.
        name: String,
        /// Absolute, at the end of any links.
        path: PathBuf,
    },
}

impl Target {
    /// The place that `file` names. What can never become a page is told at once, before there is any work.
    pub(super) fn new(file: &Path, format: Format, context: &Context) -> Result<Self, Failure> {
        if file == Path::new("-") {
            return match format {
                Format::Human => Ok(Self::Output),
                Format::Json | Format::Ndjson => {
                    let message =
                        "`--html -` and a document for machines cannot both go to standard output";
                    Err(Failure::new(
                        exit::USAGE,
                        "usage",
                        message,
                        vec!["name a file for the page".to_owned()],
                    ))
                }
            };
        }
        let name = shown(file).to_string();
        let path = context.directory()?.join(file);
        // A link stays, and what it leads to is replaced.
        let path = path.canonicalize().unwrap_or(path);
        let refused = |why: &str| Err(unwritable(&name, why, exit::USAGE));
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => return refused("it is a directory"),
            Ok(meta) if !meta.is_file() => return refused("it is not a regular file"),
            Ok(_) => {}
            Err(_) if !path.parent().is_some_and(Path::is_dir) => {
                return refused("its directory is not there");
            }
            Err(_) if path.is_symlink() => return refused("it is a link that leads nowhere"),
            Err(_) => {}
        }
        Ok(Self::File { name, path })
    }

    /// Writes a page into a file: under another name first, then renamed. A failure is one of the run: it had all that
    /// could be asked for before.
    pub(super) fn write(&self, page: &str) -> Result<(), Failure> {
        let Self::File { name, path } = self else {
            return Ok(());
        };
        write_whole(path, page)
            .map_err(|error| unwritable(name, &platform::words_of(&error), exit::SOME_FAILED))
    }
}

fn unwritable(name: &str, why: &str, exit: u8) -> Failure {
    Failure::new(
        exit,
        "page",
        format!("the page `{name}` cannot be written: {why}"),
        Vec::new(),
    )
}
