//! A list of packages, and the patterns that lists are made of.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::config::member_search::matching_directories;
use crate::glob::Glob;
use crate::paths::{absolute, escaped};

/// The packages that one build tool lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct MemberList {
    /// The tool and its file, such as "Cargo workspace (Cargo.toml)".
    pub(crate) source: String,
    /// The directories of the packages, relative to the root. The root is the empty path.
    pub(crate) directories: BTreeSet<PathBuf>,
    /// What could not be read, and packages that were left out.
    pub(crate) remarks: Vec<String>,
}

impl MemberList {
    pub(super) fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            ..Self::default()
        }
    }

    /// Whether there is a package besides the root.
    pub(crate) fn has_packages(&self) -> bool {
        self.directories
            .iter()
            .any(|directory| !directory.as_os_str().is_empty())
    }

    /// Adds the directories below `root` that `pattern` matches and that contain one of the
    /// `manifests`.
    pub(super) fn add_matches(&mut self, root: &Path, pattern: &str, manifests: &[&str]) {
        let pattern = relative_pattern(pattern);
        let found = Glob::new(pattern).map(|glob| {
            let mut found = matching_directories(root, &glob);
            // In these tools, a trailing `**` also matches the directory itself.
            if let Some(above) = pattern.strip_suffix("/**")
                && let Ok(glob) = Glob::new(above)
            {
                found.extend(matching_directories(root, &glob));
            }
            found
        });
        match found {
            Ok(found) => {
                let has_manifest = |directory: &PathBuf| {
                    manifests.iter().any(|name| directory.join(name).is_file())
                };
                let packages = found.into_iter().filter(has_manifest);
                let packages: Vec<_> = packages.filter_map(|one| below(root, &one)).collect();
                self.directories.extend(packages);
            }
            Err(error) => self.remark(error),
        }
    }

    /// Removes the directories that `pattern` matches.
    pub(super) fn remove_matches(&mut self, pattern: &str) {
        let pattern = relative_pattern(pattern);
        let above = pattern.strip_suffix("/**");
        for pattern in [Some(pattern), above].into_iter().flatten() {
            match Glob::new(pattern) {
                Ok(glob) => self
                    .directories
                    .retain(|directory| !glob.matches(directory.as_os_str().as_encoded_bytes())),
                Err(error) => self.remark(error),
            }
        }
    }

    /// Adds the directory at `path`, relative to `base`, if it is inside of `root`. Remarks call it
    /// `name`.
    pub(super) fn add_directory(
        &mut self,
        root: &Path,
        base: &Path,
        path: &Path,
        name: &str,
    ) -> Option<PathBuf> {
        let directory = absolute(base, path);
        let relative = below(root, &directory);
        match &relative {
            None => self.remark(format!(
                "`{}` is outside of this directory",
                escaped(name.as_bytes())
            )),
            _ if !directory.is_dir() => {
                self.remark(format!("`{}` is not a directory", escaped(name.as_bytes())))
            }
            Some(relative) => {
                self.directories.insert(relative.clone());
                return Some(directory);
            }
        }
        None
    }

    pub(super) fn remark(&mut self, remark: impl Display) {
        self.remarks.push(format!("{}: {remark}", self.source));
    }
}

/// A pattern without a leading `./` and without a trailing `/`.
pub(super) fn relative_pattern(pattern: &str) -> &str {
    pattern.trim_start_matches("./").trim_end_matches('/')
}

/// The path of `directory` relative to `root`; `None` if it is elsewhere.
pub(super) fn below(root: &Path, directory: &Path) -> Option<PathBuf> {
    let relative = directory.strip_prefix(root).ok()?;
    Some(relative.to_owned())
}
