//! The target of documents: `fetch --output FILE|DIR`.

use std::fs;
use std::path::{Path, PathBuf};

use bstr::BStr;
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::write_whole;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::paths::shown;
use crate::platform::{path_of, words_of};

/// The target of documents.
pub(super) enum DocumentTarget {
    /// Standard output.
    Stdout,
    /// A file, which is replaced atomically. All links of the path are resolved.
    File(PathBuf),
    /// A directory, which is created if it does not exist.
    Directory(PathBuf),
}

impl DocumentTarget {
    /// Resolves `--output`. A target that cannot be written in any case is a usage error, so that it
    /// is reported before anything is fetched. With `is_one`, there is at most one document.
    pub(super) fn new(
        output: Option<&Path>,
        is_one: bool,
        context: &Context,
    ) -> Result<Self, CommandError> {
        let Some(output) = output.filter(|output| *output != Path::new("-")) else {
            return Ok(Self::Stdout);
        };
        let path = context.directory()?.join(output);
        let ends_with_slash = output.as_os_str().as_encoded_bytes().ends_with(b"/");
        if ends_with_slash || path.is_dir() {
            return Ok(Self::Directory(path));
        }
        if !is_one {
            let message = format!("`{}` is not a directory", shown(output));
            let hint = "several documents are written to a directory: end its path with `/`";
            return Err(CommandError::usage(message).hint(hint));
        }

        let path = dunce::canonicalize(&path).unwrap_or(path);
        let rejected = |reason: &str| {
            let message = format!("cannot write to `{}`: {reason}", shown(output));
            Err(CommandError::usage(message))
        };
        match fs::metadata(&path) {
            Ok(meta) if !meta.is_file() => rejected("it is not a regular file"),
            Ok(_) => Ok(Self::File(path)),
            Err(_) if !path.parent().is_some_and(Path::is_dir) => {
                rejected("its directory does not exist")
            }
            Err(_) if path.is_symlink() => rejected("it is a broken link"),
            Err(_) => Ok(Self::File(path)),
        }
    }

    /// Writes a document to the file, or to `path` in the directory, and returns the path of the
    /// file. `None` if the target is standard output, to which nothing is written here.
    pub(super) fn write(
        &self,
        path: &BStr,
        contents: &[u8],
    ) -> Result<Option<PathBuf>, CommandError> {
        let (file, written) = match self {
            Self::Stdout => return Ok(None),
            Self::File(file) => (file.clone(), write_whole(file, contents)),
            Self::Directory(directory) => {
                let file = directory.join(path_of(path));
                let written = parent_in(directory, path_of(path))
                    .and_then(|parent| write_whole(&parent, contents));
                (file, written)
            }
        };
        match written {
            Ok(()) => Ok(Some(file)),
            Err(error) => {
                let reason = words_of(&error);
                let message = format!("cannot write `{}`: {reason}", shown(&file));
                Err(CommandError::new(
                    exit::SOME_FAILED,
                    "output",
                    message,
                    Vec::new(),
                ))
            }
        }
    }
}

/// Creates the directories for the file at `path` in `directory`, and returns its real path. A link
/// that leads out of the directory is an error.
fn parent_in(directory: &Path, path: &Path) -> std::io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let real = dunce::canonicalize(directory)?;
    let Some((parent, name)) = path.parent().zip(path.file_name()) else {
        return Ok(real.join(path));
    };
    if !parent.as_os_str().is_empty() {
        let opened = Dir::open_ambient_dir(&real, ambient_authority())?;
        opened.create_dir_all(parent)?;
        opened.open_dir(parent)?;
    }
    Ok(real.join(parent).join(name))
}
