//! The native transport: a client of git's own protocol that holds one conversation with a remote.
//!
//! | | |
//! |---|---|
//! | [`protocol`] | what is said: packet lines, capabilities, `ls-refs`, `fetch`, a push and its report |
//! | [`carrier`] | the trait of what moves the bytes: [`http`], and [`child`] for [`ssh`] and [`local`] paths |
//! | [`conversation`] | who speaks when: what is remembered, asked again, repeated |
//! | [`memory`] | what a server can do, kept between runs |
//! | [`seed`] | the trees of the tip, kept between runs |
//! | [`local_repository`] | refs and objects of a path of this machine, read in place |
//! | [`clone`] | packs into and out of the clone |
//! | [`outgoing`] | the pack of a push, written while the contents of new files are read |
//! | [`settings`] | git's configuration, as far as it says how a server is reached |
//! | [`patience`] | time limits and signals |
//!
//! If only the `git` program can talk to a server (Negotiate, client certificates, remote helpers), the transport hands
//! over to [`Git`] for the rest of the run. With `remote.transport: native`, that is an error instead.

pub(super) mod address;
mod carrier;
mod child;
mod clone;
mod conversation;
mod failure;
pub(super) mod http;
mod local;
mod local_repository;
mod memory;
mod outgoing;
mod patience;
mod protocol;
mod seed;
pub(super) mod settings;
pub(super) mod ssh;

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use super::error::{RemoteError, RemoteErrorKind};
use super::git_config::{self, Settings};
use super::push_contents::PushContents;
use super::store::{Store, StoreError};
use super::transport::bound::Bound;
use super::transport::git::{self, Git};
use super::transport::refusal;
use super::transport::words::{marked, server_words};
use super::transport::{
    Depth, OnSignal, Purpose, PushReply, Refusal, RefusalKind, RemoteRefs, Target, Transport,
};
use crate::config::TransportChoice;
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::url::RemoteUrl;
use carrier::Carrier;
use child::Children;
use conversation::{Conversation, PushFailure, Refs};
use failure::Failure;
use http::Http;
use local_repository::LocalRepository;
use memory::Memory;
pub use memory::MemoryPlace;
use patience::Patience;
use protocol::push::{Report, Update};

/// The transport, bound to one remote.
pub(super) struct Native {
    /// The URL is the one that is contacted: git's configuration rewrote it already.
    bound: Bound,
    state: Mutex<State>,
}

enum State {
    Talking(Box<Conversation>),
    /// The `git` program does the rest, for this reason.
    HandedOver(Box<Git>, String),
}

impl Native {
    pub(super) fn new(
        bound: Bound,
        purpose: Purpose,
        memory: Option<MemoryPlace>,
    ) -> Result<Self, RemoteError> {
        git_config::check_files(&bound.environment)
            .map_err(|problem| bound.error(RemoteErrorKind::GitConfig, vec![problem]))?;
        let settings = Settings::read(&bound.environment);
        let bound = bound.configured(settings, purpose)?;
        let state = match converse(&bound, memory) {
            Ok(conversation) => State::Talking(Box::new(conversation)),
            Err(Failure::NeedsGit(reason)) => hand_over(&bound, &reason)?,
            Err(failure) => return Err(error(&bound, failure)),
        };
        Ok(Self {
            bound,
            state: Mutex::new(state),
        })
    }

    /// Does `work` in the conversation, or with `git` where that takes over.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Conversation) -> Result<T, Failure>,
        with_git: impl FnOnce(&Git) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Talking(conversation) = &mut *state {
            match work(conversation) {
                Ok(done) => return Ok(done),
                Err(Failure::NeedsGit(reason)) => *state = hand_over(&self.bound, &reason)?,
                Err(failure) => return Err(error(&self.bound, failure)),
            }
        }
        match &*state {
            State::HandedOver(git, reason) => with_git(git).map_err(|mut error| {
                let note = format!("the `git` program was used because {reason}");
                error.detail.push(note);
                error
            }),
            State::Talking(_) => unreachable!("a conversation returns above"),
        }
    }

    /// Lists HEAD and `branch`; every branch where that one is not found.
    fn list(
        &self,
        conversation: &mut Conversation,
        branch: Option<&str>,
        on_signal: OnSignal,
    ) -> Result<RemoteRefs, Failure> {
        let found = self.bound.find_branch(branch, |wanted| {
            let refs = conversation.list(&wanted.prefixes(), on_signal)?;
            Ok::<_, Failure>(branches(refs))
        })?;
        conversation.note_tip(&found.branch, found.tip);
        Ok(found)
    }
}

/// HEAD and the branches of a list.
fn branches(mut refs: Refs) -> Refs {
    refs.retain(|(name, _)| name == "HEAD" || name.starts_with("refs/heads/"));
    refs
}

/// Opens a conversation with the remote.
fn converse(bound: &Bound, memory: Option<MemoryPlace>) -> Result<Conversation, Failure> {
    let patience = Patience::new(bound.interrupt.clone(), bound.remote.timeout.idle);
    let path = bound.remote.url.local_path();
    let local = path.and_then(|path| LocalRepository::open(path, &bound.settings));
    let carrier = carrier(bound, &patience)?;
    let memory = Memory::open(memory, &bound.remote.url.for_git());
    Ok(Conversation::new(
        bound.clone(),
        patience,
        carrier,
        memory,
        local,
    ))
}

fn carrier(bound: &Bound, patience: &Patience) -> Result<Box<dyn Carrier>, Failure> {
    let remote = &bound.remote.url;
    let children = |program| Children::new(program, &bound.interrupt, patience.clone());
    if remote.is_http() {
        let carrier = Http::new(bound, patience.clone(), &remote.for_git())?;
        return Ok(Box::new(carrier));
    }
    if let Some(path) = remote.local_path() {
        let program = local::program(path.to_owned(), bound.environment.clone());
        return Ok(Box::new(children(program)));
    }
    if remote.is_ssh() {
        let program = ssh::program(&remote.written(), bound)?;
        return Ok(Box::new(children(program)));
    }
    let reason = format!("`{remote}` is no http, ssh or file address");
    Err(Failure::NeedsGit(reason))
}

/// Leaves the rest of the run to git. The URL was rewritten by git's configuration already, so git must not do it again.
fn hand_over(bound: &Bound, reason: &str) -> Result<State, RemoteError> {
    if bound.remote.transport == TransportChoice::Native {
        return Err(bound.error(RemoteErrorKind::NeedsGit, vec![reason.to_owned()]));
    }
    tracing::info!(reason, "the `git` program takes over");

    if let Some(unusable) = git::unusable(&bound.environment, &bound.interrupt) {
        let detail = vec![format!("git is needed because {reason}"), unusable];
        return Err(bound.error(RemoteErrorKind::NoTransport, detail));
    }

    let git = Git::of_configured(bound.clone());
    Ok(State::HandedOver(Box::new(git), reason.to_owned()))
}

/// The error behind a failure, without secrets.
fn error(bound: &Bound, failure: Failure) -> RemoteError {
    let (kind, detail, wait) = match failure {
        Failure::Remote {
            kind,
            detail,
            retry_after,
        } => (kind, detail, retry_after),
        Failure::Declined { detail, .. } => (RemoteErrorKind::RequestRefused, detail, None),
        Failure::Complete(error) => return *error,
        Failure::LengthRequired => {
            let detail = vec![failure.to_string()];
            (RemoteErrorKind::RequestRefused, detail, None)
        }
        Failure::NotGit => {
            let detail = vec![failure.to_string()];
            (RemoteErrorKind::ServerFailure, detail, None)
        }
        Failure::NeedsGit(reason) | Failure::Surprise(reason) => {
            (RemoteErrorKind::Other, vec![reason], None)
        }
    };
    let detail = bound.redacted(&detail);
    let (own, words): (Vec<_>, Vec<_>) = detail
        .into_iter()
        .partition(|line| !line.starts_with("remote:"));
    let own = own.iter().map(|line| escaped(line.as_bytes()).to_string());
    let detail = own.chain(marked(&server_words(&words))).collect();
    let mut error = bound.error(kind, detail);
    error.advice.retry_after = wait;
    if kind == RemoteErrorKind::SshHostUnknown {
        error.advice.command = ssh::scan_command(bound);
    }
    error
}

impl Transport for Native {
    fn url(&self) -> &RemoteUrl {
        &self.bound.remote.url
    }

    fn fallback(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Talking(_) => None,
            State::HandedOver(_, reason) => Some(reason.clone()),
        }
    }

    /// Clones of the `git` transport are used as well, and the other way round.
    fn clone_key(&self) -> String {
        self.bound.remote.url.for_git()
    }

    fn prepare(&self, _: &Store) -> Result<(), StoreError> {
        Ok(())
    }

    #[tracing::instrument(level = "debug", name = "ls-remote", skip_all)]
    fn refs(&self, branch: Option<&str>, on_signal: OnSignal) -> Result<RemoteRefs, RemoteError> {
        self.with(
            |conversation| self.list(conversation, branch, on_signal),
            |git| git.refs(branch, on_signal),
        )
    }

    #[tracing::instrument(level = "debug", name = "clone", skip_all, fields(branch, depth = depth.0))]
    fn fetch(
        &self,
        store: &Store,
        branch: &str,
        depth: Depth,
        on_signal: OnSignal,
    ) -> Result<ObjectId, RemoteError> {
        let fetch = |conversation: &mut Conversation| {
            let listed = conversation.listed_tip(branch);
            if let Some(tip) = listed {
                match conversation.fetch(store, tip, depth.0, on_signal) {
                    // The branch was replaced since it was listed.
                    Err(failure) if failure.is_about_objects() => {}
                    fetched => return fetched.map(|()| tip),
                }
            }
            let tip = self
                .list(conversation, Some(branch), on_signal)?
                .tip
                .ok_or_else(|| self.bound.error(RemoteErrorKind::BranchMissing, Vec::new()))?;
            conversation.fetch(store, tip, depth.0, on_signal)?;
            Ok(tip)
        };
        self.with(fetch, |git| git.fetch(store, branch, depth, on_signal))
    }

    #[tracing::instrument(level = "debug", name = "contents", skip_all, fields(count = ids.len()))]
    fn fetch_contents(&self, store: &Store, ids: &[ObjectId]) -> Result<(), RemoteError> {
        self.with(
            |conversation| conversation.fetch_contents(store, ids),
            |git| git.fetch_contents(store, ids),
        )
    }

    fn would_push(
        &self,
        store: &Store,
        commit: ObjectId,
        target: Target<'_>,
    ) -> Result<PushReply, RemoteError> {
        let ask = |conversation: &mut Conversation| {
            let refs = conversation.list_to_push()?;
            let name = format!("refs/heads/{}", target.branch);
            let tip = refs.iter().find(|(listed, _)| *listed == name);
            let tip = tip.and_then(|(_, id)| ObjectId::from_hex(id));
            let overwrites = tip.is_some_and(|tip| !store.is_ancestor(tip, commit));
            Ok(if tip != target.tip || overwrites {
                PushReply::moved()
            } else {
                PushReply::accepted()
            })
        };
        self.with(ask, |git| git.would_push(store, commit, target))
    }

    fn expect_push(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Talking(conversation) = &mut *state {
            conversation.expect_push();
        }
    }

    #[tracing::instrument(level = "debug", name = "push", skip_all, fields(branch = target.branch, %commit))]
    fn push(
        &self,
        store: &Store,
        commit: ObjectId,
        target: Target<'_>,
        contents: &mut dyn PushContents,
    ) -> Result<PushReply, RemoteError> {
        // The server compares the tip, but not whether the commit was made on top of it.
        if target
            .tip
            .is_some_and(|tip| !store.is_ancestor(tip, commit))
        {
            return Ok(PushReply::moved());
        }
        let name = format!("refs/heads/{}", target.branch);
        let update = Update {
            old: target.tip,
            new: commit,
            name: &name,
        };
        let contents = RefCell::new(contents);
        let push = |conversation: &mut Conversation| match conversation.push(
            store,
            &update,
            *contents.borrow_mut(),
        ) {
            Ok(answered) => Ok(self.reply(answered.report, &answered.messages)),
            Err(failed) => self.failed_push(failed),
        };
        self.with(push, |git| {
            git.push(store, commit, target, *contents.borrow_mut())
        })
    }
}

impl Native {
    /// The reply behind a report.
    fn reply(&self, report: Report, messages: &[String]) -> PushReply {
        let words = self.words(messages);
        let shown = |text: &str| escaped(self.bound.redacted_line(text).as_bytes()).to_string();
        match report {
            Report::Accepted(instead) => PushReply::Accepted {
                instead: instead.as_deref().map(shown),
                words,
            },
            Report::Refused(why) => PushReply::rejected(&shown(&why), words),
            Report::NotUnpacked(why) => {
                let why = format!("unpacker error: {}", shown(&why));
                PushReply::rejected(&why, words)
            }
        }
    }

    /// The server's messages, without secrets.
    fn words(&self, messages: &[String]) -> Vec<String> {
        let marked = messages.iter().map(|line| format!("remote: {line}"));
        server_words(&self.bound.redacted(&marked.collect::<Vec<_>>()))
    }

    /// What a push came to that was not answered with a report. What was sent whole may have landed, unless the server
    /// answered that it did not read it.
    fn failed_push(&self, failed: PushFailure) -> Result<PushReply, Failure> {
        let PushFailure {
            mut failure,
            is_sent,
            messages,
        } = failed;
        match &mut failure {
            Failure::NeedsGit(_) => return Err(failure),
            Failure::Declined { status, detail } => {
                let reply = self.declined(*status, detail);
                return Ok(PushReply::Refused(reply));
            }
            Failure::Remote { detail, .. } => {
                detail.extend(messages.into_iter().map(|line| format!("remote: {line}")));
            }
            Failure::Complete(_)
            | Failure::NotGit
            | Failure::Surprise(_)
            | Failure::LengthRequired => {}
        }
        let error = error(&self.bound, failure);
        if let Some(refusal) = refusal::aborted_by_hook(&error.detail) {
            return Ok(PushReply::Refused(refusal));
        }
        let may_land = is_sent && !error.kind.precludes_landing();
        if may_land {
            Ok(PushReply::Lost(error))
        } else {
            Err(error.into())
        }
    }

    /// The refusal behind a status.
    fn declined(&self, status: u16, detail: &[String]) -> Refusal {
        let (kind, reason) = match status {
            413 => (
                RefusalKind::TooLarge,
                "HTTP 413: the push is larger than the server accepts".to_owned(),
            ),
            _ => (RefusalKind::Declined, format!("HTTP {status}")),
        };
        Refusal {
            kind,
            reason,
            words: server_words(&self.bound.redacted(detail)),
        }
    }
}
