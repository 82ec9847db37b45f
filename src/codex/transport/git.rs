//! The transport through the user's own `git`: its ssh configuration, agents, proxies and credential helpers work as
//! they do elsewhere. A token of ours travels in the child's environment as a header for the one URL it is for.

use std::cell::Cell;
use std::io::{self, Seek, Write};
use std::process::Command;
use std::time::Duration;

use bytesize::ByteSize;

use super::answer::NOT_GIT;
use super::bound::Bound;
use super::classify::{classify, telling};
use super::process::{self, Failed, Finished};
use super::{Depth, OnSignal, PushReply, RemoteRefs, Transport};
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::git_config;
use crate::codex::store::{Store, StoreError, TIP};
use crate::event::{Event, Stage};
use crate::interrupt::Interrupt;
use crate::object::ObjectId;
use crate::paths::escaped;

/// `git`, bound to one remote.
pub(in crate::codex) struct Git {
    bound: Bound,
}

/// The oldest git that takes configuration from the environment.
const OLDEST: (u32, u32) = (2, 31);

/// The remote's name inside a clone.
pub(in crate::codex) const REMOTE: &str = "codex";

impl Git {
    pub(in crate::codex) fn new(bound: Bound) -> Self {
        Self { bound }
    }

    /// A child with our settings; `silence` is how long an http connection may be still.
    fn command(&self, store: Option<&Store>, silence: Duration) -> Command {
        let mut command = process::git("git");
        match store {
            Some(store) => command.arg("--git-dir").arg(store.path()),
            // Outside any repository, so that no repository's configuration counts.
            None => command.current_dir("/"),
        };
        let mut settings: Vec<(String, String)> = [
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("core.fsync", "none"),
            ("core.hooksPath", "/dev/null"),
            ("fetch.writeCommitGraph", "false"),
            ("http.lowSpeedLimit", "1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        settings.push((
            "http.lowSpeedTime".to_owned(),
            silence.as_secs().max(1).to_string(),
        ));
        if let Some(credential) = &self.bound.credential {
            let url = self.bound.remote.url.for_git();
            settings.push((
                format!("http.{url}.extraHeader"),
                credential.header().reveal().to_owned(),
            ));
            settings.push((format!("http.{url}.followRedirects"), "false".to_owned()));
            // Ours is the one to be judged: no helper's may stand in for it, and nobody is asked.
            settings.push(("credential.helper".to_owned(), String::new()));
            command.env("GIT_ASKPASS", "true").env_remove("SSH_ASKPASS");
        }
        self.configure(&mut command, &settings);
        if self.bound.remote.url.is_ssh() && !git_config::has_ssh_command(&self.bound.environment) {
            let connect = self.bound.remote.timeout.connect.as_secs().max(1);
            let alive = (self.bound.remote.timeout.idle.as_secs() / 3).max(1);
            let ssh = format!(
                "ssh -o BatchMode=yes -o ConnectTimeout={connect} -o ServerAliveInterval={alive} -o ServerAliveCountMax=3"
            );
            command.env("GIT_SSH_COMMAND", ssh);
        }
        command
    }

    /// Appends settings to those that the user's environment already carries.
    fn configure(&self, command: &mut Command, settings: &[(String, String)]) {
        let given = self
            .bound
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

    /// Runs a child; an error if it does not end by itself.
    fn run(
        &self,
        command: Command,
        on_signal: OnSignal,
        patience: impl Fn(&str) -> Duration,
        listen: impl FnMut(&str),
    ) -> Result<Finished, RemoteError> {
        let finished = process::run(command, &self.bound.interrupt, on_signal, patience, listen)
            .map_err(|failed| {
                let (kind, detail) = match failed {
                    Failed::Interrupted(interrupted) => {
                        (RemoteErrorKind::Interrupted(interrupted), None)
                    }
                    Failed::Silent(limit) => (
                        RemoteErrorKind::TimedOut,
                        Some(format!(
                            "nothing moved for {}",
                            humantime::format_duration(limit)
                        )),
                    ),
                    Failed::Start(error) => (
                        RemoteErrorKind::NoTransport,
                        Some(format!("`git` cannot be run: {error}")),
                    ),
                };
                self.bound.error(kind, detail.into_iter().collect())
            })?;
        tracing::debug!(status = %finished.status, stderr = ?self.bound.redacted(&finished.stderr), "git ended");
        Ok(finished)
    }

    /// What a child that ended badly means.
    fn failure(&self, finished: &Finished) -> RemoteError {
        let mut kind = classify(&finished.stderr);
        if kind == RemoteErrorKind::NoCredentials && self.bound.credential.is_some() {
            kind = RemoteErrorKind::WrongCredentials;
        }
        let mut detail = telling(&self.bound.redacted(&finished.stderr));
        // Only asked once something failed, to spare every other run a process.
        if kind == RemoteErrorKind::Other
            && let Some(old) = unusable(&self.bound.interrupt)
        {
            (kind, detail) = (RemoteErrorKind::NoTransport, vec![old]);
        }
        if kind == RemoteErrorKind::Redirected {
            let target = self
                .headers("location")
                .ok()
                .and_then(|mut headers| headers.pop())
                .and_then(|location| self.bound.leads_to(&location));
            detail.extend(target.map(|url| format!("it leads to {url}")));
        }
        self.bound.error(kind, detail)
    }

    /// What the server's answers to the question what the repository has say in a header: git itself does not show it, but
    /// its trace does.
    fn headers(&self, wanted: &str) -> Result<Vec<String>, RemoteError> {
        let timeout = &self.bound.remote.timeout;
        let mut command = self.command(None, timeout.idle);
        command
            .env("GIT_TRACE_CURL", "1")
            .env("GIT_TRACE_CURL_NO_DATA", "1");
        command.args(["ls-remote", "--", &self.bound.remote.url.for_git(), "HEAD"]);
        let limit = timeout.connect + timeout.idle;
        let traced = self.run(command, OnSignal::Stop, |_| limit, |_| {})?;
        let header = |line: &String| {
            let (name, value) = line.split_once("<= Recv header: ")?.1.split_once(':')?;
            name.eq_ignore_ascii_case(wanted)
                .then(|| value.trim().to_owned())
        };
        Ok(traced.stderr.iter().filter_map(header).collect())
    }

    /// Whether an answer without any branch is one of git's. Over http git takes what is empty, or has no line in it, for a
    /// repository without branches: a page of some proxy's, say. Rare, so it may cost another question.
    fn is_of_git(&self) -> Result<bool, RemoteError> {
        let smart = |value: &String| value.starts_with("application/x-git-upload-pack-");
        Ok(!self.bound.remote.url.is_http() || self.headers("content-type")?.iter().any(smart))
    }

    fn list(
        &self,
        patterns: &[&str],
        on_signal: OnSignal,
    ) -> Result<Vec<(String, String)>, RemoteError> {
        let idle = self.bound.remote.timeout.idle;
        let mut command = self.command(None, idle);
        command
            .args([
                "ls-remote",
                "--symref",
                "--",
                &self.bound.remote.url.for_git(),
            ])
            .args(patterns);
        let finished = self.run(
            command,
            on_signal,
            |_| self.bound.remote.timeout.connect + idle,
            |_| {},
        )?;
        if !finished.status.success() {
            return Err(self.failure(&finished));
        }
        let pairs = finished
            .stdout
            .lines()
            .filter_map(|line| line.split_once('\t'));
        Ok(pairs
            .map(|(value, name)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

/// Why there is no `git` to work with: it is missing, or too old. `None` where all is well.
pub(in crate::codex) fn unusable(interrupt: &Interrupt) -> Option<String> {
    let mut command = process::git("git");
    command.arg("version");
    let said = match process::run(
        command,
        interrupt,
        OnSignal::GoOn,
        |_| Duration::from_secs(10),
        |_| {},
    ) {
        Ok(finished) if !finished.status.success() => {
            return Some("`git version` fails".to_owned());
        }
        Ok(finished) => finished.stdout,
        Err(Failed::Start(error)) => return Some(format!("`git` cannot be run: {error}")),
        Err(_) => return None,
    };
    let mut numbers = said
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse::<u32>().ok());
    let version = (numbers.next()?, numbers.next()?);
    (version < OLDEST).then(|| format!("{} is older than {}.{}", said.trim(), OLDEST.0, OLDEST.1))
}

impl Transport for Git {
    fn clone_key(&self) -> String {
        self.bound.remote.url.for_git()
    }

    fn prepare(&self, store: &Store) -> Result<(), StoreError> {
        store.set_promisor(REMOTE, &self.bound.remote.url.for_git())
    }

    #[tracing::instrument(level = "debug", name = "ls-remote", skip_all)]
    fn refs(&self, branch: Option<&str>, on_signal: OnSignal) -> Result<RemoteRefs, RemoteError> {
        let wanted = branch.map(|branch| format!("refs/heads/{branch}"));
        let mut patterns = vec!["HEAD"];
        patterns.extend(wanted.as_deref());
        let lines = self.list(&patterns, on_signal)?;
        if let Some(refs) = self.bound.find(&lines, branch)? {
            return Ok(refs);
        }
        // Rare: no such branch, or no branch at all. One more answer that shows all of them decides, by itself: between
        // two questions somebody may have made the first.
        let lines = self.list(&["HEAD", "refs/heads/*"], on_signal)?;
        if lines.is_empty() && !self.is_of_git()? {
            return Err(self
                .bound
                .error(RemoteErrorKind::NotFound, vec![NOT_GIT.to_owned()]));
        }
        self.bound.refs_in(&lines, branch)
    }

    #[tracing::instrument(level = "debug", name = "clone", skip_all, fields(branch, depth = depth.0))]
    fn fetch(
        &self,
        store: &Store,
        branch: &str,
        depth: Depth,
        on_signal: OnSignal,
    ) -> Result<ObjectId, RemoteError> {
        let idle = self.bound.remote.timeout.idle;
        let mut command = self.command(Some(store), idle);
        command.args([
            "fetch",
            "--progress",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
        ]);
        command.args([
            &format!("--filter={}", store.filter()),
            &format!("--depth={}", depth.0),
            REMOTE,
        ]);
        command.arg(format!("+refs/heads/{branch}:{TIP}"));
        let listen = |line: &str| self.progress(Stage::Fetch, "Receiving objects:", line);
        let finished = self.run(
            command,
            on_signal,
            |_| self.bound.remote.timeout.connect + idle,
            listen,
        )?;
        if !finished.status.success() {
            return Err(self.failure(&finished));
        }
        store.tip().map_err(|error| {
            self.bound
                .error(RemoteErrorKind::Other, vec![error.to_string()])
        })
    }

    #[tracing::instrument(level = "debug", name = "contents", skip_all, fields(count = ids.len()))]
    fn fetch_contents(&self, store: &Store, ids: &[ObjectId]) -> Result<(), RemoteError> {
        let idle = self.bound.remote.timeout.idle;
        let failed = |error: io::Error| {
            self.bound
                .error(RemoteErrorKind::Other, vec![error.to_string()])
        };
        let mut list = tempfile::tempfile_in(store.path()).map_err(failed)?;
        let lines: String = ids.iter().map(|id| format!("{id}\n")).collect();
        list.write_all(lines.as_bytes())
            .and_then(|()| list.rewind())
            .map_err(failed)?;
        let mut command = self.command(Some(store), idle);
        // As git itself fetches what a partial clone lacks: nothing is negotiated, only what is named is sent.
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
            "--filter=blob:none",
            "--stdin",
            REMOTE,
        ]);
        command.stdin(list);
        let listen = |line: &str| self.progress(Stage::Fetch, "Receiving objects:", line);
        let finished = self.run(
            command,
            OnSignal::Stop,
            |_| self.bound.remote.timeout.connect + idle,
            listen,
        )?;
        if finished.status.success() {
            Ok(())
        } else {
            Err(self.failure(&finished))
        }
    }

    fn would_push(
        &self,
        store: &Store,
        commit: ObjectId,
        branch: &str,
    ) -> Result<PushReply, RemoteError> {
        self.send(store, commit, branch, &["--dry-run"])
    }

    #[tracing::instrument(level = "debug", name = "push", skip_all, fields(branch, %commit))]
    fn push(
        &self,
        store: &Store,
        commit: ObjectId,
        branch: &str,
    ) -> Result<PushReply, RemoteError> {
        self.send(store, commit, branch, &[])
    }
}

impl Git {
    fn send(
        &self,
        store: &Store,
        commit: ObjectId,
        branch: &str,
        options: &[&str],
    ) -> Result<PushReply, RemoteError> {
        let timeout = self.bound.remote.timeout;
        let mut command = self.command(Some(store), timeout.push_verdict);
        // The clone has no old contents: they must not be looked for as bases of deltas, nor fetched for it.
        command.env("GIT_NO_LAZY_FETCH", "1").args([
            "-c",
            "pack.window=0",
            "-c",
            "push.followTags=false",
        ]);
        command.args([
            "-c",
            "push.gpgSign=false",
            "-c",
            "push.recurseSubmodules=no",
        ]);
        command
            .args(["push", "--porcelain", "--progress", "--no-verify"])
            .args(options)
            .arg(REMOTE);
        command.arg(format!("{commit}:refs/heads/{branch}"));
        let listen = |line: &str| {
            self.progress(Stage::Push, "Counting objects:", line);
            self.progress(Stage::Push, "Writing objects:", line);
        };
        let sent = Cell::new(false);
        let patience = |line: &str| {
            sent.set(
                sent.get()
                    || line.starts_with("Writing objects: 100%")
                    || line.starts_with("Total"),
            );
            if sent.get() || line.starts_with("remote:") {
                timeout.push_verdict
            } else {
                timeout.connect + timeout.idle
            }
        };
        let lost = |error: RemoteError| {
            if sent.get() {
                Ok(PushReply::Lost(error))
            } else {
                Err(error)
            }
        };
        // Not to be interrupted: once it is sent, the verdict is awaited and told.
        let finished = match self.run(command, OnSignal::GoOn, patience, listen) {
            Ok(finished) => finished,
            Err(error) => return lost(error),
        };
        let verdict = finished.stdout.lines().find_map(|line| {
            let (flag, rest) = line.split_once('\t')?;
            let (_, summary) = rest.split_once('\t')?;
            Some((flag.to_owned(), summary.to_owned()))
        });
        let words = finished
            .stderr
            .iter()
            .filter_map(|line| line.strip_prefix("remote:"))
            .map(str::trim);
        let words: Vec<_> = words
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        match verdict {
            Some((flag, reason)) if flag == "!" => {
                let told = telling(&self.bound.redacted(&words));
                let reason = escaped(self.bound.redacted_line(&reason).as_bytes()).to_string();
                Ok(PushReply::Refused {
                    reason,
                    words: told,
                })
            }
            Some(_) if finished.status.success() => Ok(PushReply::Accepted),
            _ => lost(self.failure(&finished)),
        }
    }

    fn progress(&self, stage: Stage, label: &str, line: &str) {
        if let Some((done, total, bytes)) = line.strip_prefix(label).and_then(progress) {
            self.bound.reporter.event(&Event::Progress {
                stage,
                done,
                total: Some(total),
                files: None,
                bytes,
            });
        }
    }
}

/// Reads what git says behind a label: `  45% (12/27), 1.20 MiB | 3.10 MiB/s`. Bytes are told once there are some.
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
    fn progress_is_read_as_git_writes_it() {
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
