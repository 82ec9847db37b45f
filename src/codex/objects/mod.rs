//! Git objects as bytes: trees, commits and packs. Nothing here needs a repository, except [`commit_builder`], which
//! reads the existing trees from the clone.

pub mod commit_builder;
pub mod commit_message;
pub mod listing;
pub mod pack;
pub mod sync_history;
pub mod tree;
