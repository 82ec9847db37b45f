//! The native transport: a client of git's own protocol that holds one conversation with a remote.
//!
//! | | |
//! |---|---|
//! | [`protocol`] | what is said: packet lines, capabilities, `ls-refs`, `fetch`, a push and its report |
//! | [`carrier`] | the trait of what moves the bytes: [`http`], and [`child`] for [`ssh`] and [`local`] paths |
//! | [`conversation`] | who speaks when: what is remembered, asked again, repeated |
//! | [`memory`] | what a server can do, kept between runs |
//! | [`seed`] | the trees of the tip, kept between runs |
//! | [`clone`] | packs into and out of the clone |
//! | [`settings`] | git's configuration, as far as it says how a server is reached |
//! | [`patience`] | time limits and signals |
//!
//! Where only the `git` program can talk to a server (Negotiate, client certificates, remote helpers), the transport
//! hands over to [`Git`] for the rest of the run.

mod address;
mod carrier;
mod child;
mod clone;
mod conversation;
mod failure;
mod http;
mod local;
mod memory;
mod patience;
mod protocol;
mod seed;
mod settings;
mod ssh;

use std::sync::{Arc, Mutex, PoisonError};

use super::error::{RemoteError, RemoteErrorKind};
use super::store::{Store, StoreError};
use super::transport::bound::Bound;
use super::transport::classify::telling;
use super::transport::git::{Git, REMOTE};
use super::transport::{Depth, OnSignal, PushReply, RemoteRefs, Transport};
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::url::RemoteUrl;
use address::Address;
use carrier::Carrier;
use child::Children;
use conversation::{Conversation, PushFailure, Refs};
use failure::Failure;
use http::Http;
use memory::Memory;
pub use memory::MemoryPlace;
use patience::Patience;
use protocol::push::{Report, Update};
use settings::Settings;

/// The transport, bound to one remote.
pub(super) struct Native {
    bound: Bound,
    state: Mutex<State>,
}

enum State {
    Talking(Box<Conversation>),
    /// The `git` program does the rest.
    HandedOver(Box<Git>),
}

impl Native {
    pub(super) fn new(bound: Bound, memory: Option<MemoryPlace>) -> Result<Self, RemoteError> {
        let state = match converse(&bound, memory) {
            Ok(conversation) => State::Talking(Box::new(conversation)),
            Err(Failure::NeedsGit(reason)) => hand_over(&bound, &reason),
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
                Err(Failure::NeedsGit(reason)) => *state = hand_over(&self.bound, &reason),
                Err(failure) => return Err(error(&self.bound, failure)),
            }
        }
        match &*state {
            State::HandedOver(git) => with_git(git),
            State::Talking(_) => unreachable!("a conversation returns above"),
        }
    }

    /// Lists HEAD and `branch`; every branch where that one is not found.
    fn list(
        &self,
        conversation: &mut Conversation,
        branch: Option<&str>,
        on_signal: OnSignal,
    ) -> Result<Result<RemoteRefs, RemoteError>, Failure> {
        let mut prefixes = vec!["HEAD".to_owned()];
        prefixes.extend(branch.map(|branch| format!("refs/heads/{branch}")));
        let refs = branches(conversation.list(&prefixes, on_signal)?);
        let found = match self.bound.find(&refs, branch) {
            Ok(None) => {
                // Rare: no such branch, or none at all. A list of all branches decides it.
                let prefixes = ["HEAD".to_owned(), "refs/heads/".to_owned()];
                let refs = branches(conversation.list(&prefixes, on_signal)?);
                self.bound.refs_in(&refs, branch)
            }
            Ok(Some(refs)) => Ok(refs),
            Err(error) => Err(error),
        };
        if let Ok(RemoteRefs { branch, tip, .. }) = &found {
            conversation.note_tip(branch, *tip);
        }
        Ok(found)
    }
}

/// HEAD and the branches of a list.
fn branches(mut refs: Refs) -> Refs {
    refs.retain(|(name, _)| name == "HEAD" || name.starts_with("refs/heads/"));
    refs
}

/// Opens a conversation with the remote, at the address that git's configuration makes of its URL.
fn converse(bound: &Bound, memory: Option<MemoryPlace>) -> Result<Conversation, Failure> {
    let settings = Arc::new(Settings::read(&bound.environment));
    let timeout = bound.remote.timeout;
    let patience = Patience::new(bound.interrupt.clone(), timeout.idle);
    let url = bound.remote.url.for_git();
    let (from, to) = (
        settings.rewritten(&url, false),
        settings.rewritten(&url, true),
    );
    let open = |url: &str| carrier_to(url, bound, &settings, &patience);
    let reading = open(&from)?;
    let writing = (to != from).then(|| open(&to)).transpose()?;
    let memory = Memory::open(memory, &url);
    Ok(Conversation::new(
        bound.clone(),
        patience,
        reading,
        writing,
        memory,
    ))
}

/// The carrier for a URL. A token is for the configured server alone, and not for one that `insteadOf` leads to.
fn carrier_to(
    url: &str,
    bound: &Bound,
    settings: &Arc<Settings>,
    patience: &Patience,
) -> Result<Box<dyn Carrier>, Failure> {
    let children = |program| Children::new(program, &bound.interrupt, patience.clone());
    if Address::parse(url).is_some() {
        let mut bound = bound.clone();
        if url != bound.remote.url.for_git() {
            bound.credential = None;
        }
        let carrier = Http::new(&bound, settings.clone(), patience.clone(), url)?;
        return Ok(Box::new(carrier));
    }
    let parsed = RemoteUrl::parse(url, std::path::Path::new("/")).map_err(|_| {
        Failure::NeedsGit("git's configuration leads to another kind of address".to_owned())
    })?;
    if let Some(path) = parsed.local_path() {
        return Ok(Box::new(children(local::program(path))));
    }
    if parsed.is_ssh() {
        return Ok(Box::new(children(ssh::program(url, bound, settings)?)));
    }
    Err(Failure::NeedsGit(format!(
        "`{}` is no http, ssh or file address",
        bound.remote.url
    )))
}

fn hand_over(bound: &Bound, reason: &str) -> State {
    tracing::debug!(reason, "the `git` program takes over");
    State::HandedOver(Box::new(Git::new(bound.clone())))
}

/// The error behind a failure, without secrets.
fn error(bound: &Bound, failure: Failure) -> RemoteError {
    let (kind, detail) = match failure {
        Failure::Remote { kind, detail, .. } => (kind, detail),
        Failure::Refused(detail) => (RemoteErrorKind::Other, detail),
        Failure::NotGit => (RemoteErrorKind::ServerFailure, vec![failure.to_string()]),
        Failure::NeedsGit(reason) | Failure::Surprise(reason) => {
            (RemoteErrorKind::Other, vec![reason])
        }
    };
    let detail = bound.redacted(&detail);
    let shown = detail
        .iter()
        .map(|line| escaped(line.as_bytes()).to_string());
    bound.error(kind, shown.collect())
}

impl Transport for Native {
    /// Clones of the `git` transport are used as well, and the other way round.
    fn clone_key(&self) -> String {
        self.bound.remote.url.for_git()
    }

    fn prepare(&self, store: &Store) -> Result<(), StoreError> {
        store.set_promisor(REMOTE, &self.bound.remote.url.for_git())
    }

    #[tracing::instrument(level = "debug", name = "ls-remote", skip_all)]
    fn refs(&self, branch: Option<&str>, on_signal: OnSignal) -> Result<RemoteRefs, RemoteError> {
        self.with(
            |conversation| self.list(conversation, branch, on_signal),
            |git| Ok(git.refs(branch, on_signal)),
        )?
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
            let tip = match conversation.listed_tip(branch) {
                Some(tip) => tip,
                None => match self.list(conversation, Some(branch), on_signal)? {
                    Ok(RemoteRefs { tip: Some(tip), .. }) => tip,
                    Ok(_) => {
                        return Ok(Err(self
                            .bound
                            .error(RemoteErrorKind::BranchMissing, Vec::new())));
                    }
                    Err(error) => return Ok(Err(error)),
                },
            };
            conversation.fetch(store, tip, depth.0, on_signal)?;
            let recorded = store.set_tip(tip);
            let recorded =
                recorded.map_err(|error| Failure::new(RemoteErrorKind::Other, error.to_string()));
            recorded.map(|()| Ok(tip))
        };
        self.with(fetch, |git| Ok(git.fetch(store, branch, depth, on_signal)))?
    }

    #[tracing::instrument(level = "debug", name = "contents", skip_all, fields(count = ids.len()))]
    fn fetch_contents(&self, store: &Store, ids: &[ObjectId]) -> Result<(), RemoteError> {
        let tip = store.tip().map_err(|error| {
            self.bound
                .error(RemoteErrorKind::Other, vec![error.to_string()])
        })?;
        self.with(
            |conversation| conversation.fetch_contents(store, ids, tip),
            |git| git.fetch_contents(store, ids),
        )
    }

    fn would_push(
        &self,
        store: &Store,
        commit: ObjectId,
        branch: &str,
    ) -> Result<PushReply, RemoteError> {
        let ask = |conversation: &mut Conversation| {
            let refs = conversation.list_to_push()?;
            let name = format!("refs/heads/{branch}");
            let tip = refs.iter().find(|(listed, _)| *listed == name);
            let tip = tip.and_then(|(_, id)| ObjectId::from_hex(id));
            Ok(match tip {
                Some(tip) if !store.is_ancestor(tip, commit) => PushReply::moved(),
                _ => PushReply::Accepted,
            })
        };
        self.with(ask, |git| git.would_push(store, commit, branch))
    }

    #[tracing::instrument(level = "debug", name = "push", skip_all, fields(branch, %commit))]
    fn push(
        &self,
        store: &Store,
        commit: ObjectId,
        branch: &str,
    ) -> Result<PushReply, RemoteError> {
        let name = format!("refs/heads/{branch}");
        let push = |conversation: &mut Conversation| {
            let old = match conversation.expected_tip(branch) {
                Some(old) => old,
                None => match self.list(conversation, Some(branch), OnSignal::GoOn)? {
                    Ok(refs) => refs.tip,
                    Err(error) => return Ok(Err(error)),
                },
            };
            if old.is_some_and(|old| !store.is_ancestor(old, commit)) {
                return Ok(Ok(PushReply::moved()));
            }
            let update = Update {
                old,
                new: commit,
                name: &name,
            };
            match conversation.push(store, &update) {
                Ok(answered) => Ok(Ok(self.reply(answered.report, &answered.messages))),
                Err(failed) => self.lost(failed),
            }
        };
        self.with(push, |git| Ok(git.push(store, commit, branch)))?
    }
}

impl Native {
    /// The reply behind a report.
    fn reply(&self, report: Report, messages: &[String]) -> PushReply {
        let mut words = telling(&self.bound.redacted(messages));
        let why = match report {
            Report::Accepted => return PushReply::Accepted,
            Report::Refused(why) => why,
            Report::NotUnpacked(why) => {
                words.push(escaped(self.bound.redacted_line(&why).as_bytes()).to_string());
                "unpacker error".to_owned()
            }
        };
        let why = escaped(self.bound.redacted_line(&why).as_bytes()).to_string();
        PushReply::rejected(&why, words)
    }

    /// What a push came to that failed. What was sent whole may have landed, unless the server answered that it did not.
    fn lost(&self, failed: PushFailure) -> Result<Result<PushReply, RemoteError>, Failure> {
        let PushFailure {
            mut failure,
            is_sent,
            messages,
        } = failed;
        if matches!(failure, Failure::NeedsGit(_)) {
            return Err(failure);
        }
        if let Failure::Remote { detail, .. } = &mut failure {
            detail.extend(messages.into_iter().map(|line| format!("remote: {line}")));
        }
        let is_refused = matches!(failure, Failure::Refused(_));
        let error = error(&self.bound, failure);
        if !is_refused
            && is_sent
            && (error.kind.is_transient() || error.kind == RemoteErrorKind::Other)
        {
            Ok(Ok(PushReply::Lost(error)))
        } else {
            Ok(Err(error))
        }
    }
}
