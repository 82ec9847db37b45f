//! Writes executable files with a separate program.
//!
//! If the test process wrote them itself, a child that another thread forks at that moment would
//! inherit the file descriptor that is open for writing, and until that child calls `exec`, running
//! the file would fail with `ETXTBSY`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::process;

/// Writes an executable shell script.
pub(crate) fn script(path: &Path, text: &str) {
    write(path, &format!("#!/bin/sh\n{text}\n"));
}

/// Writes an executable file. Its contents must begin with a `#!` line.
pub(crate) fn write(path: &Path, contents: &str) {
    let mut install = install(Path::new("/dev/stdin"), path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    install
        .stdin
        .take()
        .unwrap()
        .write_all(contents.as_bytes())
        .unwrap();
    assert!(install.wait().unwrap().success());
}

/// Copies a program.
pub(crate) fn copy(program: &Path, path: &Path) {
    assert!(install(program, path).status().unwrap().success());
}

fn install(from: &Path, to: &Path) -> Command {
    let mut command = process::program("install");
    command.args(["-D", "-m", "755"]).args([from, to]);
    command
}
