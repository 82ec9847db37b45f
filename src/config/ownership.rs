//! Decides which owners' configuration files are read, so that a file of another user has no
//! effect.
//!
//! The rule is git's rule for repositories (`safe.directory`), with one more accepted owner: that
//! of the current directory. This is for containers, which often run as another user than the owner
//! of the checkout.

use std::path::{Path, PathBuf};

use super::location::{LayerKind, Location, Origin};
use super::problem::Problem;
use super::request::LoadRequest;
use super::variables::SAFE_DIRECTORY;
use crate::paths::{absolute, resolved, shown};
use crate::platform::{self, FileOwner};

/// The accepted owners, and the source of the directories in which every owner is accepted.
pub(crate) struct Ownership<'r> {
    request: &'r LoadRequest,
    user: FileOwner,
    /// The owner of the current directory.
    of_directory: Option<FileOwner>,
    /// The owners of the workspace's file if the user named it.
    named: Vec<FileOwner>,
}

impl<'r> Ownership<'r> {
    /// `named` is the workspace's file if a flag or variable names it, which means that the user
    /// trusts its owner.
    pub(crate) fn new(request: &'r LoadRequest, named: Option<&Path>) -> Self {
        let owners = |path: &Path| platform::owners(path).unwrap_or_default();

        Self {
            request,
            user: FileOwner::current(),
            of_directory: owners(&request.cwd).last().copied(),
            named: named.map(owners).unwrap_or_default(),
        }
    }

    /// Checks the owners of `file`, of the directories between it and the one of `holders` that
    /// contains it, and of links among these. `holders` are the directories of a workspace or a
    /// project. The error names the file, its owner, and a way to trust it.
    pub(crate) fn check(
        &self,
        file: &Path,
        layer: LayerKind,
        holders: &[&Path],
    ) -> Result<(), Problem> {
        let between = file
            .ancestors()
            .take_while(|path| !holders.contains(path))
            .take(MAX_BETWEEN);
        // The directories of a file outside all holders do not belong to the workspace.
        let is_inside = holders.iter().any(|holder| file.starts_with(holder));
        let parts: Vec<&Path> = if is_inside {
            between.collect()
        } else {
            vec![file]
        };

        for part in parts {
            // A path without accessible owner cannot be read either, which is reported by the
            // reader.
            let owners = platform::owners(part).unwrap_or_default();
            let Some(other) = owners.into_iter().find(|owner| !self.accepts(*owner)) else {
                continue;
            };
            if holders.iter().any(|holder| self.is_safe(holder)) {
                return Ok(());
            }
            let holder = holders.first().copied().unwrap_or(file);
            return Err(self.rejection(file, layer, part, other, holder));
        }
        Ok(())
    }

    /// Whether files of `owner` are read.
    fn accepts(&self, owner: FileOwner) -> bool {
        owner == self.user
            || owner == FileOwner::ROOT
            || Some(owner) == self.of_directory
            || self.named.contains(&owner)
    }

    /// The error for `part`, which is the file itself or a directory on its path and belongs to
    /// `other`. The hint trusts `holder`.
    fn rejection(
        &self,
        file: &Path,
        layer: LayerKind,
        part: &Path,
        other: FileOwner,
        holder: &Path,
    ) -> Problem {
        let what = if part == file {
            "the file".to_owned()
        } else {
            format!("the directory `{}`", shown(part))
        };
        let mut accepted = vec![format!("{} (the current user)", self.user)];
        if self.user != FileOwner::ROOT {
            accepted.push(FileOwner::ROOT.to_string());
        }
        let of_directory = self
            .of_directory
            .filter(|owner| ![self.user, FileOwner::ROOT].contains(owner));
        accepted.extend(
            of_directory.map(|owner| format!("{owner} (the owner of the current directory)")),
        );
        let message = format!(
            "{what} belongs to {other} and is not read; accepted owners: {}",
            accepted.join(", ")
        );

        let at = Origin::whole(layer, Location::File(file.to_owned()), holder);
        let holder = shown(&resolved(holder)).to_string();
        Problem::new(message).at(&at).hint(format!(
            "if you trust it, run `git config --global --add safe.directory {holder}`, \
             or set `{SAFE_DIRECTORY}={holder}`"
        ))
    }

    /// Whether the user declared the directory, or the repository that contains it, as safe.
    fn is_safe(&self, directory: &Path) -> bool {
        let directory = resolved(directory);
        let repository = directory
            .ancestors()
            .find(|above| above.join(".git").symlink_metadata().is_ok());
        let candidates = [Some(directory.as_path()), repository];

        let environment = &self.request.environment;
        let of_git = self.request.safe_directories.map(|read| read(environment));
        let of_git = of_git.unwrap_or_default().into_iter().map(PathBuf::from);
        let of_variable =
            std::env::split_paths(environment.get(SAFE_DIRECTORY).unwrap_or_default())
                .filter(|path| !path.as_os_str().is_empty())
                .map(|path| match path.to_str() {
                    Some("*") => path,
                    _ => absolute(&self.request.cwd, &path),
                });
        of_git.chain(of_variable).any(|pattern| {
            let mut candidates = candidates.into_iter().flatten();
            candidates.any(|path| is_declared(&pattern, path, &self.request.cwd))
        })
    }
}

/// The greatest number of directories between a file and the directory that holds its `.fractary`.
const MAX_BETWEEN: usize = 8;

/// Whether an entry of `safe.directory` includes `directory`, a resolved path. As in git, `*`
/// includes every directory, `path/*` every directory below `path`, `.` the current directory, and
/// an absolute path only itself. Other relative paths include nothing.
fn is_declared(pattern: &Path, directory: &Path, cwd: &Path) -> bool {
    if pattern == Path::new("*") {
        return true;
    }
    if pattern == Path::new(".") {
        return resolved(cwd) == directory;
    }
    if !pattern.is_absolute() {
        return false;
    }
    if pattern.file_name().is_some_and(|name| name == "*") {
        let above = pattern.parent().map(resolved);
        return above.is_some_and(|above| directory != above && directory.starts_with(above));
    }
    resolved(pattern) == directory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_safe_directory_are_read_as_git_reads_them() {
        let cwd = Path::new("/nowhere/cwd");
        for (pattern, directory, expected) in [
            ("*", "/nowhere/a", true),
            ("/nowhere/a", "/nowhere/a", true),
            ("/nowhere/a/", "/nowhere/a", true),
            ("/nowhere/x/../a", "/nowhere/a", true),
            ("/nowhere/a", "/nowhere/a/b", false),
            ("/nowhere/a", "/nowhere/ab", false),
            ("/nowhere/*", "/nowhere/a/b", true),
            ("/nowhere/*", "/nowhere", false),
            ("/nowhere/a*", "/nowhere/ab", false),
            ("nowhere/a", "/nowhere/a", false),
            (".", "/nowhere/cwd", true),
            (".", "/nowhere/cwd/a", false),
            ("", "/nowhere/a", false),
        ] {
            let declared = is_declared(Path::new(pattern), Path::new(directory), cwd);
            assert_eq!(declared, expected, "{pattern} {directory}");
        }
    }
}
