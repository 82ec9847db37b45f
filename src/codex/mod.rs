//! The codex: the only part of the program that uses git.
//!
//! [`store`] is the clone, [`remote`] exchanges objects with the remote, [`objects`] reads and
//! writes trees, commits and packs, and [`signing`] signs commits. Values that leave this module
//! are owned and contain no git handles.

mod child_process;
mod clone_check;
pub(crate) mod git_config;
pub(crate) mod identity;
pub(crate) mod objects;
pub(crate) mod push_contents;
pub(crate) mod queue_lock;
pub(crate) mod remote;
pub(crate) mod signing;
pub(crate) mod source_repository;
pub(crate) mod source_revision;
pub(crate) mod store;
pub(crate) mod temp_clone;
pub(crate) mod uncommitted;
