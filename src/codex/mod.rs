//! The codex: the only part of the program that uses git.
//!
//! [`store`] is the clone, [`remote`] exchanges objects with the remote, [`objects`] reads and writes
//! trees, commits and packs, and [`signing`] signs commits. Values that leave this module are owned and contain no git handles.

mod child_process;
mod clone_check;
pub mod git_config;
pub mod identity;
pub mod objects;
pub mod push_contents;
pub mod queue_lock;
pub mod remote;
pub mod signing;
pub mod source_revision;
pub mod store;
pub mod temp_clone;
