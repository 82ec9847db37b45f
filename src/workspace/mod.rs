//! The workspace as the rest of the program sees it: projects, the remote and the policies, valid by construction.
//!
//! A [`Workspace`] is resolved from the configuration's layers once, with all errors at once; nothing below reads
//! configuration again. Every path in it is absolute.

pub mod claims;
#[doc(hidden)]
pub mod codex_selector;
pub mod project;
mod resolve;
mod select;
pub(crate) mod template;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{CloneStrategy, SignMode, TransportChoice};
use crate::names::ProjectName;
use crate::paths::resolved;
use crate::secret::Secret;
use crate::url::RemoteUrl;

pub use project::Project;
pub use resolve::load;
pub use select::{SelectError, select};

/// Everything a command needs to know, resolved.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The directory that holds `.fractary/`, or the current directory where no file was found.
    pub root: PathBuf,
    /// `organization`, given or detected.
    pub organization: Option<String>,
    /// `codex_repo`.
    pub codex_repo: Option<String>,
    /// The environment chosen by `--env`, for `{env}`.
    pub environment: Option<String>,
    /// Where the codex is and how to get there.
    pub remote: Remote,
    /// In name order, no two on one place in the codex.
    pub projects: Vec<Project>,
    /// How commits are written.
    pub commit: CommitPolicy,
    /// How often a push is tried again when the branch moved.
    pub retries: u32,
    /// Where the clone of the codex lives.
    pub clone: CloneStrategy,
    /// Whether what a project published is put into its local cache as well.
    pub caches_published: bool,
    /// The workspace's cache, which its projects share unless they have their own.
    pub cache_dir: PathBuf,
    /// Whether variables or flags name projects: then another run may have others.
    pub projects_vary: bool,
    /// Where recorded state lives.
    pub state_dir: PathBuf,
    /// Where the user's runs on this machine queue for a remote, whatever `state.dir` says.
    pub shared_state_dir: PathBuf,
    /// Threads; 0 is one a core.
    pub jobs: usize,
}

impl Workspace {
    /// Whether the cache in `directory` belongs to this workspace alone: it lies inside.
    pub fn owns_cache(&self, directory: &Path) -> bool {
        directory.starts_with(&self.root) || directory.starts_with(resolved(&self.root))
    }

    /// Whether the configuration has a project of this name that uses the cache in `directory`.
    pub fn uses_cache(&self, project: &ProjectName, directory: &Path) -> bool {
        let found = self.projects.binary_search_by(|one| one.name.cmp(project));
        found.is_ok_and(|index| self.projects[index].cache_dir == directory)
    }
}

/// `remote.*`.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The URL, from `remote.url` or the default for organization and repository.
    pub url: RemoteUrl,
    /// The branch, where one was chosen; else the remote's HEAD decides.
    pub branch: Option<String>,
    /// `remote.token`, where it is for this remote's host.
    pub token: Option<Secret>,
    /// `remotes."ORG/REPO".token` of the older tool, where ORG/REPO is this remote and the token is for its host.
    pub repository_token: Option<Secret>,
    /// Tokens that are for another host than this remote's, and the hosts they are for: named if authentication fails.
    pub unused_tokens: Vec<String>,
    /// Variables that a `token` value names and that are not set: told if authentication fails.
    pub unset_token_variables: Vec<String>,
    /// The user name sent with a token.
    pub username: String,
    /// Make a missing local repository or branch.
    pub create: bool,
    /// Which implementation moves objects.
    pub transport: TransportChoice,
    /// Allow a token over plain http beyond loopback.
    pub allow_insecure: bool,
    /// Time limits.
    pub timeout: Timeouts,
}

/// `remote.timeout.*`.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Without a byte moving.
    pub idle: Duration,
    /// For the server's verdict on a push; its hooks may take their time.
    pub push_verdict: Duration,
}

/// `commit.*`.
#[derive(Debug, Clone)]
pub struct CommitPolicy {
    /// The message's template; `{count}`, `{project}`, `{org}`, `{env}`, `{branch}`, `{codex_repo}` are replaced.
    pub message: String,
    /// Name and e-mail, where the configuration gives them.
    pub author: Option<Author>,
    /// Whether trailers are written.
    pub trailers: bool,
    /// Whether commits are signed.
    pub sign: SignMode,
}

/// `commit.author`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}
