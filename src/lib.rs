//! Publishes the shared documents of many projects into one git repository, the codex: one clone, one commit per
//! project, one push, and no success told that the remote did not confirm.
//!
//! The modules stand in the order in which data flows; a module uses only what stands before it, and the small types:
//!
//! > config layers → workspace → scan (parallel) → plan (pure) → commits → one push → verify → report

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test that cannot go on has failed"))]

// Small types that depend on nothing.
pub mod environment;
pub mod event;
pub mod interrupt;
pub mod lock;
pub mod names;
pub mod object;
pub mod paths;
pub mod record;
pub mod secret;
pub mod stat;
pub mod url;

// The flow.
pub mod cache;
pub mod codex;
pub mod outcome;
pub mod plan;
pub mod report;
pub mod state;

pub mod cli;
pub mod config;
pub mod pull;
pub mod scan;
pub mod sync;
pub mod workspace;
