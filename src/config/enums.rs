//! Keys that are one word of several.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `sync.direction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Publish.
    ToCodex,
    /// Bring back.
    FromCodex,
    /// Publish, then bring back.
    Bidirectional,
}

/// `sync.symlinks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Symlinks {
    /// Read what the link leads to, if that lies inside the root.
    FollowInside,
    /// Leave links out.
    Skip,
    /// Store the link itself, if it leads to a place inside the root.
    Preserve,
}

/// `remote.transport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TransportChoice {
    /// As `native`; the `git` program for what only it can do.
    Auto,
    /// The program speaks git's protocol itself. What only the `git` program can do is an error.
    Native,
    /// The `git` program.
    Git,
}

/// `commit.sign`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignMode {
    /// Sign if `commit.gpgsign` of git says so.
    Auto,
    /// Sign every commit.
    Always,
    /// Sign no commit.
    Never,
}

/// `clone.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CloneStrategy {
    /// A temporary clone, gone afterwards.
    Temp,
    /// A kept clone in the user's cache directory.
    Cached,
}
