//! The paths by which a CI system knows the files of a checkout.

use std::path::{Path, PathBuf};

use bstr::BStr;

use crate::paths::{resolved, shown};
use crate::platform::path_of;

/// Converts paths to those that start from the directory of the checkout.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourcePlace {
    /// The directory of the checkout; `None` outside a CI system.
    checkout: Option<PathBuf>,
    /// The directory that relative paths start from.
    directory: PathBuf,
}

impl SourcePlace {
    /// `checkout` and `directory` are absolute.
    pub(crate) fn new(checkout: Option<&Path>, directory: &Path) -> Self {
        Self {
            checkout: checkout.map(resolved),
            directory: resolved(directory),
        }
    }

    /// The same, for relative paths that start from another directory.
    pub(crate) fn in_directory(&self, directory: &Path) -> Self {
        Self {
            checkout: self.checkout.clone(),
            directory: self.directory.join(directory),
        }
    }

    /// The path of a file from the checkout, escaped. A path outside stays as it is.
    pub(crate) fn path_of(&self, file: &BStr) -> String {
        let file = path_of(file);
        let Some(checkout) = &self.checkout else {
            return shown(file).to_string();
        };
        let path = self.directory.join(file);
        let below = path.strip_prefix(checkout).ok();
        shown(below.unwrap_or(file)).to_string()
    }
}
