//! The carrier for programs that speak git's protocol on standard input and output: git's
//! `upload-pack` and `receive-pack` for local paths, and `ssh`, which runs them on a server.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::carrier::{Carrier, RequestBody, ResponseReader};
use super::failure::Failure;
use super::idle_timeout::{IdleTimeout, TimedStream};
use super::protocol::capabilities::Service;
use crate::codex::remote::error::RemoteErrorKind;
use crate::codex::remote::error_messages::{classify, relevant_lines};
use crate::interrupt::{Interrupt, Running};
use crate::platform;

/// The time that a program has to end after its last request, or after a signal.
const GRACE: Duration = Duration::from_secs(2);
/// The interval at which the end of a program is checked.
const TICK: Duration = Duration::from_millis(5);
/// The maximum number of bytes of standard error that are kept.
const MAX_STDERR: u64 = 256 << 10;

/// The program that runs services.
pub(super) struct ServiceProgram {
    /// Builds the command of a service.
    pub(super) command: Box<dyn Fn(Service) -> Command + Send>,
    /// The kind of the error if the program cannot be run.
    pub(super) missing: RemoteErrorKind,
    /// The sentence of the error `missing` that says why the program is needed.
    pub(super) need: &'static str,
    /// Whether the program gets a socket as its input, instead of a pipe. A socket is faster for
    /// large pushes, but some programs that users configure do not work with one.
    pub(super) accepts_socket: bool,
}

/// Services as child processes, which are started when they are needed.
pub(super) struct ServiceProcesses {
    program: ServiceProgram,
    interrupt: Interrupt,
    idle_timeout: IdleTimeout,
    upload: Option<Session>,
    receive: Option<Session>,
    /// A session that was started ahead of need, and was not greeted.
    early: Option<(Service, Session)>,
}

impl ServiceProcesses {
    pub(super) fn new(
        program: ServiceProgram,
        interrupt: &Interrupt,
        idle_timeout: IdleTimeout,
    ) -> Self {
        Self {
            program,
            interrupt: interrupt.clone(),
            idle_timeout,
            upload: None,
            receive: None,
            early: None,
        }
    }

    fn start(&self, service: Service) -> Result<Session, Failure> {
        Session::start(&self.program, service, &self.interrupt, &self.idle_timeout)
    }

    fn slot(&mut self, service: Service) -> &mut Option<Session> {
        match service {
            Service::UploadPack => &mut self.upload,
            Service::ReceivePack => &mut self.receive,
        }
    }

    /// Runs an operation on a running service. After a failure, the service is ended and its output
    /// explains the failure.
    fn with(
        &mut self,
        service: Service,
        work: impl FnOnce(&mut Session) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let slot = self.slot(service);
        let Some(session) = slot.as_mut() else {
            return Err(Failure::invalid("the program has ended"));
        };
        let result = work(session);
        match (result, slot.take()) {
            (Err(failure), Some(session)) => Err(session.explain(failure)),
            (result, session) => {
                *slot = session;
                result
            }
        }
    }
}

impl Carrier for ServiceProcesses {
    fn greet(&mut self, service: Service, read: ResponseReader<'_>) -> Result<(), Failure> {
        let session = match self.early.take() {
            Some((early, session)) if early == service => session,
            other => {
                self.early = other;
                self.start(service)?
            }
        };
        *self.slot(service) = Some(session);
        self.with(service, |session| read(&mut session.output))
    }

    fn request(
        &mut self,
        service: Service,
        mut body: RequestBody<'_>,
        read: ResponseReader<'_>,
    ) -> Result<(), Failure> {
        self.with(service, |session| {
            match session.send(&mut body) {
                // Its last output can still be read.
                Err(error) if has_reader_ended(&error) => {}
                sent => sent?,
            }
            read(&mut session.output)
        })
    }

    fn connect(&mut self, service: Service) {
        if self.early.is_none() {
            self.early = self.start(service).ok().map(|session| (service, session));
        }
    }

    fn is_stateless(&self) -> bool {
        false
    }

    fn end(&mut self, service: Service) {
        drop(self.slot(service).take());
    }
}

impl Drop for ServiceProcesses {
    fn drop(&mut self) {
        if let Some((_, unused)) = &mut self.early {
            // It may still be connecting, and nothing was asked of it.
            unused.is_abandoned = true;
        }
    }
}

/// A running program.
struct Session {
    child: Child,
    input: Option<TimedStream<platform::ChildInput>>,
    output: BufReader<TimedStream<platform::ChildOutput>>,
    /// The lines of standard error.
    stderr: Arc<Mutex<Vec<String>>>,
    listener: Option<thread::JoinHandle<()>>,
    /// Whether the process is ended at once, because it failed or is not needed.
    is_abandoned: bool,
    _running: Running,
}

impl Session {
    fn start(
        program: &ServiceProgram,
        service: Service,
        interrupt: &Interrupt,
        idle_timeout: &IdleTimeout,
    ) -> Result<Self, Failure> {
        let mut command = (program.command)(service);
        tracing::debug!(program = ?command.get_program(), arguments = ?command.get_args().collect::<Vec<_>>(), "starting");
        let (stdin, socket) = if program.accepts_socket {
            platform::socket_input()?
        } else {
            (Stdio::piped(), None)
        };
        command.stdin(stdin);
        let mut child = command.spawn().map_err(|error| Failure::Remote {
            kind: program.missing,
            detail: vec![
                program.need.to_owned(),
                format!(
                    "`{}` cannot be run: {error}",
                    command.get_program().to_string_lossy()
                ),
            ],
            retry_after: None,
        })?;
        let running = interrupt.running(child.id());
        // The command still holds the child's end of the socket, which must close when the child
        // ends.
        drop(command);
        let input = match (socket, child.stdin.take()) {
            (Some(socket), _) => socket,
            (None, Some(pipe)) => platform::pipe_input(pipe)?,
            (None, None) => unreachable!("the input is a pipe unless it is a socket"),
        };
        let output = match child.stdout.take() {
            Some(pipe) => platform::pipe_output(pipe)?,
            None => unreachable!("the output is a pipe"),
        };
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let listener = child.stderr.take().map(|stream| {
            let lines = stderr.clone();
            thread::spawn(move || listen(stream, &lines))
        });
        Ok(Self {
            child,
            input: Some(TimedStream::new(input, idle_timeout.clone())?),
            output: BufReader::with_capacity(
                64 << 10,
                TimedStream::new(output, idle_timeout.clone())?,
            ),
            stderr,
            listener,
            is_abandoned: false,
            _running: running,
        })
    }

    fn send(&mut self, body: &mut RequestBody<'_>) -> io::Result<()> {
        let Some(input) = &mut self.input else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        match body {
            RequestBody::None => Ok(()),
            RequestBody::Bytes(bytes) => input.write_all(bytes),
            RequestBody::Stream { write, .. } => {
                let mut out = BufWriter::with_capacity(64 << 10, input);
                write(&mut out)?;
                out.flush()
            }
        }
    }

    /// The failure with the explanation that the program printed, if its output ended early.
    fn explain(mut self, failure: Failure) -> Failure {
        self.is_abandoned = true;
        let Failure::Remote {
            kind, mut detail, ..
        } = failure
        else {
            return failure;
        };
        if kind == RemoteErrorKind::ServerFailure {
            self.input = None;
            self.wait_to_end();
        }
        let printed = self.printed();
        let lines = relevant_lines(&printed);
        let kind = match classify(&printed) {
            // A program that ends early after an unknown message has failed; the connection did not
            // break.
            RemoteErrorKind::Other
                if !lines.is_empty() && kind == RemoteErrorKind::ServerFailure =>
            {
                RemoteErrorKind::Other
            }
            RemoteErrorKind::Other | RemoteErrorKind::ServerFailure => kind,
            known if kind == RemoteErrorKind::ServerFailure => known,
            _ => kind,
        };
        if !lines.is_empty() {
            detail = lines;
        }
        Failure::Remote {
            kind,
            detail,
            retry_after: None,
        }
    }

    fn printed(&mut self) -> Vec<String> {
        // A background process (ssh's master) may keep the stream open: the output so far is
        // enough.
        let end = Instant::now() + GRACE / 4;
        while self
            .listener
            .as_ref()
            .is_some_and(|listener| !listener.is_finished())
            && Instant::now() < end
        {
            thread::park_timeout(TICK);
        }
        std::mem::take(&mut *self.stderr.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits a short time for the program to end by itself, and returns whether it did.
    fn wait_to_end(&mut self) -> bool {
        let end = Instant::now() + GRACE;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < end => thread::park_timeout(TICK),
                Ok(None) => return false,
                Ok(Some(_)) | Err(_) => return true,
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(mut input) = self.input.take().filter(|_| !self.is_abandoned) {
            // A flush instead of a request ends the service.
            let _ = input.write_all(b"0000");
        }
        if self.is_abandoned || !self.wait_to_end() {
            // A signal first, so that it removes its lock files.
            platform::ask_to_end(self.child.id());
            if !self.wait_to_end() {
                platform::kill(self.child.id());
            }
        }
        let _ = self.child.wait();
    }
}

/// Whether a write failed because the program no longer reads. A socket whose reader left some bytes
/// unread is reset.
fn has_reader_ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// Collects the lines that a program prints. Progress is split at its carriage returns.
fn listen(stream: impl Read, lines: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.take(MAX_STDERR));
    let mut line = Vec::new();
    while io::BufRead::read_until(&mut reader, b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line);
        let parts = text
            .trim_end_matches(['\n', '\r'])
            .split('\r')
            .map(str::to_owned);
        lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(parts);
        line.clear();
    }
    // The rest is read and discarded, so that the program does not block.
    let _ = io::copy(&mut reader.into_inner().into_inner(), &mut io::sink());
}
