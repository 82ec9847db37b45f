//! Runs the program on a pseudo-terminal.

use std::process::Command;

use super::{Sandbox, skipped};

impl Sandbox {
    /// Whether a program can be run on a pseudo-terminal. If there is none, reports that the test is
    /// skipped.
    pub(crate) fn has_terminals(&self) -> bool {
        let mut command = self.command("script");
        command.args(["-qec", "exec test -t 1", "/dev/null"]);
        let works = command.output().is_ok_and(|output| output.status.success());
        if !works {
            skipped("no pseudo-terminal can be had");
        }
        works
    }

    /// The program, not yet started, on a terminal without colours and of this many columns. Its
    /// standard input becomes that of the terminal, and its output and errors are standard output.
    pub(crate) fn on_terminal(&self, columns: usize, arguments: &str) -> Command {
        let program = env!("CARGO_BIN_EXE_fractary-codex");
        let line = format!("stty cols {columns} rows 50; exec {program} {arguments}");
        let mut command = self.command("script");
        command.args(["-qefc", &line, "/dev/null"]);
        command.env("TERM", "xterm").env("NO_COLOR", "1");
        command
    }
}
