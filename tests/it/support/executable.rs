//! Files that are run.
//!
//! Another program writes them: what this one holds open for writing, a child that another test forks just then holds
//! open as well until it runs something else, and until then nobody may run the file ("text file busy").

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::process;

/// Writes a shell script that can be run at once.
pub(crate) fn script(path: &Path, text: &str) {
    write(path, &format!("#!/bin/sh\n{text}\n"));
}

/// Writes a file that can be run at once by whatever interpreter it names.
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

/// Copies a program, which can be run at once.
pub(crate) fn copy(program: &Path, path: &Path) {
    assert!(install(program, path).status().unwrap().success());
}

fn install(from: &Path, to: &Path) -> Command {
    let mut command = process::program("install");
    command.args(["-D", "-m", "755"]).args([from, to]);
    command
}
