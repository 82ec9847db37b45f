//! Checkouts: directories of git repositories, with what their remotes and their own configuration
//! files say about the codex.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::codex::source_repository::{SourceRepositories, UnreadableRepository};
use crate::config;
use crate::paths::shown;
use crate::url::{InvalidUrl, RemoteUrl};

/// How many levels below a directory its checkouts are searched for.
const DEPTH: usize = 3;

/// A directory of a git repository.
#[derive(Debug)]
pub(super) struct Checkout {
    /// The directory, relative to the one that is initialized. It is empty for that one.
    pub(super) directory: PathBuf,
    /// The remote `origin`, if it is on another machine.
    pub(super) remote: Result<Option<RemoteUrl>, UnreadableRepository>,
    /// Why the URL of the remote `origin` cannot be used, if there is one.
    pub(super) unusable_origin: Option<InvalidUrl>,
    /// The git directory that all worktrees of the repository share, and whether this is not the first
    /// of them.
    shared_with: Option<(PathBuf, bool)>,
    /// What the checkout's own configuration file says.
    pub(super) own: OwnKeys,
}

/// The keys of a checkout's own configuration file that concern its workspace. A text with a
/// variable is left out.
#[derive(Debug, Default)]
pub(super) struct OwnKeys {
    pub(super) organization: Option<String>,
    pub(super) codex_repo: Option<String>,
    /// `remote.url` without a password; a path is absolute.
    pub(super) url: Option<String>,
    pub(super) project: Option<String>,
}

impl OwnKeys {
    /// Reads the file of `directory`; without one, or with a broken one, no key is set.
    pub(super) fn read(directory: &Path) -> Self {
        let Some(section) = config::section_of_directory(directory) else {
            return Self::default();
        };
        let text = |path: &[&str]| {
            let text = section.get(path)?.as_text()?;
            let is_plain = !text.is_empty() && !text.contains("${");
            is_plain.then(|| text.to_owned())
        };
        Self {
            organization: text(&["organization"]),
            codex_repo: text(&["codex_repo"]),
            url: text(&["remote", "url"]).and_then(|url| {
                let url = RemoteUrl::parse(&url, directory).ok()?;
                let path = url.local_path().and_then(Path::to_str);
                Some(path.map_or_else(|| url.without_secrets(), str::to_owned))
            }),
            project: text(&["project"]),
        }
    }
}

impl Checkout {
    /// The repository that contains `root` itself.
    pub(super) fn of_root(root: &Path) -> Self {
        Self::read(root, PathBuf::new())
    }

    /// The checkouts below `root`, in name order. Neither checkouts inside of checkouts nor hidden
    /// directories are searched. In a repository, a directory with a file `.git` is a submodule or
    /// a worktree of it, and belongs to it.
    pub(super) fn below(root: &Path) -> Vec<Self> {
        let is_repository = root.join(".git").exists();
        let mut directories = Vec::new();
        search(
            root,
            DEPTH,
            &|git| !is_repository || git.is_dir(),
            &mut directories,
        );
        directories.sort();
        let relative = directories
            .into_iter()
            .filter_map(|directory| Some(directory.strip_prefix(root).ok()?.to_owned()));
        relative
            .map(|directory| Self::read(root, directory))
            .collect()
    }

    /// The checkouts beside `root` whose name is that of a codex.
    pub(super) fn codexes_beside(root: &Path) -> Vec<Self> {
        let Some(parent) = root.parent() else {
            return Vec::new();
        };
        subdirectories(parent)
            .into_iter()
            .filter(|directory| directory.join(".git").exists())
            .filter_map(|directory| Some(PathBuf::from(directory.file_name()?)))
            .map(|directory| Self::read(parent, directory))
            .filter(|checkout| checkout.repository_name().starts_with(CODEX_PREFIX))
            .collect()
    }

    fn read(root: &Path, directory: PathBuf) -> Self {
        let path = root.join(&directory);
        let repository = SourceRepositories::default().of(&path);
        let found = repository.as_ref().ok().and_then(Option::as_ref);
        let unusable_origin = found.and_then(|found| found.unusable_origin());
        let shared_with = found.map(|found| (found.common_directory(), found.is_worktree()));
        let remote = repository.map(|found| found?.origin().filter(|url| url.host().is_some()));
        Self {
            remote,
            unusable_origin,
            shared_with,
            own: OwnKeys::read(&path),
            directory,
        }
    }

    /// The URL of the remote, if it is on another machine.
    pub(super) fn url(&self) -> Option<&RemoteUrl> {
        self.remote.as_ref().ok()?.as_ref()
    }

    /// The owner of the repository on its server.
    pub(super) fn organization(&self) -> Option<String> {
        self.url()?.owner()
    }

    /// The name of the repository on its server, or else that of the directory.
    pub(super) fn repository_name(&self) -> String {
        let remote = self.url().map(RemoteUrl::repository);
        let remote = remote.and_then(|path| Some(path.rsplit_once('/')?.1.to_owned()));
        let directory = || {
            let name = self.directory.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        remote.unwrap_or_else(directory)
    }
}

/// The beginning of the usual name of a codex, `codex.ORGANIZATION.com`.
pub(super) const CODEX_PREFIX: &str = "codex.";

/// Removes the worktrees of repositories of which another directory is among the checkouts, or is `root`:
/// they have the same documents. Returns a remark for each.
pub(super) fn remove_worktrees(checkouts: &mut Vec<Checkout>, root: &Checkout) -> Vec<String> {
    let mut known: HashMap<PathBuf, PathBuf> = HashMap::new();
    let first_ones = std::iter::once(root).chain(&*checkouts);
    for checkout in first_ones {
        if let Some((common, false)) = &checkout.shared_with {
            known.insert(common.clone(), checkout.directory.clone());
        }
    }

    let mut remarks = Vec::new();
    checkouts.retain(|checkout| {
        let Some((common, true)) = &checkout.shared_with else {
            return true;
        };
        let directory = &checkout.directory;
        let first = known.entry(common.clone()).or_insert(directory.clone());
        if first == directory {
            return true;
        }
        let first = match first.as_os_str().is_empty() {
            true => Path::new("."),
            false => first,
        };
        remarks.push(format!(
            "`{}` is a worktree of the repository in `{}` and is left out",
            shown(directory),
            shown(first)
        ));
        false
    });
    remarks
}

fn search(
    directory: &Path,
    depth: usize,
    is_checkout: &dyn Fn(&Path) -> bool,
    found: &mut Vec<PathBuf>,
) {
    for directory in subdirectories(directory) {
        let git = directory.join(".git");
        if !git.exists() {
            if depth > 1 {
                search(&directory, depth - 1, is_checkout, found);
            }
        } else if is_checkout(&git) {
            found.push(directory);
        }
    }
}

/// The directories in `path`, in name order, without links, hidden directories and
/// `node_modules`.
pub(super) fn subdirectories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| {
            let name = entry.file_name();
            !name.as_encoded_bytes().starts_with(b".") && name != "node_modules"
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
