//! The workspace as the rest of the program sees it: the projects, the remote and the policies.
//!
//! [`load`] resolves a [`Workspace`] once from the layers of the configuration, and reports all
//! errors together. The stages of a run do not read the configuration again.

pub(crate) mod claims;
pub(crate) mod codex_selector;
pub(crate) mod covering_pattern;
pub(crate) mod document_uri;
pub(crate) mod project;
mod resolve;
mod select;
mod settings;
mod settings_digests;
pub(crate) mod shards;
pub(crate) mod template;

pub use project::{FromCodex, Project};
pub use resolve::load;
pub(crate) use resolve::{DerivedValue, derived_values};
pub use select::{SelectError, select};
pub(crate) use settings::{CommitPolicy, PullRequestSettings, PushBranches, Timeouts};
pub use settings::{Remote, Workspace};
