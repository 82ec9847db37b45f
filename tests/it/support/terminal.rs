//! Runs the program on a pseudo-terminal.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Sandbox, skipped, wait_until};

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

/// A shell on a pseudo-terminal, at which lines are typed one after the other. It ends when dropped.
pub(crate) struct ShellSession {
    child: Child,
    shown: Arc<Mutex<String>>,
}

impl ShellSession {
    /// What the shell prints before each prompt, and the prompt. While a line is edited, only the prompt is
    /// printed again.
    const READY: &str = "<ready>\r\n$ ";

    /// Starts bash in the workspace, without the configuration of the user.
    pub(crate) fn start(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.command("script");
        let line = "stty cols 250 rows 50; exec bash --norc --noprofile -i";
        command.args(["-qefc", line, "/dev/null"]);
        command
            .env("TERM", "dumb")
            .env("INPUTRC", "/dev/null")
            .env("PROMPT_COMMAND", "echo '<ready>'")
            .env("PS1", "$ ")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();

        let shown = Arc::new(Mutex::new(String::new()));
        let mut output = child.stdout.take().unwrap();
        thread::spawn({
            let shown = shown.clone();
            move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = output.read(&mut bytes) {
                    let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                    shown.lock().unwrap().push_str(&text);
                }
            }
        });
        Self { child, shown }
    }

    /// Types a line when the shell is ready, and returns what is shown until it is ready again.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let is_ready = || self.shown.lock().unwrap().ends_with(Self::READY);
        wait_until("the shell is ready", is_ready);
        self.shown.lock().unwrap().clear();
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        input.flush().unwrap();
        wait_until("the line is run", is_ready);
        self.shown.lock().unwrap().clone()
    }
}

impl Drop for ShellSession {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
