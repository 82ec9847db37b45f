//! Runs `git` as a child that cannot hang, prompt, or be led astray by the environment it inherits.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::OnSignal;
use crate::environment::Environment;
use crate::interrupt::{Interrupt, Interrupted};
use crate::platform;

/// Variables of git that a child must not inherit: they would point it at another repository, other refs or another
/// server's rules, or mix other text into its output. Those that carry the user's configuration, programs, proxies and
/// certificates are kept.
const MISLEADING_VARIABLES: [&str; 27] = [
    // Listed by `git rev-parse --local-env-vars`: git sets them for hooks and aliases, about the repository at hand.
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
    // A path's own server process reads and writes refs below this name, and the client does not see it.
    "GIT_NAMESPACE",
    // Set in a hook before its push is accepted: no ref can be updated, here or by the server process of a path.
    "GIT_QUARANTINE_PATH",
    // Change where a repository is looked for, and the format of one that a child makes.
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_DEFAULT_HASH",
    "GIT_DEFAULT_REF_FORMAT",
    "GIT_REFERENCE_BACKEND",
    "GIT_ATTR_SOURCE",
    // The protocol of a request that this process may itself be serving.
    "GIT_PROTOCOL",
    // Written to stderr, among the messages that are read from there.
    "GIT_CURL_VERBOSE",
    "GIT_TRACE_BARE",
    "GIT_TRANSPORT_HELPER_DEBUG",
    "GIT_TRANSLOOP_DEBUG",
];

/// Traces that git writes to a file where the variable has a path, and to stderr where it has a number.
const TRACES: [&str; 13] = [
    "GIT_TRACE",
    "GIT_TRACE_CURL",
    "GIT_TRACE_FSMONITOR",
    "GIT_TRACE_PACK_ACCESS",
    "GIT_TRACE_PACKET",
    "GIT_TRACE_PACKFILE",
    "GIT_TRACE_PERFORMANCE",
    "GIT_TRACE_REFS",
    "GIT_TRACE_SETUP",
    "GIT_TRACE_SHALLOW",
    "GIT_TRACE2",
    "GIT_TRACE2_EVENT",
    "GIT_TRACE2_PERF",
];

/// A child that waits for bytes is looked at this often during its limit.
const SAMPLES: u32 = 8;
/// Fewer bytes than this are only signs of life, such as keep-alive messages.
const MOVED: u64 = 4096;

/// How often a waiting parent looks up.
pub(in crate::codex) const TICK: Duration = Duration::from_millis(50);
/// How long a child that is asked to end may take to tidy up.
const GRACE: Duration = Duration::from_secs(2);

/// What a child said and how it ended.
pub(in crate::codex) struct Finished {
    pub(in crate::codex) status: ExitStatus,
    pub(in crate::codex) stdout: String,
    /// The same, byte for byte.
    pub(in crate::codex) raw: Vec<u8>,
    /// Lines; progress that overwrites itself is split at its carriage returns.
    pub(in crate::codex) stderr: Vec<String>,
    /// Status lines and headers of the http responses, from `GIT_TRACE_CURL`, in order.
    pub(in crate::codex) headers: Vec<String>,
}

impl Finished {
    /// The values of a header in all responses.
    pub(in crate::codex) fn header<'h>(&'h self, wanted: &'h str) -> impl Iterator<Item = &'h str> {
        values_of(&self.headers, wanted)
    }

    /// The values of a header in the last response.
    pub(in crate::codex) fn last_header(&self, wanted: &str) -> Option<&str> {
        let start = self
            .headers
            .iter()
            .rposition(|line| line.starts_with("HTTP/"))?;
        values_of(&self.headers[start..], wanted).last()
    }
}

fn values_of<'h, 'n>(
    headers: &'h [String],
    wanted: &'n str,
) -> impl Iterator<Item = &'h str> + use<'h, 'n> {
    headers.iter().filter_map(move |line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

/// What counts as movement besides output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codex) enum Watch {
    /// The bytes that the child's processes read, write, send and receive.
    Bytes,
    /// Nothing. For a repository on this machine: the server's processes and hooks are among the child's.
    Output,
}

/// Why a child did not end by itself.
#[derive(Debug)]
pub(in crate::codex) enum Failed {
    Start(io::Error),
    /// Nothing moved for longer than it may.
    Silent(Duration),
    Interrupted(Interrupted),
}

/// A command that leads a process group of its own and does not inherit the variables that would mislead git. It has no
/// input, and both outputs are pipes.
pub(in crate::codex) fn sealed(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in MISLEADING_VARIABLES {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    platform::lead_group(&mut command);
    command
}

/// A sealed child of git: no terminal, no prompt, English messages.
pub(in crate::codex) fn git(program: &str, environment: &Environment) -> Command {
    let mut command = sealed(program);
    for name in TRACES {
        let to_file = environment
            .get(name)
            .is_some_and(|value| value.starts_with('/') || value.starts_with("af_unix:"));
        if !to_file {
            command.env_remove(name);
        }
    }
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .env("LANGUAGE", "")
        // A clone without contents fetches what it lacks at any read, and one that is damaged does so without end.
        .env("GIT_NO_LAZY_FETCH", "1")
        // A trace must not print what we attach, whatever the user set.
        .env("GIT_TRACE_REDACT", "1")
        .env("GIT_TRACE2_CONFIG_PARAMS", "none")
        .env("GIT_TRACE2_ENV_VARS", "NONE");
    command
}

enum Heard {
    Stdout(Vec<u8>),
    Stderr(String),
    End,
}

/// Runs `command` to its end. It is sent `messages` on its standard input, which must then be a pipe, each after it printed
/// something since the one before. `patience` returns, for the last line of stderr, how long nothing may move after it. A
/// signal ends the child's whole group, unless it is to go on.
pub(in crate::codex) fn run(
    mut command: Command,
    messages: &[Vec<u8>],
    interrupt: &Interrupt,
    on_signal: OnSignal,
    watch: Watch,
    patience: impl Fn(&str) -> Duration,
    mut listen: impl FnMut(&str),
) -> Result<Finished, Failed> {
    let program = command.get_program();
    tracing::debug!(?program, arguments = ?command.get_args().collect::<Vec<_>>(), "starting");
    let mut child = command.spawn().map_err(Failed::Start)?;
    let _running = interrupt.running(child.id());
    let (sender, receiver) = mpsc::channel();
    let mut readers = 0;
    if let Some(out) = child.stdout.take() {
        readers += 1;
        read_chunks(out, sender.clone());
    }
    if let Some(err) = child.stderr.take() {
        readers += 1;
        read_lines(err, sender);
    }

    let mut input = child.stdin.take();
    let mut messages = messages.iter();
    let mut send_next = || {
        let message = messages.next();
        // A child that does not read ends with an error of its own.
        let sent = message
            .zip(input.as_mut())
            .map(|(message, input)| input.write_all(message));
        if messages.len() == 0 || !matches!(sent, Some(Ok(()))) {
            input = None;
        }
    };
    send_next();

    let mut raw = Vec::new();
    let mut stderr = Vec::new();
    let mut headers = Vec::new();
    let mut limit = patience("");
    let mut moved = Instant::now();
    let mut meter = Meter::new(watch, child.id());
    while readers > 0 {
        match receiver.recv_timeout(TICK) {
            Ok(Heard::Stdout(chunk)) => {
                raw.extend(chunk);
                send_next();
                moved = Instant::now();
            }
            Ok(Heard::Stderr(line)) => {
                moved = Instant::now();
                match traced(&line) {
                    Some(trace) => headers.extend(trace.strip_prefix(HEADER).map(str::to_owned)),
                    None => {
                        limit = patience(&line);
                        listen(&line);
                        stderr.push(line);
                    }
                }
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
                if meter.has_moved(limit) {
                    moved = Instant::now();
                }
                if moved.elapsed() > limit {
                    end(&mut child);
                    return Err(Failed::Silent(limit));
                }
            }
        }
    }
    let status = child.wait().map_err(Failed::Start)?;
    Ok(Finished {
        status,
        stdout: String::from_utf8_lossy(&raw).into_owned(),
        raw,
        stderr,
        headers,
    })
}

/// How a line of `GIT_TRACE_CURL` marks a header of a response.
const HEADER: &str = "<= Recv header: ";

/// The text of a line of `GIT_TRACE_CURL` after time and place: `12:34:56.789012 http.c:915   <= Recv header: …`.
fn traced(line: &str) -> Option<&str> {
    let (time, rest) = line.split_once(" http.c:")?;
    let is_time = time.len() == "12:34:56.789012".len()
        && time
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b":.".contains(&byte));
    is_time.then(|| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit())
            .trim_start()
    })
}

/// Watches how many bytes a child's processes moved.
struct Meter {
    watch: Watch,
    leader: u32,
    sampled: Instant,
    last: Option<platform::Traffic>,
    /// Bytes since the last time that enough had moved.
    sum: u64,
}

impl Meter {
    fn new(watch: Watch, leader: u32) -> Self {
        Self {
            watch,
            leader,
            sampled: Instant::now(),
            last: None,
            sum: 0,
        }
    }

    /// Whether enough bytes moved since the last time. Looks only a few times during `limit`.
    fn has_moved(&mut self, limit: Duration) -> bool {
        if self.watch == Watch::Output || self.sampled.elapsed() < limit / SAMPLES {
            return false;
        }
        self.sampled = Instant::now();
        let now = platform::traffic(self.leader);
        if let Some(last) = self.last.replace(now) {
            // A process that ended takes its count with it.
            self.sum += now.moved.saturating_sub(last.moved);
            self.sum += now.queued.abs_diff(last.queued);
        }
        let enough = self.sum >= MOVED;
        if enough {
            self.sum = 0;
        }
        enough
    }
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

fn read_chunks(mut stream: impl Read + Send + 'static, sender: Sender<Heard>) {
    thread::spawn(move || {
        let mut chunk = [0; 8192];
        // Ends at the end of the stream, or when the receiver is gone.
        while let Ok(count) = stream.read(&mut chunk)
            && count > 0
        {
            if sender.send(Heard::Stdout(chunk[..count].to_vec())).is_err() {
                return;
            }
        }
        let _ = sender.send(Heard::End);
    });
}

/// Sends each line when it is complete: progress ends with a carriage return and no newline.
fn read_lines(stream: impl Read + Send + 'static, sender: Sender<Heard>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            let (used, ended) = match reader.fill_buf() {
                Ok([]) | Err(_) => break,
                Ok(buffer) => match buffer.iter().position(|byte| b"\r\n".contains(byte)) {
                    Some(end) => {
                        line.extend_from_slice(&buffer[..end]);
                        (end + 1, true)
                    }
                    None => {
                        line.extend_from_slice(buffer);
                        (buffer.len(), false)
                    }
                },
            };
            reader.consume(used);
            if ended && !line.is_empty() {
                let text = String::from_utf8_lossy(&line).into_owned();
                if sender.send(Heard::Stderr(text)).is_err() {
                    return;
                }
                line.clear();
            }
        }
        if !line.is_empty() {
            let text = String::from_utf8_lossy(&line).into_owned();
            let _ = sender.send(Heard::Stderr(text));
        }
        let _ = sender.send(Heard::End);
    });
}

#[cfg(test)]
mod tests {
    use super::traced;

    #[test]
    fn a_trace_is_not_a_message() {
        for (line, expected) in [
            (
                "12:34:56.789012 http.c:915              <= Recv header: HTTP/1.1 200 OK",
                Some("<= Recv header: HTTP/1.1 200 OK"),
            ),
            (
                "12:34:56.789012 http.c:841              == Info: Closing",
                Some("== Info: Closing"),
            ),
            ("remote: 12:34:56.789012 http.c:915 <= Recv header: x", None),
            ("fatal: unable to access http.c:1", None),
        ] {
            assert_eq!(traced(line), expected, "{line}");
        }
    }
}
