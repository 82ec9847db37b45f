//! The codex: the only part of the program that talks to git.
//!
//! [`store`] is the clone, [`transport`] moves objects between it and the remote, [`listing`] reads trees, [`commit`]
//! turns plans into objects, [`pack`] writes them and [`history`] reads them back. What leaves this module is owned and free of git handles.

pub mod auth;
mod clone_check;
pub mod commit;
pub mod error;
pub mod git_config;
pub mod history;
pub mod identity;
pub mod listing;
pub mod pack;
pub mod queue_lock;
mod remote;
pub mod source_revision;
pub mod store;
pub mod temp_clone;
pub mod transport;
pub mod tree;
