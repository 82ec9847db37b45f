//! The workspace as the rest of the program sees it: the projects, the remote and the policies.
//!
//! [`load`] resolves a [`Workspace`] once from the layers of the configuration, and reports all errors together. The stages of
//! a run do not read the configuration again.

pub mod claims;
#[doc(hidden)]
pub mod codex_selector;
pub mod project;
mod resolve;
mod select;
mod settings;
pub(crate) mod template;

pub use project::Project;
pub use resolve::load;
pub use select::{SelectError, select};
pub use settings::{Author, CommitPolicy, Remote, Timeouts, Workspace};
