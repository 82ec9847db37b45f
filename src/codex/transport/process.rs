//! Runs `git` as a child that cannot hang, prompt, or be led astray by the environment it inherits.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::OnSignal;
use crate::interrupt::{Interrupt, Interrupted};
use crate::platform;

/// What `git rev-parse --local-env-vars` lists, without the variables that carry configuration: inside a hook these
/// would point the child at another repository.
const LOCAL_VARIABLES: [&str; 14] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_INTERNAL_SUPER_PREFIX",
];

/// How often a waiting parent looks up.
pub(in crate::codex) const TICK: Duration = Duration::from_millis(50);
/// How long a child that is asked to end may take to tidy up.
const GRACE: Duration = Duration::from_secs(2);

/// What a child said and how it ended.
pub(in crate::codex) struct Finished {
    pub(in crate::codex) status: ExitStatus,
    pub(in crate::codex) stdout: String,
    /// Lines; progress that overwrites itself is split at its carriage returns.
    pub(in crate::codex) stderr: Vec<String>,
}

/// Why a child did not end by itself.
#[derive(Debug)]
pub(in crate::codex) enum Failed {
    Start(io::Error),
    /// Silent for longer than it may be.
    Silent(Duration),
    Interrupted(Interrupted),
}

/// A child of git, sealed: no terminal, no prompt, English messages, a process group of its own.
pub(in crate::codex) fn git(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in LOCAL_VARIABLES {
        command.env_remove(name);
    }
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .env("LANGUAGE", "")
        // A trace must not print what we attach, whatever the user set.
        .env("GIT_TRACE_REDACT", "1")
        .env("GIT_TRACE2_CONFIG_PARAMS", "none")
        .env("GIT_TRACE2_ENV_VARS", "NONE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    platform::lead_group(&mut command);
    command
}

enum Heard {
    Stdout(String),
    Stderr(String),
    End,
}

/// Runs `command` to its end. `patience` says, for the last line heard, how long the child may be silent after it. A
/// signal ends the child's whole group, unless it is to go on.
pub(in crate::codex) fn run(
    mut command: Command,
    interrupt: &Interrupt,
    on_signal: OnSignal,
    patience: impl Fn(&str) -> Duration,
    mut listen: impl FnMut(&str),
) -> Result<Finished, Failed> {
    tracing::debug!(arguments = ?command.get_args().collect::<Vec<_>>(), "git");
    let mut child = command.spawn().map_err(Failed::Start)?;
    let _running = interrupt.running(child.id());
    let (sender, receiver) = mpsc::channel();
    let mut readers = 0;
    if let Some(out) = child.stdout.take() {
        readers += 1;
        read_lines(out, sender.clone(), Heard::Stdout);
    }
    if let Some(err) = child.stderr.take() {
        readers += 1;
        read_lines(err, sender, Heard::Stderr);
    }
    let (mut stdout, mut stderr) = (String::new(), Vec::new());
    let mut limit = patience("");
    let mut heard = Instant::now();
    while readers > 0 {
        match receiver.recv_timeout(TICK) {
            Ok(Heard::Stdout(line)) => {
                stdout.push_str(&line);
                stdout.push('\n');
                heard = Instant::now();
            }
            Ok(Heard::Stderr(line)) => {
                limit = patience(&line);
                listen(&line);
                stderr.push(line);
                heard = Instant::now();
            }
            Ok(Heard::End) => readers -= 1,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if on_signal == OnSignal::Stop
                    && let Err(interrupted) = interrupt.check()
                {
                    end(&mut child);
                    return Err(Failed::Interrupted(interrupted));
                }
                if heard.elapsed() > limit {
                    end(&mut child);
                    return Err(Failed::Silent(limit));
                }
            }
        }
    }
    let status = child.wait().map_err(Failed::Start)?;
    Ok(Finished {
        status,
        stdout,
        stderr,
    })
}

/// Ends a child with everything it started (`git-remote-https`, `ssh`): asked first, so that it takes its lock files
/// away, then killed.
fn end(child: &mut Child) {
    platform::ask_to_end(child.id());
    let end = Instant::now() + GRACE;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
        thread::park_timeout(TICK / 5);
    }
    platform::kill(child.id());
    let _ = child.wait();
}

fn read_lines(
    stream: impl Read + Send + 'static,
    sender: Sender<Heard>,
    wrap: fn(String) -> Heard,
) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        // Ends at the end of the stream, or when nobody listens any more.
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            let text = String::from_utf8_lossy(&line);
            for part in text.trim_end_matches(['\n', '\r']).split('\r') {
                if sender.send(wrap(part.to_owned())).is_err() {
                    return;
                }
            }
            line.clear();
        }
        let _ = sender.send(Heard::End);
    });
}
