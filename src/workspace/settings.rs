//! The resolved workspace. Every value in it is valid, and every path is absolute.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::project::Project;
use super::shards::Shard;
use crate::config::{AutoMerge, CloneStrategy, ForgeChoice, OnDeclined, SignMode, TransportChoice};
use crate::names::ProjectName;
use crate::paths::resolved;
use crate::secret::Secret;
use crate::url::RemoteUrl;

/// The resolved settings of all commands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Workspace {
    /// The directory that holds `.fractary/`, or the current directory if no file was found.
    pub root: PathBuf,
    /// The organization, configured or detected.
    pub organization: Option<String>,
    /// The name of the codex repository.
    pub codex_repo: Option<String>,
    /// The name of the environment that `--env` selects, for the placeholder `{env}`.
    pub environment_name: Option<String>,
    /// The location of the codex, and how to connect to it.
    pub remote: Remote,
    /// The projects in the order of their names. Their directories in the codex do not overlap.
    pub projects: Vec<Project>,
    /// How commits are written.
    pub(crate) commit: CommitPolicy,
    /// The forge that hosts the codex.
    pub(crate) forge: ForgeSettings,
    /// The settings of pull requests; `None` unless `push.mode` is `pull-request`.
    pub(crate) pull_request: Option<PullRequestSettings>,
    /// The maximum number of retries of a push if the branch moved.
    pub(crate) retries: u32,
    /// The branches that commits are pushed to.
    pub(crate) push_branches: PushBranches,
    /// The greatest number of branches in one push; `None` for as many as the server allows.
    pub(crate) max_refs: Option<NonZeroUsize>,
    /// The treatment of the other projects if the server rejects some.
    pub(crate) on_declined: OnDeclined,
    /// Whether the clone of the codex is temporary or persistent.
    pub(crate) clone: CloneStrategy,
    /// Whether published files are also written to the local cache.
    pub(crate) caches_published: bool,
    /// The workspace's cache. A project shares it unless it has its own.
    pub cache_dir: PathBuf,
    /// Whether variables or flags name projects, so that another run can have other projects.
    pub(crate) projects_vary: bool,
    /// The directory of recorded state.
    pub state_dir: PathBuf,
    /// The state directory that all runs of the user on this machine share, whatever `state.dir`
    /// is. It has the locks of remotes.
    pub(crate) shared_state_dir: PathBuf,
    /// The number of threads; 0 means one per core.
    pub(crate) jobs: usize,
}

impl Workspace {
    /// The project of this name.
    pub fn project(&self, name: &str) -> Option<&Project> {
        let projects = &self.projects;
        let found = projects.binary_search_by(|project| project.name.as_str().cmp(name));
        found.ok().map(|index| &projects[index])
    }

    /// Gives the shard a sync branch of its own, if all projects would share one. Otherwise the shards
    /// would push to it at the same time, and each pull request would have only some of the projects.
    pub(crate) fn separate_shard(&mut self, shard: &Shard) {
        if let PushBranches::Shared(branch) = &mut self.push_branches {
            branch.push_str(&format!("-{}-of-{}", shard.number, shard.count));
        }
    }

    /// Whether the cache in `directory` belongs to this workspace alone, because it is inside.
    pub fn owns_cache(&self, directory: &Path) -> bool {
        directory.starts_with(&self.root) || directory.starts_with(resolved(&self.root))
    }

    /// Whether the workspace has a project of this name that uses the cache in `directory`.
    pub fn uses_cache(&self, project: &ProjectName, directory: &Path) -> bool {
        let project = self.project(project.as_str());
        project.is_some_and(|project| project.cache_dir == directory)
    }
}

/// The settings of the remote.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Remote {
    /// The URL, from `remote.url` or made from organization and repository.
    pub url: RemoteUrl,
    /// The selected branch; `None` if the remote's HEAD decides.
    pub branch: Option<String>,
    /// The token of `remote.token`, if it is for this remote's host.
    pub(crate) token: Option<Secret>,
    /// The token of `remotes."ORG/REPO".token`, which is a key of the older tool, if it is for this
    /// remote.
    pub(crate) repository_token: Option<Secret>,
    /// Descriptions of the tokens that are for another host. They are reported if authentication
    /// fails.
    pub(crate) unused_tokens: Vec<String>,
    /// The variables in the value of a token that are not set. They are reported if authentication
    /// fails.
    pub(crate) unset_token_variables: Vec<String>,
    /// The user name that is sent with a token.
    pub(crate) username: String,
    /// Whether a missing local repository or a missing branch is created.
    pub create: bool,
    /// The implementation that exchanges objects with the remote.
    pub(crate) transport: TransportChoice,
    /// Whether the token or the password for `url` may be sent over plain http to other machines.
    pub(crate) allow_insecure: bool,
    /// Whether any token may be sent over plain http to other machines, because the user or the run
    /// allows it.
    pub(crate) allow_insecure_by_user: bool,
    /// Time limits.
    pub(crate) timeout: Timeouts,
}

/// The branches that commits are pushed to. A sync branch is never the branch of the codex, which
/// it is to be merged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PushBranches {
    /// The branch of the codex.
    Direct,
    /// One sync branch for all projects.
    Shared(String),
    /// One sync branch per project, named by this template with the placeholder `{project}`.
    PerProject(String),
}

impl PushBranches {
    /// The sync branch of a project; `None` if commits go to the branch of the codex.
    pub(crate) fn of(&self, project: &ProjectName) -> Option<String> {
        match self {
            Self::Direct => None,
            Self::Shared(branch) => Some(branch.clone()),
            Self::PerProject(template) => Some(template.replace("{project}", project.as_str())),
        }
    }
}

/// The settings of pull requests.
#[derive(Debug, Clone)]
pub(crate) struct PullRequestSettings {
    /// The template of the title.
    pub title: String,
    /// The template of the first lines of the body.
    pub body: String,
    /// The labels of a new pull request.
    pub labels: Vec<String>,
    /// The reviewers of a new pull request: users, and teams as `ORG/TEAM`.
    pub reviewers: Vec<String>,
    /// Whether pull requests are opened as drafts.
    pub is_draft: bool,
    /// Whether the forge merges the pull requests, and by which method.
    pub auto_merge: AutoMerge,
}

/// The settings of the forge that hosts the codex.
#[derive(Debug, Clone)]
pub(crate) struct ForgeSettings {
    /// The kind of forge.
    pub kind: ForgeChoice,
    /// The URL of the API; `None` for the API of the remote's host.
    pub api: Option<RemoteUrl>,
    /// The name of the repository, if it is configured.
    pub repository: Option<String>,
    /// The token of `forge.token`, if it may be sent to the API.
    pub token: Option<Secret>,
    /// Whether the tokens of the remote may be sent to the API.
    pub takes_remote_token: bool,
    /// Whether a token may be sent to the API over plain http to another machine.
    pub allow_insecure: bool,
    /// Descriptions of the tokens that may not be sent to the API.
    pub unused_tokens: Vec<String>,
}

impl ForgeSettings {
    /// Whether any key of the forge is set.
    pub(crate) fn is_configured(&self) -> bool {
        self.kind != ForgeChoice::Auto
            || self.api.is_some()
            || self.repository.is_some()
            || self.token.is_some()
    }
}

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// The limit for establishing a connection.
    pub connect: Duration,
    /// The limit for a time without any byte transferred.
    pub idle: Duration,
    /// The limit for the server's response to a push. Hooks of the server can be slow.
    pub push_verdict: Duration,
}

/// The settings of commits.
#[derive(Debug, Clone)]
pub(crate) struct CommitPolicy {
    /// The template of the message. `{count}`, `{project}`, `{org}`, `{env}`, `{branch}`,
    /// `{codex_repo}` and `{subject}` are replaced.
    pub message: String,
    /// The author, if the configuration has one.
    pub author: Option<Author>,
    /// Whether trailers are added.
    pub trailers: bool,
    /// Whether trailers name the authors of the source commits.
    pub credit: bool,
    /// Whether commits are signed.
    pub sign: SignMode,
}

impl CommitPolicy {
    /// Whether the messages depend on the source commits.
    pub(crate) fn needs_source_commits(&self) -> bool {
        self.credit || self.message.contains("{subject}")
    }
}

/// The configured author of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Author {
    /// The author's name.
    pub name: String,
    /// The author's e-mail address.
    pub email: String,
}
