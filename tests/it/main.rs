//! What a user sees, through the real binary against real git repositories and servers, in a sealed environment.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acceptance;
mod addresses;
mod changing;
mod commits;
mod concurrency;
mod config;
mod doctor;
mod examples;
mod exits;
mod faults;
mod from_codex;
mod guards;
mod hostile;
mod init;
mod kept;
mod known;
mod launcher;
mod layout_rules;
mod model;
mod native;
mod output;
mod ownership;
mod page;
mod patterns;
mod remotes;
mod resolved;
mod secrets;
mod signals;
mod storage;
mod support;
mod transfers;
mod transport;
mod trust;
mod usage;
mod verdicts;
