//! The values of keys that accept one of several words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value of `sync.direction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Direction {
    /// Publish to the codex.
    ToCodex,
    /// Pull from the codex.
    FromCodex,
    /// Publish, then pull.
    Bidirectional,
}

/// The value of `sync.symlinks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Symlinks {
    /// Publish the target of a link, if it is inside the root.
    FollowInside,
    /// Leave links out.
    Skip,
    /// Publish the link itself, if its target is inside the root.
    Preserve,
}

/// The value of `sync.to_codex.source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SourceState {
    /// The files in the project's directory.
    Worktree,
    /// The files as git holds them in the commit that is checked out.
    Committed,
}

/// The value of `sync.to_codex.dirty`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DirtyMode {
    /// Publish files that are not committed.
    Allow,
    /// Report them, and publish the project.
    Warn,
    /// Report them, and withhold the project.
    Withhold,
}

/// The value of `remote.transport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TransportChoice {
    /// As `native`, except that the `git` program does what only it can do.
    Auto,
    /// The program's own implementation of git's protocol. A remote that needs the `git` program is
    /// an error.
    Native,
    /// The `git` program.
    Git,
}

/// The value of `commit.sign`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SignMode {
    /// Sign commits if `commit.gpgsign` is set in git's configuration.
    Auto,
    /// Sign every commit.
    Always,
    /// Sign no commit.
    Never,
}

/// The value of `push.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PushMode {
    /// Push to the branch of the codex.
    Direct,
    /// Push to the branch that `push.branch` names.
    Branch,
    /// Push to the branch that `push.branch` names, and open a pull request.
    PullRequest,
}

/// The value of `forge.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForgeChoice {
    /// Known from the host, the CI system or the server's responses.
    Auto,
    /// GitHub: github.com, ghe.com, or Enterprise Server.
    Github,
    /// GitLab: gitlab.com, or a self-managed server.
    Gitlab,
    /// Gitea or Forgejo.
    Gitea,
}

/// The value of `push.pull_request.auto_merge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AutoMerge {
    /// A person merges the pull request.
    Off,
    /// The forge merges it with a merge commit, once its requirements are met.
    Merge,
    /// The forge merges it as one commit.
    Squash,
    /// The forge puts its commits on top of the branch of the codex.
    Rebase,
}

/// The value of `push.on_declined`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnDeclined {
    /// Find the projects that the server rejects, withhold them, and push the others.
    Isolate,
    /// Push nothing.
    Fail,
}

/// The value of `sync.on_drift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnDrift {
    /// Warn, and publish the project. The overwritten versions stay in the history.
    Overwrite,
    /// Withhold the project.
    Withhold,
}

/// The value of a key below `sync.checks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CheckMode {
    /// The check does not run.
    #[default]
    Off,
    /// Report what the check finds, and publish the project.
    Warn,
    /// Report what the check finds, and withhold the project.
    Withhold,
}

/// The value of `clone.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CloneStrategy {
    /// A temporary clone, which is deleted after the run.
    Temp,
    /// A persistent clone in the user's cache directory.
    Cached,
}
