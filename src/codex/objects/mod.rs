//! Git objects as bytes: trees, commits and packs. Nothing here needs a repository, except
//! [`commit_builder`], which reads the existing trees from the clone.

pub(crate) mod commit;
pub(crate) mod commit_builder;
pub(crate) mod commit_message;
pub(crate) mod commit_walk;
pub(crate) mod fork;
pub(crate) mod last_syncs;
pub mod listing;
pub(crate) mod pack;
pub(crate) mod path_history;
pub(crate) mod spellings;
pub(crate) mod sync_history;
pub(crate) mod tree;
pub(crate) mod tree_merge;
