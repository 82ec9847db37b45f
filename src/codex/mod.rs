//! All use of git: the codex, and the repositories of the projects.
//!
//! | | |
//! |---|---|
//! | the codex | [`store`] is the clone, [`packed_objects`] and [`loose_objects`] read what libgit2 reads badly, and [`remote`] exchanges objects with the remote |
//! | the repositories of the projects, which are only read | [`source_repository`], [`source_revision`], [`source_index`], [`source_changes`], [`source_commits`], [`source_authors`] and [`uncommitted`] |
//! | both | [`objects`] reads and writes trees, commits and packs; [`identity`] and [`signing`] are about commits; [`git_config`] reads git's configuration |
//!
//! Values that leave this module are owned and contain no git handles.

mod child_process;
mod clone_check;
pub(crate) mod git_config;
pub(crate) mod identity;
pub(crate) mod left_out_files;
mod loose_objects;
pub(crate) mod objects;
mod packed_objects;
pub(crate) mod push_contents;
pub(crate) mod queue_lock;
pub(crate) mod remote;
pub(crate) mod signing;
pub(crate) mod source_authors;
pub(crate) mod source_changes;
mod source_commits;
pub(crate) mod source_index;
pub(crate) mod source_repository;
pub(crate) mod source_revision;
pub(crate) mod store;
pub(crate) mod temp_clone;
pub(crate) mod uncommitted;
