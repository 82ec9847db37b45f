//! What a user sees, through the real binary against real git repositories and servers, in a sealed environment.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acceptance;
mod addresses;
mod claims;
mod commits;
mod concurrency;
mod config;
mod disk_errors;
mod doctor;
mod examples;
mod exits;
mod faults;
mod from_codex;
mod guards;
mod hostile;
mod incremental;
mod init;
mod kept;
mod launcher;
mod layout_rules;
mod model;
mod native;
mod output;
mod page;
mod patterns;
mod remotes;
mod resolved;
mod secrets;
mod signals;
mod source_races;
mod support;
mod transfers;
mod transport;
mod trust;
mod usage;
mod verdicts;
