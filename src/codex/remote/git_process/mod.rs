//! The transport that runs the user's `git`, for remotes that only git can talk to. All of the
//! user's configuration for git, ssh, proxies and credential helpers applies. A token is passed to
//! the child process in its environment, as a header for the URL of the remote only.

mod ls_refs;

use std::cell::Cell;
use std::io::{self, Read, Seek, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytesize::ByteSize;

use super::context::RemoteContext;
use super::error_messages::{
    Unsupported, classify, failed_connection, relevant_lines, status_of_push, unsupported,
};
use super::http_response::{is_rate_limit, retry_after};
use super::refs::{self, NOT_GIT, Refs, SHA_256, WantedRefs};
use super::rejection::{self, RefResult, Rejection, RejectionKind};
use super::server_message::{is_of_server, server_words, unmarked_line};
use super::transport::{
    Branches, Depth, Purpose, PushReply, RefUpdate, RemoteRefs, Transport, TreeLevels, branches_of,
};
use crate::codex::child_process::{self, Finished, RunError, Supervision, Watch};
use crate::codex::git_config::Settings;
use crate::codex::push_contents::PushContents;
use crate::codex::remote::error::{RemoteError, RemoteErrorKind};
use crate::codex::remote::native::address::Address;
use crate::codex::remote::native::http::logins_of_git;
use crate::codex::remote::native::http_settings::is_authorization;
use crate::codex::remote::native::ssh;
use crate::codex::store::Store;
use crate::environment::Environment;
use crate::event::{Event, Stage};
use crate::interrupt::{Interrupt, OnSignal};
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::url::RemoteUrl;
use ls_refs::Listed;

/// The `git` program for one remote.
pub(in crate::codex) struct GitProcess {
    /// The context. The URL of its remote is the one that is contacted: git's configuration has
    /// already rewritten it.
    context: RemoteContext,
    /// The name of the remote for the child processes of this run. It is random, so that no section
    /// of the user's configuration can extend or replace the remote.
    name: String,
    /// Whether the server does not support leaving objects out of a fetch.
    unfiltered: AtomicBool,
    /// Whether the server does not support cutting the history.
    unshallow: AtomicBool,
}

/// The oldest supported version: git reads configuration from the environment since then.
const OLDEST: (u32, u32) = (2, 31);

/// A `GIT_DIR` that is no repository, so that children without one do not read the configuration of
/// another.
const NO_REPOSITORY: &str = "/dev/null";

/// The time limit for a program that only prints its configuration.
const LOCAL_LIMIT: Duration = Duration::from_secs(30);

/// The time limit for a request that finds out why another request failed.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

impl GitProcess {
    /// Reads the user's git configuration, which may rewrite the remote's URL.
    pub(in crate::codex) fn new(
        context: RemoteContext,
        purpose: Purpose,
    ) -> Result<Self, RemoteError> {
        let mut git = Self::of_configured(context);
        let settings = git.read_settings()?;
        git.context = git.context.configured(settings, purpose)?;
        Ok(git)
    }

    /// For a context whose URL git's configuration has rewritten already.
    pub(in crate::codex) fn of_configured(context: RemoteContext) -> Self {
        Self {
            context,
            name: format!("codex-{:016x}", fastrand::u64(..)),
            unfiltered: AtomicBool::new(false),
            unshallow: AtomicBool::new(false),
        }
    }

    fn read_settings(&self) -> Result<Settings, RemoteError> {
        let mut command = child_process::for_git("git", &self.context.environment);
        command
            .current_dir("/")
            .env("GIT_DIR", NO_REPOSITORY)
            .args(["config", "--list", "-z"]);
        let listed = self.run(command, OnSignal::Stop, |_| LOCAL_LIMIT, |_| {})?;
        if listed.status.success() {
            Ok(Settings::parse(&listed.stdout))
        } else {
            Err(self.failure(&listed))
        }
    }

    /// A child with the settings for this remote. `silence` is the idle time limit of an http
    /// connection.
    fn command(&self, store: Option<&Store>, silence: Duration) -> Command {
        let mut command = child_process::for_git("git", &self.context.environment);
        match store {
            Some(store) => command.arg("--git-dir").arg(store.path()),
            None => command.current_dir("/").env("GIT_DIR", NO_REPOSITORY),
        };
        let mut settings: Vec<(String, String)> = [
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("core.fsync", "none"),
            ("core.hooksPath", "/dev/null"),
            ("fetch.writeCommitGraph", "false"),
            // The clone contains packs only; their checksums are verified.
            ("fetch.unpackLimit", "1"),
            ("http.lowSpeedLimit", "1"),
            // The output is parsed.
            ("color.ui", "false"),
            ("color.push", "false"),
            ("color.transport", "false"),
            ("color.remote", "false"),
            ("color.advice", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        settings.push((
            "http.lowSpeedTime".to_owned(),
            silence.as_secs().max(1).to_string(),
        ));
        settings.extend(self.remote(store));
        if self.sees_headers() {
            command
                .env("GIT_TRACE_CURL", "1")
                .env("GIT_TRACE_CURL_NO_DATA", "1");
        }
        if let Some(credential) = &self.context.credential {
            let url = self.context.remote.url.for_git();
            let header = format!("http.{url}.extraHeader");
            settings.extend(
                self.headers_beside_ours(&url)
                    .into_iter()
                    .map(|value| (header.clone(), value)),
            );
            let authorization = credential.authorization();
            settings.push((header, format!("Authorization: {}", authorization.reveal())));
            settings.push((format!("http.{url}.followRedirects"), "false".to_owned()));
            // The server must judge this token: no credential helper may replace it, and no program
            // may prompt.
            settings.push(("credential.helper".to_owned(), String::new()));
            command.env("GIT_ASKPASS", "true").env_remove("SSH_ASKPASS");
        }
        self.configure(&mut command, &settings);
        if self.context.remote.url.is_ssh() && !ssh::is_configured(&self.context) {
            let options = ssh::own_options(self.context.remote.timeout);
            let options = options.iter().map(|option| format!(" -o {option}"));
            command.env(
                "GIT_SSH_COMMAND",
                format!("ssh{}", options.collect::<String>()),
            );
        }
        command
    }

    /// The settings that define the remote [`Self::name`]. Its URL is an alias, which a rule in
    /// these settings rewrites to the URL that is contacted. git rewrites a URL once, by the
    /// longest prefix, so no rule of the user applies again.
    fn remote(&self, store: Option<&Store>) -> Vec<(String, String)> {
        let name = &self.name;
        let url = self.context.remote.url.for_git();
        let alias = self.alias();
        let mut settings = vec![
            (format!("remote.{name}.url"), alias.clone()),
            (format!("url.{url}.insteadOf"), alias.clone()),
            (format!("url.{url}.pushInsteadOf"), alias),
        ];
        if let Some(filter) = store.and_then(Store::filter) {
            // Not in the configuration of the clone: the name of the remote changes with every run.
            settings.push((format!("remote.{name}.promisor"), "true".to_owned()));
            settings.push((
                format!("remote.{name}.partialCloneFilter"),
                filter.to_owned(),
            ));
        }
        settings
    }

    /// Whether the headers of responses can be read from git's trace, as git does not print them.
    /// Not if the user has the trace written to a file.
    fn sees_headers(&self) -> bool {
        let to_file = self
            .context
            .environment
            .get("GIT_TRACE_CURL")
            .is_some_and(|file| file.starts_with('/'));
        self.context.remote.url.is_http() && !to_file
    }

    fn alias(&self) -> String {
        format!("{}:", self.name)
    }

    /// The user's own `http.extraHeader` values without any `Authorization`, after an empty one
    /// that clears the list: a server rejects two. Empty if there is no conflict.
    fn headers_beside_ours(&self, url: &str) -> Vec<String> {
        let settings = &self.context.settings;
        let Some(address) = Address::parse(url) else {
            return Vec::new();
        };
        // The list is replaced even if the header is for another URL: our matching might differ
        // from git's.
        if settings.authorization_headers().next().is_none() {
            return Vec::new();
        }
        tracing::debug!("the token replaces the `Authorization` of git's `http.extraHeader`");
        let headers = settings.http_all(&address, "extraheader").into_iter();
        let others = headers.filter(|header| !is_authorization(header));
        [""].into_iter().chain(others).map(str::to_owned).collect()
    }

    /// Appends settings to those in the user's environment.
    fn configure(&self, command: &mut Command, settings: &[(String, String)]) {
        let given = self
            .context
            .environment
            .get("GIT_CONFIG_COUNT")
            .and_then(|count| count.parse().ok())
            .unwrap_or(0usize);
        for (number, (key, value)) in settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{}", given + number), key);
            command.env(format!("GIT_CONFIG_VALUE_{}", given + number), value);
        }
        command.env("GIT_CONFIG_COUNT", (given + settings.len()).to_string());
    }

    /// Runs a child. An error if it does not end by itself.
    fn run(
        &self,
        command: Command,
        on_signal: OnSignal,
        time_limit: impl Fn(&str) -> Duration,
        listen: impl FnMut(&str),
    ) -> Result<Finished, RemoteError> {
        self.run_dialogue(command, &[], on_signal, time_limit, listen)
    }

    /// Runs a child that gets `messages` on its standard input, each after the response to the
    /// previous one.
    fn run_dialogue(
        &self,
        command: Command,
        messages: &[Vec<u8>],
        on_signal: OnSignal,
        time_limit: impl Fn(&str) -> Duration,
        mut listen: impl FnMut(&str),
    ) -> Result<Finished, RemoteError> {
        let watch = if self.context.remote.url.local_path().is_some() {
            Watch::OutputOnly
        } else {
            Watch::Bytes
        };
        let supervision = Supervision {
            messages,
            interrupt: &self.context.interrupt,
            on_signal,
            watch,
            time_limit: &time_limit,
            listen: &mut listen,
        };
        let finished = child_process::run(command, supervision)
            .map_err(|failed| self.not_finished(&failed))?;
        tracing::debug!(status = %finished.status, stderr = ?self.context.redacted(&finished.stderr), "git ended");
        Ok(finished)
    }

    /// The error of a child that did not end by itself.
    fn not_finished(&self, failed: &RunError) -> RemoteError {
        let (kind, detail) = match failed {
            RunError::Interrupted(interrupted) => {
                (RemoteErrorKind::Interrupted(*interrupted), None)
            }
            RunError::NoProgress(limit) => {
                let limit = humantime::format_duration(*limit);
                let detail = format!("nothing moved for {limit}");
                (RemoteErrorKind::TimedOut, Some(detail))
            }
            RunError::Start(error) => {
                let detail = format!("`git` cannot be run: {error}");
                (RemoteErrorKind::NoTransport, Some(detail))
            }
        };
        self.context.error(kind, detail.into_iter().collect())
    }

    /// The error of a child that failed.
    fn failure(&self, finished: &Finished) -> RemoteError {
        let mut kind = self.cause(finished);
        let mut detail = relevant_lines(&self.context.redacted(&finished.stderr));
        // Checked after a failure only, as it takes a process.
        if kind == RemoteErrorKind::Other
            && let Some(old) = unusable(&self.context.environment, &self.context.interrupt)
        {
            (kind, detail) = (RemoteErrorKind::NoTransport, vec![old]);
        }
        if kind == RemoteErrorKind::Redirected {
            let target = finished
                .header("location")
                .last()
                .and_then(|location| self.context.leads_to(location));
            detail.extend(target.map(|url| format!("it leads to {url}")));
        }
        let mut error = self.context.error(kind, detail);
        error.advice.retry_after = finished
            .last_header("retry-after")
            .and_then(|value| retry_after(value, SystemTime::now()));
        let is_about_access = !error.tried.is_empty() && self.context.remote.url.is_http();
        if is_about_access && self.context.credential.is_none() {
            error.tried.extend(logins_of_git(&self.context));
            error
                .tried
                .push("git's credential helpers were asked".to_owned());
        }
        error.advice.command = ssh::host_key_command(kind, &self.context);
        error
    }

    /// The cause of a failure, by the messages of git and the state of the connection.
    fn cause(&self, finished: &Finished) -> RemoteErrorKind {
        let url = &self.context.remote.url;
        let kind = classify(&finished.stderr);
        match kind {
            RemoteErrorKind::NoCredentials
                if self.context.credential.is_some()
                    || !logins_of_git(&self.context).is_empty() =>
            {
                RemoteErrorKind::WrongCredentials
            }
            RemoteErrorKind::Tls if self.speaks_plain_http(finished) => RemoteErrorKind::PlainHttp,
            RemoteErrorKind::Forbidden
                if is_rate_limit(|name| finished.last_header(name), &finished.stderr) =>
            {
                RemoteErrorKind::RateLimited
            }
            RemoteErrorKind::Refused | RemoteErrorKind::TimedOut if url.is_http() => {
                match failed_connection(&finished.stderr) {
                    Some((host, port)) if !is_at(url, host, port) => RemoteErrorKind::Proxy,
                    _ => kind,
                }
            }
            kind => kind,
        }
    }

    /// Whether a server that does not complete a TLS handshake responds without TLS. Some servers
    /// only close the connection, so a request is sent. A server with TLS responds to it with
    /// status 400.
    fn speaks_plain_http(&self, finished: &Finished) -> bool {
        let url = &self.context.remote.url;
        let is_about_trust = finished
            .stderr
            .iter()
            .any(|line| line.contains("certificate"));
        let Some(host) = url.host().filter(|_| !is_about_trust) else {
            return false;
        };
        let limit = self.context.remote.timeout.connect.min(PROBE_LIMIT);
        let ask = || -> io::Result<bool> {
            let port = url.port_or_default().ok_or(io::ErrorKind::NotFound)?;
            let place = (host.trim_matches(['[', ']']), port);
            let address = place.to_socket_addrs()?.next();
            let address = address.ok_or(io::ErrorKind::NotFound)?;
            let mut stream = TcpStream::connect_timeout(&address, limit)?;
            stream.set_read_timeout(Some(limit))?;
            stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n")?;
            let mut head = [0; 12];
            stream.read_exact(&mut head)?;
            Ok(head.starts_with(b"HTTP/1.") && &head[9..] != b"400")
        };
        ask().unwrap_or(false)
    }

    /// The refs that match `patterns`. With `branches`, only branches are transferred if the
    /// protocol allows it.
    fn list(
        &self,
        patterns: &[&str],
        branches: bool,
        on_signal: OnSignal,
    ) -> Result<Refs, RemoteError> {
        let timeout = self.context.remote.timeout;
        let limit = timeout.connect + timeout.idle;
        let mut command = self.command(None, timeout.idle);
        command.args(["ls-remote", "--symref"]);
        if branches {
            command.arg("--heads");
        }
        command.args(["--", &self.name]).args(patterns);
        let finished = self.run(command, on_signal, |_| limit, |_| {})?;
        if !finished.status.success() {
            return Err(self.failure(&finished));
        }
        let pairs = finished
            .stdout
            .lines()
            .filter_map(|line| line.split_once('\t'));
        let lines: Vec<_> = pairs
            .map(|(value, name)| (name.to_owned(), value.to_owned()))
            .collect();
        if lines.is_empty() && !self.is_of_git(&finished, "upload-pack") {
            return Err(self
                .context
                .error(RemoteErrorKind::NotGit, vec![NOT_GIT.to_owned()]));
        }
        Ok(lines)
    }

    /// Whether a response without any ref is from git. Over http, git interprets an empty response,
    /// or one without lines, as a repository without branches: the page of a proxy, for example.
    fn is_of_git(&self, finished: &Finished, service: &str) -> bool {
        let smart = format!("application/x-git-{service}-");
        !self.sees_headers()
            || finished
                .header("content-type")
                .any(|kind| kind.starts_with(&smart))
    }

    /// HEAD and the refs whose names start with one of `prefixes`; only these are transferred.
    /// `None` if the server or the protocol does not support that.
    fn list_by_prefix(
        &self,
        prefixes: &[String],
        on_signal: OnSignal,
    ) -> Result<Option<Refs>, RemoteError> {
        let url = &self.context.remote.url;
        if !url.is_http() {
            return Ok(None);
        }
        let timeout = self.context.remote.timeout;
        let limit = timeout.connect + timeout.idle;
        let mut command = self.command(None, timeout.idle);
        command
            .args(["remote-https", &self.name, &url.for_git()])
            .stdin(Stdio::piped());
        let messages = ls_refs::messages(prefixes);
        let finished = self.run_dialogue(command, &messages, on_signal, |_| limit, |_| {})?;
        match ls_refs::read(&finished.raw) {
            Listed::Refs(lines) if finished.status.success() => Ok(Some(lines)),
            Listed::ObjectFormat => Err(self
                .context
                .error(RemoteErrorKind::ObjectFormat, vec![SHA_256.to_owned()])),
            Listed::Fallback => Ok(None),
            // git reports some broken connections as a regular end.
            Listed::Broken if finished.stderr.is_empty() => {
                let detail = "its response breaks off".to_owned();
                Err(self
                    .context
                    .error(RemoteErrorKind::ServerFailure, vec![detail]))
            }
            Listed::Refs(_) | Listed::Broken => Err(self.failure(&finished)),
        }
    }

    /// Fetches into `store`, without the options that the server does not support.
    fn fetch_as_supported(
        &self,
        store: &Store,
        branches: &[&str],
        depth: Depth,
        on_signal: OnSignal,
    ) -> Result<(), RemoteError> {
        let timeout = self.context.remote.timeout;
        let limit = timeout.connect + timeout.idle;
        loop {
            let mut command = self.command(Some(store), timeout.idle);
            command.args([
                "fetch",
                "--progress",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
            ]);
            match store.filter() {
                Some(filter) if !self.unfiltered.load(Ordering::Relaxed) => {
                    command.arg(format!("--filter={filter}"))
                }
                _ => command.arg("--no-filter"),
            };
            if !self.unshallow.load(Ordering::Relaxed) {
                command.arg(format!("--depth={}", depth.0));
            }
            command.arg(&self.name);
            for (branch, name) in branches.iter().zip(Store::names_of_tips(branches.len())) {
                command.arg(format!("+refs/heads/{branch}:{name}"));
            }
            let listen = |line: &str| self.progress(Stage::Fetch, "Receiving objects:", line);
            let finished = self.run(command, on_signal, |_| limit, listen)?;
            if finished.status.success() {
                return Ok(());
            }
            let already = match unsupported(&finished.stderr) {
                Some(Unsupported::Filter) => self.unfiltered.swap(true, Ordering::Relaxed),
                Some(Unsupported::Shallow) => self.unshallow.swap(true, Ordering::Relaxed),
                None => true,
            };
            if already {
                return Err(self.failure(&finished));
            }
            tracing::debug!(stderr = ?self.context.redacted(&finished.stderr), "the server sends only more than that");
        }
    }

    /// Fetches objects by their ids, with those below them that pass the filter.
    fn fetch_objects(
        &self,
        store: &Store,
        ids: &[ObjectId],
        filter: &str,
    ) -> Result<(), RemoteError> {
        let idle = self.context.remote.timeout.idle;
        let failed = |error: io::Error| {
            self.context
                .error(RemoteErrorKind::Other, vec![error.to_string()])
        };
        let mut list = tempfile::tempfile_in(store.path()).map_err(failed)?;
        let lines: String = ids.iter().map(|id| format!("{id}\n")).collect();
        list.write_all(lines.as_bytes())
            .and_then(|()| list.rewind())
            .map_err(failed)?;
        let mut command = self.command(Some(store), idle);
        // As git fetches missing objects of a partial clone: without negotiation, only the named
        // objects.
        command.args([
            "-c",
            "fetch.negotiationAlgorithm=noop",
            "fetch",
            "--progress",
            "--no-tags",
        ]);
        command.args([
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            &format!("--filter={filter}"),
            "--stdin",
            &self.name,
        ]);
        command.stdin(list);
        let listen = |line: &str| self.progress(Stage::Fetch, "Receiving objects:", line);
        let finished = self.run(
            command,
            OnSignal::Stop,
            |_| self.context.remote.timeout.connect + idle,
            listen,
        )?;
        if finished.status.success() {
            Ok(())
        } else {
            Err(self.failure(&finished))
        }
    }
}

/// Whether a connection was made to the host of `url` itself.
fn is_at(url: &RemoteUrl, host: &str, port: u16) -> bool {
    let bare = |host: &str| host.trim_matches(['[', ']']).to_ascii_lowercase();
    url.host().is_some_and(|own| bare(own) == bare(host)) && url.port_or_default() == Some(port)
}

/// The reason for which `git` cannot be used: it is missing or too old. `None` if it can.
pub(in crate::codex) fn unusable(
    environment: &Environment,
    interrupt: &Interrupt,
) -> Option<String> {
    let mut command = child_process::for_git("git", environment);
    command.arg("version");
    let said = match child_process::run_with_limit(command, interrupt, OnSignal::GoOn, LOCAL_LIMIT)
    {
        Ok(finished) if !finished.status.success() => {
            return Some("`git version` fails".to_owned());
        }
        Ok(finished) => finished.stdout,
        Err(RunError::Start(error)) => return Some(format!("`git` cannot be run: {error}")),
        Err(_) => return None,
    };
    let mut numbers = said
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse::<u32>().ok());
    let version = (numbers.next()?, numbers.next()?);
    (version < OLDEST).then(|| format!("{} is older than {}.{}", said.trim(), OLDEST.0, OLDEST.1))
}

impl Transport for GitProcess {
    fn url(&self) -> &RemoteUrl {
        &self.context.remote.url
    }

    #[tracing::instrument(level = "debug", name = "ls-remote", skip_all)]
    fn refs(&self, branches: Branches<'_>, on_signal: OnSignal) -> Result<RemoteRefs, RemoteError> {
        let mut can_by_prefix = true;
        let list = |wanted: WantedRefs<'_>| {
            if can_by_prefix
                && let Some(lines) = self.list_by_prefix(&wanted.prefixes(), on_signal)?
            {
                return Ok(lines);
            }
            can_by_prefix = false;
            match wanted {
                WantedRefs::Some(synced, others) => {
                    let names = refs::names(synced, others);
                    let head = synced.is_none().then_some("HEAD");
                    let names = names.iter().map(String::as_str);
                    let patterns: Vec<_> = head.into_iter().chain(names).collect();
                    self.list(&patterns, head.is_none(), on_signal)
                }
                WantedRefs::AllBranches => self.list(&["HEAD", "refs/heads/*"], false, on_signal),
            }
        };
        self.context.find_branches(branches, list)
    }

    #[tracing::instrument(level = "debug", name = "clone", skip_all, fields(branches = branches.join(" "), depth = depth.0))]
    fn fetch(
        &self,
        store: &Store,
        branches: &[&str],
        depth: Depth,
        on_signal: OnSignal,
    ) -> Result<Vec<ObjectId>, RemoteError> {
        self.fetch_as_supported(store, branches, depth, on_signal)?;
        store.take_tips(branches.len()).map_err(|error| {
            self.context
                .error(RemoteErrorKind::Other, vec![error.to_string()])
        })
    }

    fn fetch_trees(
        &self,
        store: &Store,
        ids: &[ObjectId],
        levels: TreeLevels,
    ) -> Result<(), RemoteError> {
        self.fetch_objects(store, ids, &levels.filter())
    }

    #[tracing::instrument(level = "debug", name = "contents", skip_all, fields(count = ids.len()))]
    fn fetch_contents(&self, store: &Store, ids: &[ObjectId]) -> Result<(), RemoteError> {
        self.fetch_objects(store, ids, "blob:none")
    }

    fn would_push(&self, store: &Store, update: RefUpdate<'_>) -> Result<PushReply, RemoteError> {
        let mut replies = self.send(store, &[update], &["--dry-run"])?;
        Ok(replies.remove(0))
    }

    #[tracing::instrument(level = "debug", name = "push", skip_all, fields(branches = branches_of(updates)))]
    fn push(
        &self,
        store: &Store,
        updates: &[RefUpdate<'_>],
        contents: &mut dyn PushContents,
    ) -> Result<Vec<PushReply>, RemoteError> {
        // git reads the contents from the clone.
        let total = u64::from(contents.pending().count);
        let reporter = &self.context.reporter;
        let kept = contents.keep(&mut |done| {
            reporter.event(&Event::Progress {
                stage: Stage::Commit,
                done: u64::from(done),
                total: Some(total),
                files: None,
                bytes: None,
            });
        });
        let incomplete = |error: io::Error| {
            let detail = vec![error.to_string()];
            self.context.error(RemoteErrorKind::Other, detail)
        };
        kept.map_err(incomplete)?;
        self.send(store, updates, &[])
    }

    fn delete(&self, store: &Store, branch: &str, tip: ObjectId) -> Result<PushReply, RemoteError> {
        let update = RefUpdate {
            branch,
            old: Some(tip),
            base: None,
            new: tip,
        };
        let lease = lease(&update);
        let mut command = self.push_command(store, &[], &[&lease]);
        command.arg(format!(":refs/heads/{branch}"));
        self.run_push(command, &[update])
            .map(|mut replies| replies.remove(0))
    }
}

impl GitProcess {
    /// Runs `git push`, and returns one reply per update in the same order.
    fn send(
        &self,
        store: &Store,
        updates: &[RefUpdate<'_>],
        options: &[&str],
    ) -> Result<Vec<PushReply>, RemoteError> {
        // With a lease, the push is a compare-and-swap, and git does not check itself that no
        // commit is overwritten.
        if updates.iter().any(|update| update.loses_commits(store)) {
            return Ok(updates.iter().map(|_| PushReply::moved()).collect());
        }
        self.run_push(self.push_command(store, updates, options), updates)
    }

    /// Runs a command of `git push`, and returns one reply per update in the same order.
    fn run_push(
        &self,
        command: Command,
        updates: &[RefUpdate<'_>],
    ) -> Result<Vec<PushReply>, RemoteError> {
        let timeout = self.context.remote.timeout;
        let sent = Cell::new(false);
        let is_awaited = Cell::new(false);
        let listen = |line: &str| {
            self.progress(Stage::Push, "Counting objects:", line);
            self.progress(Stage::Push, "Writing objects:", line);
            if is_last_of_sending(line) && !is_awaited.replace(true) {
                self.context.report_awaited(None);
            }
            let line = unmarked_line(line).filter(|line| !line.trim().is_empty());
            if let Some(line) = line.filter(|_| is_awaited.get()) {
                self.context.report_awaited(Some(line));
            }
        };
        let time_limit = |line: &str| {
            sent.set(
                sent.get() || is_last_of_sending(line) || line.starts_with("Writing objects: 100%"),
            );
            if sent.get() || is_of_server(line) {
                timeout.push_verdict
            } else {
                timeout.connect + timeout.idle
            }
        };
        // Not interrupted: after the push was sent, its result must be awaited and reported.
        let finished = match self.run(command, OnSignal::GoOn, time_limit, listen) {
            Ok(finished) => finished,
            Err(error) => {
                let reply = PushReply::without_verdict(error, sent.get())?;
                return Ok(vec![reply; updates.len()]);
            }
        };
        match self.replies(&finished, updates)? {
            Some(replies) => Ok(replies),
            None => {
                let is_sent = sent.get();
                let error = self.failed_push(&finished, is_sent);
                let reply = PushReply::without_verdict(error, is_sent)?;
                Ok(vec![reply; updates.len()])
            }
        }
    }

    /// The command `git push` for `updates`, with additional `options`.
    fn push_command(&self, store: &Store, updates: &[RefUpdate<'_>], options: &[&str]) -> Command {
        let mut command = self.command(Some(store), self.context.remote.timeout.push_verdict);
        // The clone lacks the old contents, which git would need as bases of deltas.
        command.args(["-c", "pack.window=0", "-c", "push.followTags=false"]);
        // The user configured push options for another server, and an unsupported one would fail
        // the push.
        command.args(["-c", "push.pushOption="]);
        command.args([
            "-c",
            "push.gpgSign=false",
            "-c",
            "push.recurseSubmodules=no",
        ]);
        command
            .args(["push", "--porcelain", "--progress", "--no-verify"])
            .args(updates.iter().map(lease))
            .args(options)
            .arg(&self.name)
            .args(updates.iter().map(refspec));
        command
    }

    /// The replies in the output of `git push`; `None` if the server reported no result.
    fn replies(
        &self,
        finished: &Finished,
        updates: &[RefUpdate<'_>],
    ) -> Result<Option<Vec<PushReply>>, RemoteError> {
        let lines = self.context.redacted(&finished.stderr);
        let names: Vec<_> = updates
            .iter()
            .map(|update| format!("refs/heads/{}", update.branch))
            .collect();
        let Some(verdicts) = rejection::ref_results(&finished.stdout, &lines, &names) else {
            return Ok(None);
        };
        let is_rejected = |verdict: &RefResult| matches!(verdict, RefResult::Rejected(_));
        if !finished.status.success() && !verdicts.iter().any(is_rejected) {
            return Ok(None);
        }

        let redacted =
            |text: &str| escaped(self.context.redacted_line(text).as_bytes()).to_string();
        let reply = |(verdict, name): (RefResult, &String)| match verdict {
            // git interprets a web page as a repository without branches, so that any expected tip
            // is outdated.
            RefResult::Rejected(Rejection {
                kind: RejectionKind::Outdated,
                ..
            }) if !self.is_of_git(finished, "receive-pack") => Err(self
                .context
                .error(RemoteErrorKind::NotGit, vec![NOT_GIT.to_owned()])),
            RefResult::Rejected(rejection) => Ok(PushReply::Rejected(Rejection {
                reason: redacted(&rejection.reason),
                ..rejection
            })),
            RefResult::Accepted { name: updated } => Ok(PushReply::Accepted {
                instead: (updated != *name).then(|| redacted(&updated)),
                words: server_words(&lines),
            }),
        };
        let replies: Result<_, _> = verdicts.into_iter().zip(&names).map(reply).collect();
        Ok(Some(replies?))
    }

    /// The error of a push without a result of the server.
    fn failed_push(&self, finished: &Finished, is_sent: bool) -> RemoteError {
        let mut error = self.failure(finished);
        // Only an HTTP status proves that the server rejected the request. Any other message can
        // be output of a shell or a credential helper, and the connection may have been lost.
        let has_status = status_of_push(&finished.stderr).is_some();
        if is_sent && !has_status && error.kind != RemoteErrorKind::TimedOut {
            error.kind = RemoteErrorKind::ServerFailure;
        }
        error
    }

    fn progress(&self, stage: Stage, label: &str, line: &str) {
        if let Some((done, total, bytes)) = line.strip_prefix(label).and_then(progress) {
            self.context.reporter.event(&Event::Progress {
                stage,
                done,
                total: Some(total),
                files: None,
                bytes,
            });
        }
    }
}

/// Whether a line of `git push` shows that the whole pack was sent.
fn is_last_of_sending(line: &str) -> bool {
    line.starts_with("Total ")
        || (line.starts_with("Writing objects: 100%") && line.ends_with("done."))
}

/// The option that makes git reject an update of a branch with another tip.
fn lease(update: &RefUpdate<'_>) -> String {
    let expected = update.old.map(|tip| tip.to_string()).unwrap_or_default();
    format!("--force-with-lease=refs/heads/{}:{expected}", update.branch)
}

fn refspec(update: &RefUpdate<'_>) -> String {
    format!("{}:refs/heads/{}", update.new, update.branch)
}

/// Parses git's progress after its label, which contains bytes only after the first transfer: `
/// 45% (12/27), 1.20 MiB | 3.10 MiB/s`.
fn progress(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (numbers, rest) = text.split_once('(')?.1.split_once(')')?;
    let (done, total) = numbers.split_once('/')?;
    let moved = rest
        .strip_prefix(", ")
        .and_then(|rest| rest.split([',', '|']).next());
    let bytes = moved.and_then(|moved| moved.trim().replace("bytes", "B").parse::<ByteSize>().ok());
    Some((
        done.parse().ok()?,
        total.parse().ok()?,
        bytes.map(|bytes| bytes.as_u64()),
    ))
}

#[cfg(test)]
mod tests {
    use super::progress;

    #[test]
    fn progress_is_parsed() {
        for (text, expected) in [
            ("   3% (1/27)", Some((1, 27, None))),
            (" 100% (27/27), done.", Some((27, 27, None))),
            (
                "  45% (12/27), 740 bytes | 740.00 KiB/s",
                Some((12, 27, Some(740))),
            ),
            (
                " 100% (27/27), 1.50 MiB | 3.10 MiB/s, done.",
                Some((27, 27, Some(1_572_864))),
            ),
            (" all of them", None),
        ] {
            assert_eq!(progress(text), expected, "{text}");
        }
    }
}
