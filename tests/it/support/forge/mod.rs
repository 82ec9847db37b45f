//! The API of a forge on loopback: GitHub, GitLab or Gitea, as far as the program uses them. The
//! branches are those of the real repository behind it.

mod description;
mod gitea;
mod github;
mod gitlab;
mod pulls;

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use description::Description;
use git2::Repository;
use serde_json::{Value, json};

pub(crate) use pulls::{Merge, Pull};

/// The token that the stub accepts. No output may show it.
pub(crate) const FORGE_TOKEN: &str = "f0rge-t0ken-that-must-not-show";

/// The forge that the stub behaves as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    GitHub,
    GitLab,
    Gitea,
    /// The same implementation as for Gitea, with another description.
    Forgejo,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::GitHub, Self::GitLab, Self::Gitea, Self::Forgejo];
    /// One forge per implementation in the program.
    pub(crate) const EACH_API: [Self; 3] = [Self::GitHub, Self::GitLab, Self::Gitea];

    /// The value of `forge.kind`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea | Self::Forgejo => "gitea",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::GitHub => "/api/v3",
            Self::GitLab => "/api/v4",
            Self::Gitea | Self::Forgejo => "/api/v1",
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
    pub(crate) body: Value,
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

    /// A rejection with a message.
    pub(crate) fn rejection(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "message": message }))
    }

    fn with(mut self, header: &str) -> Self {
        self.headers.push_str(header);
        self.headers.push_str("\r\n");
        self
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
    /// Handle the request, and close the connection in the middle of the response.
    HandleAndCutOff,
    /// Change the first pull request, as a person does at this moment, and handle the request.
    Edit(fn(&mut Pull)),
    /// Merge the first pull request, and handle the request.
    Merge(Merge),
}

#[derive(Default)]
struct State {
    pulls: Vec<Pull>,
    /// The number of responses that still show the previous head of a pull request.
    stale_responses: usize,
    /// The number of attempts to open a pull request for which its branch is not visible yet.
    invisible_branch: usize,
    requests: Vec<Request>,
    faults: Vec<Fault>,
    /// The differences of requests and responses from the description of the API.
    differences: BTreeSet<String>,
    /// Whether the owner of the token may only read.
    is_read_only: bool,
    is_archived: bool,
    /// Whether each head has checks: a pipeline on GitLab, required ones on Gitea.
    has_checks: bool,
    /// The number of responses that do not show the pipeline of a head yet.
    hidden_pipelines: usize,
}

/// A running stub. It stops when dropped, and fails if a request or a response was not as the API is
/// documented.
pub(crate) struct Forge {
    kind: Kind,
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    kind: Kind,
    repository: PathBuf,
    state: Mutex<State>,
    stopped: AtomicBool,
}

impl Forge {
    /// A forge that hosts the repository at this path as `acme/codex`.
    pub(crate) fn start(kind: Kind, repository: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            kind,
            repository: repository.to_owned(),
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
            ("FRACTARY_CODEX_PUSH__MODE", "pull-request".to_owned()),
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

    /// Runs a pipeline for each head of a merge request, which GitLab shows after this number of
    /// responses. On Gitea, the base branch requires checks.
    pub(crate) fn run_checks(&self, hidden_pipelines: usize) {
        let mut state = self.shared.state.lock().unwrap();
        state.has_checks = true;
        state.hidden_pipelines = hidden_pipelines;
    }

    /// Opens this number of pull requests of other branches.
    pub(crate) fn open_others(&self, count: usize) {
        let mut state = self.shared.state.lock().unwrap();
        for number in 0..count {
            let branch = format!("other-{number}");
            state.open(&json!("Other"), &json!(""), &branch, "main");
        }
    }

    pub(crate) fn archive(&self) {
        self.shared.state.lock().unwrap().is_archived = true;
    }

    /// Shows the previous head of a pull request in the next responses.
    pub(crate) fn lag(&self, responses: usize) {
        self.shared.state.lock().unwrap().stale_responses = responses;
    }

    /// Does not know the branch at the next attempts to open a pull request. Gitea reads its own
    /// repository, and always knows it.
    pub(crate) fn hide_branch(&self, attempts: usize) {
        self.shared.state.lock().unwrap().invisible_branch = attempts;
    }

    /// The pull requests so far.
    pub(crate) fn pulls(&self) -> Vec<Pull> {
        self.shared.state.lock().unwrap().pulls.clone()
    }

    /// Changes a pull request, as a person does on its page.
    pub(crate) fn edit(&self, number: u64, change: impl FnOnce(&mut Pull)) {
        self.shared.edit(number, change);
    }

    /// Marks a pull request as merged, without any commit on its base.
    pub(crate) fn mark_as_merged(&self, number: u64) {
        let repository = self.shared.open();
        self.edit(number, |pull| {
            pull.last_head = pull.head(&repository);
            pull.state = "merged";
        });
    }

    /// Opens a pull request, as a person does on the page of a branch.
    pub(crate) fn open(&self, branch: &str, base: &str) {
        let mut state = self.shared.state.lock().unwrap();
        state.open(&json!("Ours"), &json!(""), branch, base);
    }

    /// Closes a pull request.
    pub(crate) fn close(&self, number: u64) {
        let repository = self.shared.open();
        self.edit(number, |pull| {
            pull.last_head = pull.head(&repository);
            pull.state = "closed";
        });
    }

    /// Opens a pull request again.
    pub(crate) fn reopen(&self, number: u64) {
        self.edit(number, |pull| pull.state = "open");
    }

    /// Merges a pull request into the branch of the codex. The branch is kept.
    pub(crate) fn merge(&self, number: u64, how: Merge) {
        self.shared.merge(number, how);
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// The requests since the last call, as `METHOD TARGET` without the query.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        let requests = std::mem::take(&mut self.shared.state.lock().unwrap().requests);
        let line = |request: &Request| {
            let target = request.target.split('?').next().unwrap();
            let target = target.strip_prefix(self.kind.prefix()).unwrap_or(target);
            format!("{} {target}", request.method)
        };
        requests.iter().map(line).collect()
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        let _ = self.listener.take().map(JoinHandle::join);
        let differences = self
            .shared
            .state
            .lock()
            .map(|state| state.differences.clone());
        if !thread::panicking() {
            assert_eq!(differences.unwrap(), BTreeSet::new(), "not as documented");
        }
    }
}

/// A response whose body is shorter than it says.
const CUT_OFF: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{";

/// Handles the requests of one connection.
fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let mut output = stream;
    while let Some(request) = read(&mut input)? {
        shared.check(&request);
        let fault = shared.state.lock().unwrap().fault(&request);
        let response = match fault {
            Some(Reaction::Respond(response)) => {
                shared.state.lock().unwrap().requests.push(request);
                response
            }
            Some(Reaction::CutOff) => {
                shared.state.lock().unwrap().requests.push(request);
                return output.write_all(CUT_OFF);
            }
            Some(Reaction::HandleAndCutOff) => {
                shared.respond(&request);
                shared.state.lock().unwrap().requests.push(request);
                return output.write_all(CUT_OFF);
            }
            meanwhile => {
                match meanwhile {
                    Some(Reaction::Edit(change)) => shared.edit(1, change),
                    Some(Reaction::Merge(how)) => shared.merge(1, how),
                    _ => {}
                }
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
    let length = headers.get("content-length").map_or("0", String::as_str);
    let mut body = vec![0; length.parse().unwrap()];
    input.read_exact(&mut body)?;
    Ok(Some(Request {
        method,
        target,
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
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

/// The value of a parameter in the query of a target, decoded.
fn parameter(target: &str, name: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(decoded(value))
}

/// Decodes `%XX`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl State {
    fn pull(&mut self, number: u64) -> Option<&mut Pull> {
        self.pulls.iter_mut().find(|pull| pull.number == number)
    }

    /// The head of a pull request as the API shows it.
    fn shown_head(&mut self, number: u64, repository: &Repository) -> Option<String> {
        let is_stale = self.stale_responses > 0;
        let pull = self.pull(number)?;
        let head = pull.head(repository);
        if is_stale && pull.shown_head != head {
            let stale = pull.shown_head.clone();
            self.stale_responses -= 1;
            return stale;
        }
        pull.shown_head.clone_from(&head);
        head
    }

    /// Opens a pull request from these values.
    fn open(&mut self, title: &Value, body: &Value, branch: &str, base: &str) -> u64 {
        let number = self.pulls.len() as u64 + 1;
        self.pulls.push(Pull {
            number,
            title: title.as_str().unwrap().to_owned(),
            body: body.as_str().unwrap().to_owned(),
            branch: branch.to_owned(),
            base: base.to_owned(),
            state: "open",
            ..Pull::default()
        });
        number
    }

    /// Whether the branch has an open pull request.
    fn is_open(&self, branch: &str, base: &str) -> bool {
        let is_same = |pull: &Pull| pull.branch == branch && pull.base == base;
        self.pulls
            .iter()
            .any(|pull| pull.state == "open" && is_same(pull))
    }

    /// Whether this response shows the pipeline of a head.
    fn shows_pipeline(&mut self) -> bool {
        let is_hidden = self.hidden_pipelines > 0;
        self.hidden_pipelines -= usize::from(is_hidden);
        self.has_checks && !is_hidden
    }

    /// Whether a branch is not visible at this attempt.
    fn hides(&mut self) -> bool {
        let is_hidden = self.invisible_branch > 0;
        self.invisible_branch -= usize::from(is_hidden);
        is_hidden
    }
}

impl Shared {
    fn edit(&self, number: u64, change: impl FnOnce(&mut Pull)) {
        let mut state = self.state.lock().unwrap();
        change(state.pull(number).unwrap());
    }

    fn merge(&self, number: u64, how: Merge) {
        let repository = self.open();
        self.edit(number, |pull| {
            pull.last_head = pull.head(&repository);
            pulls::merge(&repository, pull, how);
            pull.state = "merged";
        });
    }

    fn open(&self) -> Repository {
        Repository::open_bare(&self.repository).unwrap()
    }

    /// The target of a request without the path of the API; `None` if it is outside.
    fn target_of<'r>(&self, request: &'r Request) -> Option<&'r str> {
        let target = request.target.strip_prefix(self.kind.prefix());
        target.or((request.target == "/api/graphql").then_some("/graphql"))
    }

    /// Notes the differences of a request from the description of the API.
    fn check(&self, request: &Request) {
        if let Some(target) = self.target_of(request) {
            let found = Description::of(self.kind).check_request(request, target);
            self.state.lock().unwrap().differences.extend(found);
        }
    }

    fn respond(&self, request: &Request) -> Response {
        let Some(target) = self.target_of(request) else {
            return Response::rejection(404, "Not Found");
        };
        let mut state = self.state.lock().unwrap();
        let scheme = match self.kind {
            Kind::GitHub | Kind::GitLab => "Bearer",
            Kind::Gitea | Kind::Forgejo => "token",
        };
        let authorization = request.headers.get("authorization");
        if authorization != Some(&format!("{scheme} {FORGE_TOKEN}")) {
            return Response::rejection(401, "Bad credentials");
        }
        let response = match self.kind {
            Kind::GitHub => github::respond(self, &mut state, request, target),
            Kind::GitLab => gitlab::respond(self, &mut state, request, target),
            Kind::Gitea | Kind::Forgejo => gitea::respond(self, &mut state, request, target),
        };
        let found = Description::of(self.kind).check_response(request, target, &response);
        state.differences.extend(found);
        response
    }
}
