//! Finds relative links that will not work in the codex.
//!
//! A link is checked under the path that its file will have in the codex, against what the codex
//! will hold: a mapping can separate two files, a pattern can leave one of them out, and other file
//! systems may have found a file whose name differs in case. Only what is known is reported: a part
//! of the codex, or the anchors of a file, may be unknown.

mod anchors;
mod broken_link;
mod document;
mod document_kind;
mod html;
mod markdown;
mod target;

pub(crate) use broken_link::{BrokenLink, CodexView, Presence, SourceOfTarget, broken_links};
pub(crate) use document::Document;
pub(crate) use document_kind::{DocumentKind, fenced_blocks};
pub(crate) use target::{LinkTarget, directory_of};
