//! A sealed environment, the real binary in it, and repositories to look at.

mod codex;
pub(crate) mod http;
mod output;
mod sandbox;
pub(crate) mod ssh;

pub(crate) use codex::Codex;
pub(crate) use output::Output;
pub(crate) use sandbox::Sandbox;
