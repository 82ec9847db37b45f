//! Git over http on loopback: a small server around `git http-backend`, with basic authentication,
//! a record of all requests, and faults on demand.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::process;

/// The fault with which the server reacts to a request.
#[derive(Debug, Clone)]
pub(crate) enum Reaction {
    /// Respond with this status and body.
    Status(u16, &'static str),
    /// Respond with this status and these header lines, each with its line break.
    Headers(u16, &'static str),
    /// Respond with this status and a body that repeats the target and the credentials of the
    /// request.
    Echo(u16),
    /// Redirect to this URL, with the path of the request appended.
    Redirect(String),
    /// Reset the connection immediately.
    Reset,
    /// Send only this many bytes of the real response.
    Truncate(usize),
    /// Send the first bytes of the real response one by one, with this time before each.
    Drip(usize, Duration),
    /// Leave this many bytes out at the end of the real response.
    Cut(usize),
    /// Send the last response to a request of the same stage again, as a replica that lags.
    Replay,
    /// Store the body of the request in this file, respond with status 504, and leave the request
    /// undone.
    Keep(PathBuf),
    /// Respond with bytes that are not part of git's protocol.
    Garbage,
    /// Send no response until the server stops.
    Stall,
    /// Handle the request, then reset the connection instead of responding.
    LoseAnswer,
    /// Run this shell script, then handle the request.
    Before(String),
    /// Handle the request, then run this shell script, then respond.
    After(String),
}

/// The part of a sync that a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The ref list before a fetch.
    ListToFetch,
    /// The download of objects.
    Fetch,
    /// The ref list before a push.
    ListToPush,
    /// The upload of objects.
    Push,
}

/// A recorded request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) bytes_up: usize,
    pub(crate) bytes_down: usize,
}

#[derive(Default)]
struct Shared {
    /// Faults that become active with the first request of another stage: that stage, the stage of
    /// the fault, the fault.
    later: Mutex<Vec<(Stage, Stage, Reaction, usize)>>,
    /// Active faults: the stage, the fault, and the number of requests left.
    faults: Mutex<Vec<(Stage, Reaction, usize)>>,
    requests: Mutex<Vec<Request>>,
    stalled: Mutex<Vec<TcpStream>>,
    /// The last response of each stage.
    last: Mutex<Vec<(Stage, Vec<u8>)>>,
    /// The `WWW-Authenticate` headers of a server that needs credentials; Basic if there are none.
    challenges: Mutex<Vec<&'static str>>,
    stopped: AtomicBool,
    /// Whether the client's wish for a version of the protocol is not passed on to git.
    version_0: AtomicBool,
    /// Capabilities that are not listed to clients.
    hidden: Mutex<Vec<&'static str>>,
    /// The status of pushes that are refused before their body is read.
    early_status: Mutex<Option<u16>>,
    /// Whether pushes without a length are refused.
    requires_length: AtomicBool,
}

/// A running server. It stops when dropped.
pub(crate) struct HttpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Site {
    root: PathBuf,
    authorization: Option<String>,
}

impl HttpServer {
    /// Serves the repositories below `root`. If there are `credentials` (`user:password`), all
    /// requests need them.
    pub(crate) fn start(root: &Path, credentials: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let authorization =
            credentials.map(|plain| format!("Basic {}", BASE64_STANDARD.encode(plain)));
        let site = Site {
            root: root.to_owned(),
            authorization,
        };
        let accept = {
            let shared = shared.clone();
            move || {
                for stream in listener.incoming() {
                    if shared.stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let (shared, site) = (shared.clone(), site.clone());
                    // The error of a client that closes its connection early is ignored.
                    thread::spawn(move || stream.and_then(|stream| serve(stream, &site, &shared)));
                }
            }
        };
        Self {
            address,
            shared,
            listener: Some(thread::spawn(accept)),
        }
    }

    /// The URL of the repository at `path` below the root.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The host and port of the server.
    pub(crate) fn place(&self) -> String {
        self.address.to_string()
    }

    /// Adds a fault for the next `times` requests of `stage`.
    pub(crate) fn fail(&self, stage: Stage, reaction: Reaction, times: usize) {
        self.shared
            .faults
            .lock()
            .unwrap()
            .push((stage, reaction, times));
    }

    /// Adds a fault for every request of `stage` after the first request of `trigger`.
    pub(crate) fn fail_after(&self, trigger: Stage, stage: Stage, reaction: Reaction) {
        self.shared
            .later
            .lock()
            .unwrap()
            .push((trigger, stage, reaction, usize::MAX));
    }

    /// Orders a fault for the first request of `stage` that comes after one of `trigger`.
    pub(crate) fn fail_once_after(&self, trigger: Stage, stage: Stage, reaction: Reaction) {
        self.shared
            .later
            .lock()
            .unwrap()
            .push((trigger, stage, reaction, 1));
    }

    /// Removes all faults.
    pub(crate) fn mend(&self) {
        self.shared.faults.lock().unwrap().clear();
        self.shared.later.lock().unwrap().clear();
    }

    /// Has git speak version 0 of its protocol from now on, as behind proxies that drop unknown
    /// headers.
    pub(crate) fn speak_version_0(&self) {
        self.shared.version_0.store(true, Ordering::SeqCst);
    }

    /// Lists a capability no more, as a server without it.
    pub(crate) fn hide_capability(&self, name: &'static str) {
        self.shared.hidden.lock().unwrap().push(name);
    }

    /// Asks for another scheme of authentication than Basic.
    pub(crate) fn challenge(&self, scheme: &'static str) {
        self.shared.challenges.lock().unwrap().push(scheme);
    }

    /// Refuses pushes with this status from now on, before their body is read.
    pub(crate) fn reject_early(&self, status: u16) {
        *self.shared.early_status.lock().unwrap() = Some(status);
    }

    /// Refuses pushes without a length from now on, before their body is read.
    pub(crate) fn require_length(&self) {
        self.shared.requires_length.store(true, Ordering::SeqCst);
    }

    /// All requests so far, in the order in which they arrived.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for stream in self.shared.stalled.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(self.address);
        let _ = self.listener.take().map(JoinHandle::join);
    }
}

fn serve(stream: TcpStream, site: &Site, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim_end().split_once(':') {
            Some((name, value)) => headers
                .entry(name.to_lowercase())
                // A header that is sent twice counts as what servers make of it.
                .and_modify(|before: &mut String| *before += &format!(", {}", value.trim()))
                .or_insert_with(|| value.trim().to_owned()),
            None => break,
        };
    }
    let mut stream = stream;
    if let Some(status) = shared.early_status(&method, &target, &headers) {
        return reject_early(stream, status, target, headers, shared);
    }
    let body = read_body(&mut reader, &headers)?;
    let request = Request {
        target: target.clone(),
        headers: headers.clone(),
        bytes_up: body.len(),
        bytes_down: 0,
    };
    let number = {
        let mut requests = shared.requests.lock().unwrap();
        requests.push(request);
        requests.len() - 1
    };
    if site.authorization.is_some() && headers.get("authorization") != site.authorization.as_ref() {
        let challenges = shared.challenges.lock().unwrap().clone();
        let challenges = match challenges.as_slice() {
            [] => "WWW-Authenticate: Basic realm=\"codex\"\r\n".to_owned(),
            challenges => challenges
                .iter()
                .map(|scheme| format!("WWW-Authenticate: {scheme}\r\n"))
                .collect(),
        };
        return write!(
            stream,
            "HTTP/1.1 401 Unauthorized\r\n{challenges}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let at = stage(&method, &target, &body);
    let reaction = at.and_then(|stage| shared.take(stage));
    match &reaction {
        Some(Reaction::Status(status, body)) => {
            let head = format!("HTTP/1.1 {status} Ordered\r\nContent-Type: text/plain\r\n");
            return write!(
                stream,
                "{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
        Some(Reaction::Headers(status, more)) => {
            let head = format!("HTTP/1.1 {status} Ordered\r\n{more}");
            return write!(
                stream,
                "{head}Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Some(Reaction::Echo(status)) => {
            let sent = headers.get("authorization").cloned().unwrap_or_default();
            let plain = sent
                .strip_prefix("Basic ")
                .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
            let plain = String::from_utf8_lossy(&plain.unwrap_or_default()).into_owned();
            let body = format!("{target} was asked with {sent}\nwhich is {plain}\n");
            let head = format!("HTTP/1.1 {status} Ordered\r\nContent-Type: text/plain\r\n");
            return write!(
                stream,
                "{head}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
        Some(Reaction::Redirect(to)) => {
            let head = format!("HTTP/1.1 301 Moved\r\nLocation: {to}{target}\r\n");
            return write!(
                stream,
                "{head}Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Some(Reaction::Reset) => return reset(&stream),
        Some(Reaction::Garbage) => {
            let kind = headers.get("accept").cloned().unwrap_or_default();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 8\r\nConnection: close\r\n\r\n"
            );
            return stream.write_all(format!("{head}garbage\n").as_bytes());
        }
        Some(Reaction::Stall) => {
            shared.stalled.lock().unwrap().push(stream);
            return Ok(());
        }
        Some(Reaction::Keep(file)) => {
            std::fs::write(file, &body)?;
            return stream.write_all(
                b"HTTP/1.1 504 Ordered\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
        Some(Reaction::Replay) => {
            let last = shared.last.lock().unwrap();
            let answer = last.iter().rev().find(|(stage, _)| Some(*stage) == at);
            return stream.write_all(&answer.unwrap().1);
        }
        Some(Reaction::Before(script)) => run(script)?,
        _ => {}
    }
    if shared.version_0.load(Ordering::SeqCst) {
        headers.remove("git-protocol");
    }
    let mut answer = backend(site, &method, &target, &headers, &body)?;
    if at == Some(Stage::ListToFetch) {
        for name in shared.hidden.lock().unwrap().iter() {
            hide(&mut answer, name.as_bytes());
        }
    }
    if let Some(at) = at {
        shared.last.lock().unwrap().push((at, answer.clone()));
    }
    if let Some(Reaction::After(script)) = &reaction {
        run(script)?;
    }
    let answer = match reaction {
        Some(Reaction::LoseAnswer) => return reset(&stream),
        Some(Reaction::Truncate(bytes)) => &answer[..bytes.min(answer.len())],
        Some(Reaction::Drip(bytes, pause)) => {
            for byte in &answer[..bytes] {
                thread::sleep(pause);
                stream.write_all(&[*byte])?;
            }
            &answer[bytes..]
        }
        Some(Reaction::Cut(bytes)) => &answer[..answer.len().saturating_sub(bytes)],
        _ => &answer[..],
    };
    shared.requests.lock().unwrap()[number].bytes_down = answer.len();
    stream.write_all(answer)
}

/// Answers a request whose body was not read, and reads that only then: closing the stream before
/// would reset it, and the answer could be lost.
fn reject_early(
    mut stream: TcpStream,
    status: u16,
    target: String,
    headers: HashMap<String, String>,
    shared: &Shared,
) -> std::io::Result<()> {
    shared.requests.lock().unwrap().push(Request {
        target,
        headers,
        bytes_up: 0,
        bytes_down: 0,
    });
    let head = format!("HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n");
    write!(stream, "{head}Connection: close\r\n\r\n")?;
    stream.shutdown(Shutdown::Write)?;
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}

/// Makes a capability one that no client knows, of the same length.
fn hide(answer: &mut [u8], name: &[u8]) {
    for start in 0..answer.len().saturating_sub(name.len()) {
        if answer[start..].starts_with(name) {
            answer[start..start + name.len()].fill(b'x');
        }
    }
}

fn run(script: &str) -> std::io::Result<()> {
    process::program("sh")
        .args(["-c", script])
        .status()
        .map(drop)
}

/// Makes closing the stream a reset instead of an orderly end.
fn reset(stream: &TcpStream) -> std::io::Result<()> {
    rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO))?;
    Ok(())
}

fn stage(method: &str, target: &str, body: &[u8]) -> Option<Stage> {
    // Version 2 of the protocol asks for refs in a request of its own.
    let lists = body
        .windows(16)
        .any(|window| window == b"command=ls-refs\n");
    match method {
        "POST" if lists => Some(Stage::ListToFetch),
        "GET" if target.contains("service=git-upload-pack") => Some(Stage::ListToFetch),
        "GET" if target.contains("service=git-receive-pack") => Some(Stage::ListToPush),
        "POST" if target.ends_with("git-upload-pack") => Some(Stage::Fetch),
        "POST" if target.ends_with("git-receive-pack") => Some(Stage::Push),
        _ => None,
    }
}

impl Shared {
    /// The status of a request that is refused before its body is read.
    fn early_status(
        &self,
        method: &str,
        target: &str,
        headers: &HashMap<String, String>,
    ) -> Option<u16> {
        if method != "POST" || !target.ends_with("/git-receive-pack") {
            return None;
        }
        let requires_length = self.requires_length.load(Ordering::SeqCst);
        let lacks_length = requires_length && !headers.contains_key("content-length");
        lacks_length
            .then_some(411)
            .or(*self.early_status.lock().unwrap())
    }

    fn take(&self, stage: Stage) -> Option<Reaction> {
        let triggered: Vec<_> = self
            .later
            .lock()
            .unwrap()
            .extract_if(.., |(trigger, ..)| *trigger == stage)
            .collect();
        self.faults.lock().unwrap().extend(
            triggered
                .into_iter()
                .map(|(_, at, reaction, times)| (at, reaction, times)),
        );
        let mut faults = self.faults.lock().unwrap();
        let (_, reaction, times) = faults
            .iter_mut()
            .find(|(at, _, times)| *at == stage && *times > 0)?;
        *times -= 1;
        Some(reaction.clone())
    }
}

fn read_body(
    reader: &mut impl BufRead,
    headers: &HashMap<String, String>,
) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if headers
        .get("transfer-encoding")
        .is_some_and(|encoding| encoding == "chunked")
    {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    reader.take(length).read_to_end(&mut body)?;
    Ok(body)
}

/// Runs `git http-backend` and converts its CGI output into an HTTP response.
fn backend(
    site: &Site,
    method: &str,
    target: &str,
    headers: &HashMap<String, String>,
    body: &[u8],
) -> std::io::Result<Vec<u8>> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let mut child = process::program("git")
        .arg("http-backend")
        .env("HOME", &site.root)
        .env("GIT_PROJECT_ROOT", &site.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "tester")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().unwrap();
    let body = body.to_vec();
    let writer = thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output()?.stdout;
    let _ = writer.join();

    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let content = output.get(end + 4..).unwrap_or_default();
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    let rest: String = head
        .lines()
        .filter(|line| !line.starts_with("Status:"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\n{rest}Content-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    )
    .into_bytes();
    answer.extend_from_slice(content);
    Ok(answer)
}
