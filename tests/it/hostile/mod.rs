//! Malicious or malformed names, files and objects: nothing outside of a project is read, nothing
//! invalid is published, malformed entries of the codex are not changed, and messages about them
//! are safe to print on a terminal.

mod codex_entries;
mod output;
mod sources;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::support::{Output, Sandbox, World};

/// The path of a file in the sandbox whose name can be any bytes.
fn path_of(sandbox: &Sandbox, directory: &str, name: &[u8]) -> PathBuf {
    sandbox.path(directory).join(OsStr::from_bytes(name))
}

/// One project with a file in its directory `docs`, an empty codex, and more lines of
/// configuration.
fn workspace(config: &str) -> World {
    World::builder()
        .files(&[("alpha/docs/a.md", "a")])
        .config(config)
        .empty_codex()
        .build()
}

/// Asserts that the output contains nothing that controls a terminal.
#[track_caller]
fn assert_harmless(output: &Output) {
    let is_harmful =
        |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{202e}' | '\u{200c}'));
    for text in [&output.stdout, &output.stderr] {
        assert!(!text.contains(is_harmful), "{text:?}");
    }
}
