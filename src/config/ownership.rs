//! Whose configuration files are read: a file that another user put in the way decides nothing.
//!
//! The rule is git's for repositories (`safe.directory`), with one more accepted owner: that of the current directory,
//! so that a container that runs as another user than the one who checked out keeps working.

use std::path::{Path, PathBuf};

use super::LoadRequest;
use super::env::SAFE_DIRECTORY;
use super::location::{LayerKind, Location, Origin};
use super::problem::Problem;
use crate::paths::{absolute, resolved, shown};
use crate::platform::{self, Owner};

/// The owners whose files are read, and the directories where any owner's are.
pub(crate) struct Ownership<'r> {
    request: &'r LoadRequest,
    user: Owner,
    /// The owner of the current directory.
    of_directory: Option<Owner>,
    /// The owners of the file that the user named.
    named: Vec<Owner>,
}

impl<'r> Ownership<'r> {
    /// `named` is the workspace's file where a flag or variable names it: naming it is trusting its owner.
    pub(crate) fn new(request: &'r LoadRequest, named: Option<&Path>) -> Self {
        let owners = |path: &Path| platform::owners(path).unwrap_or_default();

        Self {
            request,
            user: Owner::current(),
            of_directory: owners(&request.cwd).last().copied(),
            named: named.map(owners).unwrap_or_default(),
        }
    }

    /// Checks `file`, which is part of the workspace or project at one of `holders`: the file, the directories between
    /// it and the holder, and the links among them. `Err` names the file, its owner and the way out.
    pub(crate) fn check(
        &self,
        file: &Path,
        layer: LayerKind,
        holders: &[&Path],
    ) -> Result<(), Problem> {
        let between = file
            .ancestors()
            .take_while(|path| !holders.contains(path))
            .take(MOST_BETWEEN);
        // The directories of a file that lies in no holder's `.fractary` are not the workspace's.
        let is_inside = holders.iter().any(|holder| file.starts_with(holder));
        let parts: Vec<&Path> = if is_inside {
            between.collect()
        } else {
            vec![file]
        };

        for part in parts {
            // What cannot be looked at cannot be read either, and that is reported.
            let owners = platform::owners(part).unwrap_or_default();
            let Some(stranger) = owners.into_iter().find(|owner| !self.accepts(*owner)) else {
                continue;
            };
            if holders.iter().any(|holder| self.is_safe(holder)) {
                return Ok(());
            }
            let holder = holders.first().copied().unwrap_or(file);
            return Err(self.refusal(file, layer, part, stranger, holder));
        }
        Ok(())
    }

    fn accepts(&self, owner: Owner) -> bool {
        owner == self.user
            || owner == Owner::ROOT
            || Some(owner) == self.of_directory
            || self.named.contains(&owner)
    }

    fn refusal(
        &self,
        file: &Path,
        layer: LayerKind,
        part: &Path,
        stranger: Owner,
        holder: &Path,
    ) -> Problem {
        let what = if part == file {
            "the file".to_owned()
        } else {
            format!("the directory `{}`", shown(part))
        };
        let mut accepted = vec![format!("{}, who runs this", self.user)];
        if self.user != Owner::ROOT {
            accepted.push(Owner::ROOT.to_string());
        }
        let of_directory = self
            .of_directory
            .filter(|owner| ![self.user, Owner::ROOT].contains(owner));
        accepted.extend(
            of_directory.map(|owner| format!("{owner}, the owner of the current directory")),
        );
        let message = format!(
            "{what} belongs to {stranger} and is not read: only files of {} are",
            accepted.join(" and ")
        );

        let at = Origin::whole(layer, Location::File(file.to_owned()), holder);
        let holder = shown(&resolved(holder)).to_string();
        Problem::new(message).at(&at).hint(format!(
            "if you trust it: `git config --global --add safe.directory {holder}`, \
             or set `{SAFE_DIRECTORY}={holder}`"
        ))
    }

    /// Whether the user declared the directory, or the repository that it is in, safe.
    fn is_safe(&self, directory: &Path) -> bool {
        let directory = resolved(directory);
        let repository = directory
            .ancestors()
            .find(|above| above.join(".git").symlink_metadata().is_ok());
        let candidates = [Some(directory.as_path()), repository];

        let environment = &self.request.environment;
        let of_git = self.request.safe_directories.map(|read| read(environment));
        let ours = environment.get(SAFE_DIRECTORY).unwrap_or_default();
        let ours = std::env::split_paths(ours)
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| match path.to_str() {
                Some("*") => path,
                _ => absolute(&self.request.cwd, &path),
            });
        let ours: Vec<PathBuf> = ours.collect();
        let of_git = of_git.unwrap_or_default();
        let patterns = of_git
            .iter()
            .map(Path::new)
            .chain(ours.iter().map(PathBuf::as_path));

        patterns
            .flat_map(|pattern| {
                candidates
                    .into_iter()
                    .flatten()
                    .map(move |path| (pattern, path))
            })
            .any(|(pattern, path)| is_declared(pattern, path, &self.request.cwd))
    }
}

/// How many directories there are at most between a file and the directory that holds its `.fractary`.
const MOST_BETWEEN: usize = 8;

/// Whether an entry of `safe.directory` means `directory`, a resolved path. As git reads it: `*` means every directory,
/// `path/*` every one below `path`, `.` the current one, anything else exactly one. Other relative paths mean nothing.
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
