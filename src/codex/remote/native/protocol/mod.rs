//! The messages of git's protocol, as functions between values and bytes without I/O.
//!
//! The formats are those of `gitprotocol-v2(5)`, `gitprotocol-pack(5)` and
//! `gitprotocol-capabilities(5)`.

pub(super) mod capabilities;
pub(super) mod fetch;
pub(super) mod list;
pub(super) mod packet;
pub(super) mod push;

/// The agent capability of this program.
const AGENT: &str = concat!("agent=fractary-codex/", env!("CARGO_PKG_VERSION"));

/// The only supported object format.
const OBJECT_FORMAT: &str = "object-format=sha1";
