//! A sealed environment, the real binary in it, and repositories to look at.

mod codex;
mod output;
mod sandbox;

pub(crate) use codex::Codex;
pub(crate) use output::Output;
pub(crate) use sandbox::Sandbox;
