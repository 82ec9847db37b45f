//! The API of a forge on loopback: GitHub, GitLab or Gitea, as far as the program uses them.

mod gitea;
mod github;
mod gitlab;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

/// The token that the stub accepts. No output may show it.
pub(crate) const FORGE_TOKEN: &str = "f0rge-t0ken-that-must-not-show";

/// The forge that the stub behaves as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    GitHub,
    GitLab,
    Gitea,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::GitHub, Self::GitLab, Self::Gitea];

    /// The value of `forge.kind`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::GitHub => "/api/v3",
            Self::GitLab => "/api/v4",
            Self::Gitea => "/api/v1",
        }
    }
}

/// A recorded request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path with the query.
    pub(crate) target: String,
    pub(crate) headers: HashMap<String, String>,
}

/// A response: its status, header lines with their line breaks, and its body.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: "Content-Type: application/json\r\n".to_owned(),
            body: body.to_string(),
        }
    }

    /// A refusal with a message.
    pub(crate) fn refusal(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "message": message }))
    }
}

/// A fault for requests whose method and target contain these texts.
struct Fault {
    method: &'static str,
    target: &'static str,
    reaction: Reaction,
    times: usize,
}

/// What the stub does instead of handling a request.
#[derive(Debug, Clone)]
pub(crate) enum Reaction {
    Respond(Response),
    /// Close the connection in the middle of the response.
    CutOff,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    faults: Vec<Fault>,
    /// Whether the owner of the token may only read.
    is_read_only: bool,
    is_archived: bool,
}

/// A running stub. It stops when dropped.
pub(crate) struct Forge {
    kind: Kind,
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    kind: Kind,
    state: Mutex<State>,
    stopped: AtomicBool,
}

impl Forge {
    /// A forge that hosts the codex as `acme/codex`.
    pub(crate) fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            kind,
            state: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accept = {
            let shared = shared.clone();
            move || {
                for stream in listener.incoming() {
                    if shared.stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let shared = shared.clone();
                    // The error of a client that closes its connection early is ignored.
                    thread::spawn(move || stream.and_then(|stream| serve(stream, &shared)));
                }
            }
        };
        Self {
            kind,
            address,
            shared,
            listener: Some(thread::spawn(accept)),
        }
    }

    /// The URL of the API.
    pub(crate) fn api(&self) -> String {
        format!("http://{}{}", self.address, self.kind.prefix())
    }

    /// The variables that make the program use this forge.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("FRACTARY_CODEX_FORGE__KIND", self.kind.name().to_owned()),
            ("FRACTARY_CODEX_FORGE__API", self.api()),
            ("FRACTARY_CODEX_FORGE__REPOSITORY", "acme/codex".to_owned()),
            ("FRACTARY_CODEX_FORGE__TOKEN", FORGE_TOKEN.to_owned()),
        ]
    }

    /// Adds a fault for the next `times` requests with this method whose target contains `target`.
    pub(crate) fn fail(
        &self,
        method: &'static str,
        target: &'static str,
        reaction: Reaction,
        times: usize,
    ) {
        self.shared.state.lock().unwrap().faults.push(Fault {
            method,
            target,
            reaction,
            times,
        });
    }

    pub(crate) fn make_read_only(&self) {
        self.shared.state.lock().unwrap().is_read_only = true;
    }

    pub(crate) fn archive(&self) {
        self.shared.state.lock().unwrap().is_archived = true;
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.state.lock().unwrap().requests.clone()
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        let _ = self.listener.take().map(JoinHandle::join);
    }
}

/// Handles the requests of one connection.
fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let mut output = stream;
    while let Some(request) = read(&mut input)? {
        let fault = shared.state.lock().unwrap().fault(&request);
        let response = match fault {
            Some(Reaction::Respond(response)) => {
                shared.state.lock().unwrap().requests.push(request);
                response
            }
            Some(Reaction::CutOff) => {
                shared.state.lock().unwrap().requests.push(request);
                return output.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
            }
            None => {
                let response = shared.respond(&request);
                shared.state.lock().unwrap().requests.push(request);
                response
            }
        };
        let head = format!(
            "HTTP/1.1 {} Stub\r\n{}Content-Length: {}\r\n\r\n",
            response.status,
            response.headers,
            response.body.len()
        );
        output.write_all(head.as_bytes())?;
        output.write_all(response.body.as_bytes())?;
    }
    Ok(())
}

/// Reads a request; `None` at the end of the connection.
fn read(input: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some(Request {
        method,
        target,
        headers,
    }))
}

impl State {
    fn fault(&mut self, request: &Request) -> Option<Reaction> {
        let fault = self.faults.iter_mut().find(|fault| {
            fault.times > 0
                && fault.method == request.method
                && request.target.contains(fault.target)
        })?;
        fault.times -= 1;
        Some(fault.reaction.clone())
    }
}

impl Shared {
    fn respond(&self, request: &Request) -> Response {
        let target = request.target.strip_prefix(self.kind.prefix());
        let Some(target) = target else {
            return Response::refusal(404, "Not Found");
        };
        let scheme = match self.kind {
            Kind::GitHub | Kind::GitLab => "Bearer",
            Kind::Gitea => "token",
        };
        let authorization = request.headers.get("authorization");
        if authorization != Some(&format!("{scheme} {FORGE_TOKEN}")) {
            return Response::refusal(401, "Bad credentials");
        }
        let state = self.state.lock().unwrap();
        match self.kind {
            Kind::GitHub => github::respond(&state, request, target),
            Kind::GitLab => gitlab::respond(&state, request, target),
            Kind::Gitea => gitea::respond(&state, request, target),
        }
    }
}
