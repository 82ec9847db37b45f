//! Runs other programs with time limits: `git`, the programs that git would start (`ssh`, a shell),
//! and those that sign. They cannot prompt, and get none of the variables that would direct git to
//! another repository.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::slice;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::interrupt::{Interrupt, Interrupted, OnSignal};
use crate::platform;
use crate::url::RemoteUrl;

/// Variables of git that a child must not inherit: they would direct it to another repository or
/// other refs, change the rules of a server, or add text to its output. Variables with the user's
/// configuration, programs, proxies and certificates are inherited.
const REDIRECTING_VARIABLES: [&str; 27] = [
    // Listed by `git rev-parse --local-env-vars`: git sets them for hooks and aliases, about the
    // repository at hand.
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
    // The server process of a local path reads and writes refs below this name, unseen by the
    // client.
    "GIT_NAMESPACE",
    // Set in a hook before its push is accepted: no ref can be updated, here or by the server
    // process of a path.
    "GIT_QUARANTINE_PATH",
    // Change the search for a repository, and the format of a repository that a child creates.
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_DEFAULT_HASH",
    "GIT_DEFAULT_REF_FORMAT",
    "GIT_REFERENCE_BACKEND",
    "GIT_ATTR_SOURCE",
    // The protocol of a request that this process may be serving itself.
    "GIT_PROTOCOL",
    // Write to stderr, which is parsed.
    "GIT_CURL_VERBOSE",
    "GIT_TRACE_BARE",
    "GIT_TRANSPORT_HELPER_DEBUG",
    "GIT_TRANSLOOP_DEBUG",
];

/// Variables that enable a trace of git. The value is the path of a file, or a number for stderr.
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

/// How often the traffic of a child is sampled during its time limit.
const SAMPLES: u32 = 8;
/// The number of bytes that counts as progress. Fewer can be keep-alive messages.
const MOVED: u64 = 4096;

/// The interval at which a waiting thread checks for signals and time limits.
pub(in crate::codex) const TICK: Duration = Duration::from_millis(50);
/// The time that a child has to clean up after it was asked to end.
const GRACE: Duration = Duration::from_secs(2);

/// The output and the exit status of a child.
pub(in crate::codex) struct Finished {
    pub(in crate::codex) status: ExitStatus,
    /// Standard output as text. Invalid UTF-8 is replaced.
    pub(in crate::codex) stdout: String,
    /// Standard output as bytes.
    pub(in crate::codex) raw: Vec<u8>,
    /// The lines of standard error. Progress is split at its carriage returns.
    pub(in crate::codex) stderr: Vec<String>,
    /// Status lines and headers of all HTTP responses, in order, from `GIT_TRACE_CURL`.
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

/// The signs of progress that restart the time limit, besides output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codex) enum Watch {
    /// Bytes that the processes of the child read, write, send or receive.
    Bytes,
    /// Only output. For a repository on this machine, because its server processes and hooks belong
    /// to the child.
    OutputOnly,
}

/// The reason for which a child did not end by itself.
#[derive(Debug)]
pub(in crate::codex) enum RunError {
    /// The program could not be started, or its exit status could not be read.
    Start(io::Error),
    /// The child was ended, because it made no progress ([`Watch`]) for this time.
    NoProgress(Duration),
    /// A signal ended the child.
    Interrupted(Interrupted),
}

/// A command in a process group of its own, without the variables that would redirect git. It has
/// no input, and both outputs are pipes.
pub(in crate::codex) fn sealed(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in REDIRECTING_VARIABLES {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    platform::lead_group(&mut command);
    command
}

/// A command for git, or for a program that git would start, such as ssh: no terminal, no prompt,
/// English messages.
pub(in crate::codex) fn for_git(program: &str, environment: &Environment) -> Command {
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
        // A clone without contents would fetch missing objects on any read, and a damaged one would
        // do so endlessly.
        .env("GIT_NO_LAZY_FETCH", "1")
        // Traces must not print the token that is passed to the child, whatever the user
        // configured.
        .env("GIT_TRACE_REDACT", "1")
        .env("GIT_TRACE2_CONFIG_PARAMS", "none")
        .env("GIT_TRACE2_ENV_VARS", "NONE");
    command
}

/// How a child is run until it ends.
pub(in crate::codex) struct Supervision<'s> {
    /// The child gets these messages on its standard input, which must then be a pipe: the first at
    /// once, each other after new output.
    pub(in crate::codex) messages: &'s [Vec<u8>],
    /// Ends the child and its process group, unless `on_signal` forbids it.
    pub(in crate::codex) interrupt: &'s Interrupt,
    pub(in crate::codex) on_signal: OnSignal,
    pub(in crate::codex) watch: Watch,
    /// Returns how long there may be no progress after a line of standard error. It is called with
    /// an empty line first.
    pub(in crate::codex) time_limit: &'s dyn Fn(&str) -> Duration,
    /// Is called with each line of standard error.
    pub(in crate::codex) listen: &'s mut dyn FnMut(&str),
}

/// Runs `command` with an empty standard input. It is stopped if it writes nothing for the time
/// `limit`.
pub(in crate::codex) fn run_with_limit(
    command: Command,
    interrupt: &Interrupt,
    on_signal: OnSignal,
    limit: Duration,
) -> Result<Finished, RunError> {
    run(
        command,
        Supervision {
            messages: &[],
            interrupt,
            on_signal,
            watch: Watch::OutputOnly,
            time_limit: &|_| limit,
            listen: &mut |_| {},
        },
    )
}

/// An argument as it may be logged: a URL can contain a secret.
fn shown_argument(argument: &OsStr) -> Cow<'_, OsStr> {
    let text = argument.to_str().filter(|text| text.contains("://"));
    let url = text.and_then(|text| RemoteUrl::parse(text, Path::new("/")).ok());
    match url.filter(|url| url.host().is_some()) {
        Some(url) => Cow::Owned(url.to_string().into()),
        None => Cow::Borrowed(argument),
    }
}

/// Runs `command` until it ends.
pub(in crate::codex) fn run(
    mut command: Command,
    mut supervision: Supervision<'_>,
) -> Result<Finished, RunError> {
    let program = command.get_program();
    tracing::debug!(?program, arguments = ?command.get_args().map(shown_argument).collect::<Vec<_>>(), "starting");
    let mut child = command.spawn().map_err(RunError::Start)?;
    let _running = supervision.interrupt.running(child.id());

    match exchange(&mut child, &mut supervision) {
        Ok(collected) => {
            let status = child.wait().map_err(RunError::Start)?;
            Ok(collected.finished(status))
        }
        Err(error) => {
            end(&mut child);
            Err(error)
        }
    }
}

/// Sends the messages to the child and collects its output, until the child closes both outputs.
/// After an error, the child must be ended.
fn exchange(child: &mut Child, supervision: &mut Supervision<'_>) -> Result<Collected, RunError> {
    let outputs = read_outputs(child);
    let mut input = Input {
        pipe: child.stdin.take(),
        messages: supervision.messages.iter(),
    };
    input.send_next();

    let mut collected = Collected::default();
    let mut limit = (supervision.time_limit)("");
    let mut moved = Instant::now();
    let mut meter = Meter::new(supervision.watch, child.id());
    loop {
        match outputs.recv_timeout(TICK) {
            Ok(Output::Stdout(chunk)) => {
                moved = Instant::now();
                collected.stdout.extend(chunk);
                input.send_next();
            }
            Ok(Output::Stderr(line)) => {
                moved = Instant::now();
                if let Some(trace) = traced(&line) {
                    collected.add_trace(trace);
                    continue;
                }
                limit = (supervision.time_limit)(&line);
                (supervision.listen)(&line);
                collected.stderr.push(line);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(collected),
            Err(RecvTimeoutError::Timeout) => {
                if supervision.on_signal == OnSignal::Stop {
                    let check = supervision.interrupt.check();
                    check.map_err(RunError::Interrupted)?;
                }
                if meter.has_moved(limit) {
                    moved = Instant::now();
                }
                if moved.elapsed() > limit {
                    return Err(RunError::NoProgress(limit));
                }
            }
        }
    }
}

/// The messages that a child still gets.
struct Input<'m> {
    /// The child's standard input. It is closed (`None`) after the last message.
    pipe: Option<ChildStdin>,
    messages: slice::Iter<'m, Vec<u8>>,
}

impl Input<'_> {
    /// Sends the next message, and closes the input after the last one. A child that does not read
    /// its input reports its own error, so an error here is ignored.
    fn send_next(&mut self) {
        let message = self.messages.next();
        let sent = message
            .zip(self.pipe.as_mut())
            .map(|(message, pipe)| pipe.write_all(message));
        if self.messages.len() == 0 || !matches!(sent, Some(Ok(()))) {
            self.pipe = None;
        }
    }
}

/// The output of a child until now.
#[derive(Default)]
struct Collected {
    stdout: Vec<u8>,
    stderr: Vec<String>,
    headers: Vec<String>,
}

impl Collected {
    /// Adds the text of a line of `GIT_TRACE_CURL`, if it is a response header.
    fn add_trace(&mut self, trace: &str) {
        let header = trace.strip_prefix(HEADER).map(str::to_owned);
        self.headers.extend(header);
    }

    fn finished(self, status: ExitStatus) -> Finished {
        Finished {
            status,
            stdout: String::from_utf8_lossy(&self.stdout).into_owned(),
            raw: self.stdout,
            stderr: self.stderr,
            headers: self.headers,
        }
    }
}

/// The prefix of a response header in a line of `GIT_TRACE_CURL`.
const HEADER: &str = "<= Recv header: ";

/// The text of a line of `GIT_TRACE_CURL` after the time and the source location: `12:34:56.789012
/// http.c:915   <= Recv header: …`.
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

/// Measures how many bytes the processes of a child transfer.
struct Meter {
    watch: Watch,
    leader: u32,
    sampled: Instant,
    last: Option<platform::Traffic>,
    /// Bytes since the last progress.
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

    /// Whether enough bytes were transferred since the last progress. Samples only a few times
    /// during `limit`.
    fn has_moved(&mut self, limit: Duration) -> bool {
        if self.watch == Watch::OutputOnly || self.sampled.elapsed() < limit / SAMPLES {
            return false;
        }
        self.sampled = Instant::now();
        let now = platform::traffic(self.leader);
        if let Some(last) = self.last.replace(now) {
            // The count of a process is lost when it ends.
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

/// Ends a child and all processes that it started (`git-remote-https`, `ssh`): first by a signal,
/// so that it removes its lock files, then by force.
fn end(child: &mut Child) {
    platform::ask_to_end(child.id());
    let end = Instant::now() + GRACE;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
        thread::park_timeout(TICK / 5);
    }
    platform::kill(child.id());
    let _ = child.wait();
}

/// A part of a child's output.
enum Output {
    /// Bytes of the child's standard output.
    Stdout(Vec<u8>),
    /// A line of the child's standard error.
    Stderr(String),
}

/// Reads both outputs of a child in threads of their own. The receiver is disconnected when both
/// are closed.
fn read_outputs(child: &mut Child) -> Receiver<Output> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        read_chunks(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        read_lines(stderr, sender);
    }
    receiver
}

/// Sends each chunk as soon as it is read.
fn read_chunks(mut stream: impl Read + Send + 'static, sender: Sender<Output>) {
    thread::spawn(move || {
        let mut chunk = [0; 8192];
        // Ends at the end of the stream, or when the receiver is dropped.
        while let Ok(count) = stream.read(&mut chunk)
            && count > 0
        {
            if sender
                .send(Output::Stdout(chunk[..count].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
}

/// Sends each line when it is complete. Progress lines end with a carriage return.
fn read_lines(stream: impl Read + Send + 'static, sender: Sender<Output>) {
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
                if sender.send(Output::Stderr(text)).is_err() {
                    return;
                }
                line.clear();
            }
        }
        if !line.is_empty() {
            let text = String::from_utf8_lossy(&line).into_owned();
            let _ = sender.send(Output::Stderr(text));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::traced;

    #[test]
    fn trace_is_not_a_message() {
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
