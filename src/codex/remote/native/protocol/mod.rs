//! Git's protocol as functions from values to bytes and back. They do no I/O of their own.
//!
//! The formats are those of `gitprotocol-v2(5)`, `gitprotocol-pack(5)` and `gitprotocol-capabilities(5)`.

pub(super) mod capabilities;
pub(super) mod fetch;
pub(super) mod list;
pub(super) mod packet;
pub(super) mod push;

/// How the program introduces itself.
const AGENT: &str = concat!("agent=fractary-codex/", env!("CARGO_PKG_VERSION"));

/// The only kind of object ids that is spoken.
const OBJECT_FORMAT: &str = "object-format=sha1";
