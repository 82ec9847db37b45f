//! The native transport: a client of git's protocol that has one conversation with a remote.
//!
//! | | |
//! |---|---|
//! | [`protocol`] | the messages: packet lines, capabilities, `ls-refs`, `fetch`, a push and its report |
//! | [`carrier`] | the interface for transferring bytes, implemented by [`http`], and by [`service_process`] for [`ssh`] and [`local`] paths |
//! | [`conversation`] | the order of requests, and their repetition |
//! | [`server_notes`] | the capabilities of a server, kept between runs |
//! | [`kept_trees`] | the trees of the tip, kept between runs |
//! | [`local_repository`] | refs and objects of a local path, read in place |
//! | [`incoming_pack`] | fetched packs, and packs that consist of parts of others |
//! | [`outgoing_pack`] | the pack of a push, written while the contents of new files are read |
//! | [`http_settings`] | git's configuration `http.*` |
//! | [`idle_timeout`] | the time limit of reads and writes, and signals |
//!
//! If only the `git` program can talk to a server (Negotiate, client certificates, `git://`), the
//! transport hands over to [`GitProcess`] for the rest of the run. With `remote.transport: native`,
//! that is an error instead.

pub(super) mod address;
mod carrier;
mod conversation;
mod failure;
pub(super) mod http;
pub(super) mod http_settings;
mod idle_timeout;
mod incoming_pack;
mod kept_trees;
mod local;
mod local_repository;
mod outgoing_pack;
mod protocol;
mod server_notes;
mod service_process;
pub(super) mod ssh;

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::context::RemoteContext;
use super::error::{RemoteError, RemoteErrorKind};
use super::git_process::{self, GitProcess};
use super::refs::Refs;
use super::rejection;
use super::server_message::{is_of_server, mark, marked, server_words};
use super::transport::{
    Branches, Depth, Purpose, PushReply, RefUpdate, RemoteRefs, Transport, TreeLevels, branches_of,
};
use crate::codex::git_config::{self, Settings};
use crate::codex::push_contents::PushContents;
use crate::codex::store::Store;
use crate::config::TransportChoice;
use crate::interrupt::OnSignal;
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::url::RemoteUrl;
use carrier::Carrier;
use conversation::{Conversation, PushFailure};
use failure::Failure;
use http::Http;
pub(crate) use http::client as http_client;
use idle_timeout::IdleTimeout;
use local_repository::LocalRepository;
use protocol::push::{NO_OBJECT, Report, Update};
pub(crate) use server_notes::NotesLocation;
use server_notes::ServerNotes;
use service_process::ServiceProcesses;

/// The native transport for one remote.
pub(super) struct Native {
    /// The context. The URL of its remote is the one that is contacted: git's configuration has
    /// already rewritten it.
    context: RemoteContext,
    client: Mutex<ActiveClient>,
}

/// The client that talks to the remote for the rest of the run.
enum ActiveClient {
    /// This program.
    Native(Box<Conversation>),
    /// The `git` program.
    Git(Arc<Fallback>),
}

/// The `git` program, used instead of a conversation.
struct Fallback {
    git: GitProcess,
    /// The reason for which only `git` can talk to the remote.
    reason: String,
}

impl Fallback {
    /// Checks that `git` may and can be used. git's configuration has rewritten the URL already and
    /// must not do it again.
    fn start(context: &RemoteContext, reason: String) -> Result<Arc<Self>, RemoteError> {
        if context.remote.transport == TransportChoice::Native {
            return Err(context.error(RemoteErrorKind::NeedsGit, vec![reason]));
        }
        tracing::info!(reason, "the `git` program takes over");

        if let Some(unusable) = git_process::unusable(&context.environment, &context.interrupt) {
            let detail = vec![format!("git is needed because {reason}"), unusable];
            return Err(context.error(RemoteErrorKind::NoTransport, detail));
        }

        let git = GitProcess::of_configured(context.clone());
        Ok(Arc::new(Self { git, reason }))
    }

    /// Runs `work`. Its errors also give the reason for which `git` was used.
    fn run<T>(
        &self,
        work: impl FnOnce(&GitProcess) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        work(&self.git).map_err(|mut error| {
            let note = format!("the `git` program was used because {}", self.reason);
            error.detail.push(note);
            error
        })
    }
}

impl Native {
    pub(super) fn new(
        context: RemoteContext,
        purpose: Purpose,
        notes: Option<NotesLocation>,
    ) -> Result<Self, RemoteError> {
        git_config::check_files(&context.environment)
            .map_err(|problem| context.error(RemoteErrorKind::GitConfig, vec![problem]))?;
        let settings = Settings::read(&context.environment);
        let context = context.configured(settings, purpose)?;
        let client = match converse(&context, notes) {
            Ok(conversation) => ActiveClient::Native(Box::new(conversation)),
            Err(Failure::NeedsGit(reason)) => ActiveClient::Git(Fallback::start(&context, reason)?),
            Err(failure) => return Err(error(&context, failure)),
        };
        Ok(Self {
            context,
            client: Mutex::new(client),
        })
    }

    fn client(&self) -> MutexGuard<'_, ActiveClient> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in the conversation. If that needs `git`, or if `git` is used already, runs
    /// `with_git`, now and for the rest of the run.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Conversation) -> Result<T, Failure>,
        with_git: impl FnOnce(&GitProcess) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let mut client = self.client();
        match &mut *client {
            ActiveClient::Git(fallback) => fallback.run(with_git),
            ActiveClient::Native(conversation) => match work(conversation) {
                Ok(done) => Ok(done),
                Err(Failure::NeedsGit(reason)) => {
                    let fallback = Fallback::start(&self.context, reason)?;
                    // Closes the connection of the conversation.
                    *client = ActiveClient::Git(Arc::clone(&fallback));
                    fallback.run(with_git)
                }
                Err(failure) => Err(error(&self.context, failure)),
            },
        }
    }

    /// Finds branches on the remote.
    fn list(
        &self,
        conversation: &mut Conversation,
        wanted: Branches<'_>,
        on_signal: OnSignal,
    ) -> Result<RemoteRefs, Failure> {
        let found = self.context.find_branches(wanted, |wanted| {
            let refs = conversation.list(&wanted.prefixes(), on_signal)?;
            Ok::<_, Failure>(branches(refs))
        })?;
        let mut tips = found.others.clone();
        tips.extend(found.tip.map(|tip| (found.branch.clone(), tip)));
        conversation.note_tips(tips);
        Ok(found)
    }

    /// Lists `branches` and returns their tips. A missing branch is an error.
    fn tips(
        &self,
        conversation: &mut Conversation,
        branches: &[&str],
        on_signal: OnSignal,
    ) -> Result<Vec<ObjectId>, Failure> {
        let missing = || {
            let kind = RemoteErrorKind::BranchMissing;
            self.context.error(kind, Vec::new())
        };
        let mut names = branches.iter().copied();
        let synced = names.next().ok_or_else(missing)?;
        let others: Vec<_> = names.map(str::to_owned).collect();
        let wanted = Branches {
            synced: Some(synced),
            others: &others,
        };
        let refs = self.list(conversation, wanted, on_signal)?;
        let others = others.iter().map(|branch| refs.others.get(branch).copied());
        let tips = [refs.tip].into_iter().chain(others);
        Ok(tips.collect::<Option<_>>().ok_or_else(missing)?)
    }
}

/// HEAD and the branches in a list of refs.
fn branches(mut refs: Refs) -> Refs {
    refs.retain(|(name, _)| name == "HEAD" || name.starts_with("refs/heads/"));
    refs
}

/// Opens a conversation with the remote.
fn converse(
    context: &RemoteContext,
    notes: Option<NotesLocation>,
) -> Result<Conversation, Failure> {
    let idle_timeout = IdleTimeout::new(context.interrupt.clone(), context.remote.timeout.idle);
    let path = context.remote.url.local_path();
    let local = path.and_then(|path| LocalRepository::open(path, &context.settings));
    let carrier = carrier(context, &idle_timeout)?;
    let notes = ServerNotes::open(notes, &context.remote.url.for_git());
    Ok(Conversation::new(
        context.clone(),
        idle_timeout,
        carrier,
        notes,
        local,
    ))
}

fn carrier(
    context: &RemoteContext,
    idle_timeout: &IdleTimeout,
) -> Result<Box<dyn Carrier>, Failure> {
    let remote = &context.remote.url;
    let children =
        |program| ServiceProcesses::new(program, &context.interrupt, idle_timeout.clone());
    if remote.is_http() {
        let carrier = Http::new(context, idle_timeout.clone(), &remote.for_git())?;
        return Ok(Box::new(carrier));
    }
    if let Some(path) = remote.local_path() {
        let program = local::program(path.to_owned(), context.environment.clone());
        return Ok(Box::new(children(program)));
    }
    if remote.is_ssh() {
        let program = ssh::program(&remote.written(), context)?;
        return Ok(Box::new(children(program)));
    }
    let reason = format!("`{remote}` is no http, ssh or file address");
    Err(Failure::NeedsGit(reason))
}

/// The error for a failure, with secrets masked.
fn error(context: &RemoteContext, failure: Failure) -> RemoteError {
    let kind = failure.kind().unwrap_or(RemoteErrorKind::Other);
    let (detail, retry_after) = match failure {
        Failure::Complete(error) => return *error,
        Failure::Remote {
            detail,
            retry_after,
            ..
        } => (detail, retry_after),
        Failure::Rejected { detail, .. } => (detail, None),
        Failure::NeedsGit(reason) | Failure::ContradictsNotes(reason) => (vec![reason], None),
        Failure::LengthRequired | Failure::NotPacketLines => (vec![failure.to_string()], None),
    };
    let detail = context.redacted(&detail);
    let (own, words): (Vec<_>, Vec<_>) = detail.into_iter().partition(|line| !is_of_server(line));
    let own = own.iter().map(|line| escaped(line.as_bytes()).to_string());
    let detail = own.chain(marked(&server_words(&words))).collect();
    let mut error = context.error(kind, detail);
    error.advice.retry_after = retry_after;
    error.advice.command = ssh::host_key_command(kind, context);
    error
}

impl Transport for Native {
    fn url(&self) -> &RemoteUrl {
        &self.context.remote.url
    }

    fn fallback(&self) -> Option<String> {
        match &*self.client() {
            ActiveClient::Native(_) => None,
            ActiveClient::Git(fallback) => Some(fallback.reason.clone()),
        }
    }

    #[tracing::instrument(level = "debug", name = "ls-remote", skip_all)]
    fn refs(&self, branches: Branches<'_>, on_signal: OnSignal) -> Result<RemoteRefs, RemoteError> {
        self.with(
            |conversation| self.list(conversation, branches, on_signal),
            |git| git.refs(branches, on_signal),
        )
    }

    #[tracing::instrument(level = "debug", name = "clone", skip_all, fields(branches = branches.join(" "), depth = depth.0))]
    fn fetch(
        &self,
        store: &Store,
        branches: &[&str],
        depth: Depth,
        on_signal: OnSignal,
    ) -> Result<Vec<ObjectId>, RemoteError> {
        let fetch = |conversation: &mut Conversation| {
            let listed = conversation.listed_tips(branches);
            if let Some(tips) = listed {
                match conversation.fetch(store, &tips, depth.0, on_signal) {
                    // A branch was replaced since it was listed.
                    Err(failure) if failure.is_about_objects() => {}
                    fetched => return fetched.map(|()| tips),
                }
            }
            let tips = self.tips(conversation, branches, on_signal)?;
            conversation.fetch(store, &tips, depth.0, on_signal)?;
            Ok(tips)
        };
        self.with(fetch, |git| git.fetch(store, branches, depth, on_signal))
    }

    #[tracing::instrument(level = "debug", name = "trees", skip_all, fields(count = ids.len(), ?levels))]
    fn fetch_trees(
        &self,
        store: &Store,
        ids: &[ObjectId],
        levels: TreeLevels,
    ) -> Result<(), RemoteError> {
        let filter = levels.filter();
        self.with(
            |conversation| conversation.fetch_objects(store, ids, Some(&filter)),
            |git| git.fetch_trees(store, ids, levels),
        )
    }

    #[tracing::instrument(level = "debug", name = "contents", skip_all, fields(count = ids.len()))]
    fn fetch_contents(&self, store: &Store, ids: &[ObjectId]) -> Result<(), RemoteError> {
        self.with(
            |conversation| conversation.fetch_objects(store, ids, None),
            |git| git.fetch_contents(store, ids),
        )
    }

    fn would_push(&self, store: &Store, update: RefUpdate<'_>) -> Result<PushReply, RemoteError> {
        let ask = |conversation: &mut Conversation| {
            let refs = conversation.list_to_push()?;
            let name = format!("refs/heads/{}", update.branch);
            let tip = refs.iter().find(|(listed, _)| *listed == name);
            let tip = tip.and_then(|(_, id)| ObjectId::from_hex(id));
            Ok(if tip != update.old || update.loses_commits(store) {
                PushReply::moved()
            } else {
                PushReply::accepted()
            })
        };
        self.with(ask, |git| git.would_push(store, update))
    }

    fn expect_push(&self) {
        if let ActiveClient::Native(conversation) = &mut *self.client() {
            conversation.expect_push();
        }
    }

    #[tracing::instrument(level = "debug", name = "push", skip_all, fields(branches = branches_of(updates)))]
    fn push(
        &self,
        store: &Store,
        updates: &[RefUpdate<'_>],
        contents: &mut dyn PushContents,
    ) -> Result<Vec<PushReply>, RemoteError> {
        // The server compares the tips, but does not check that the commits are based on them.
        if updates.iter().any(|update| update.loses_commits(store)) {
            return Ok(updates.iter().map(|_| PushReply::moved()).collect());
        }
        let names: Vec<_> = updates
            .iter()
            .map(|update| format!("refs/heads/{}", update.branch))
            .collect();
        let commands: Vec<_> = updates
            .iter()
            .zip(&names)
            .map(|(update, name)| Update {
                old: update.old,
                new: update.new,
                name,
            })
            .collect();
        let contents = RefCell::new(contents);
        let push = |conversation: &mut Conversation| match conversation.push(
            store,
            &commands,
            *contents.borrow_mut(),
        ) {
            Ok(answered) => Ok(self.replies(answered.reports, &answered.messages)),
            Err(failed) => {
                let reply = self.failed_push(failed)?;
                Ok(vec![reply; updates.len()])
            }
        };
        self.with(push, |git| git.push(store, updates, *contents.borrow_mut()))
    }

    #[tracing::instrument(level = "debug", name = "delete", skip(self, store))]
    fn delete(&self, store: &Store, branch: &str, tip: ObjectId) -> Result<PushReply, RemoteError> {
        let name = format!("refs/heads/{branch}");
        let update = Update {
            old: Some(tip),
            new: NO_OBJECT,
            name: &name,
        };
        let delete = |conversation: &mut Conversation| match conversation.delete(&update) {
            Ok(answered) => {
                let mut replies = self.replies(answered.reports, &answered.messages);
                Ok(replies.remove(0))
            }
            Err(failed) => self.failed_push(failed),
        };
        self.with(delete, |git| git.delete(store, branch, tip))
    }
}

impl Native {
    /// The results for the reports of the server.
    fn replies(&self, reports: Vec<Report>, messages: &[String]) -> Vec<PushReply> {
        let words = self.words(messages);
        reports
            .into_iter()
            .map(|report| self.reply(report, words.clone()))
            .collect()
    }

    /// The result for one report of the server.
    fn reply(&self, report: Report, words: Vec<String>) -> PushReply {
        let shown = |text: &str| escaped(self.context.redacted_line(text).as_bytes()).to_string();
        match report {
            Report::Accepted(instead) => PushReply::Accepted {
                instead: instead.as_deref().map(shown),
                words,
            },
            Report::Rejected(why) => PushReply::rejected(&shown(&why), words),
            Report::NotUnpacked(why) => {
                let why = format!("unpacker error: {}", shown(&why));
                PushReply::rejected(&why, words)
            }
        }
    }

    /// The messages of the server, with secrets masked.
    fn words(&self, messages: &[String]) -> Vec<String> {
        let marked = messages.iter().map(|line| mark(line));
        server_words(&self.context.redacted(&marked.collect::<Vec<_>>()))
    }

    /// The result of a push without a report of the server.
    fn failed_push(&self, failed: PushFailure) -> Result<PushReply, Failure> {
        let PushFailure {
            mut failure,
            is_sent,
            messages,
        } = failed;
        match &mut failure {
            Failure::NeedsGit(_) => return Err(failure),
            Failure::Rejected { status, detail } => {
                let words = server_words(&self.context.redacted(detail));
                let reply = rejection::of_status(*status, words);
                return Ok(PushReply::Rejected(reply));
            }
            Failure::Remote { detail, .. } => {
                detail.extend(messages.iter().map(|line| mark(line)));
            }
            Failure::Complete(_)
            | Failure::NotPacketLines
            | Failure::ContradictsNotes(_)
            | Failure::LengthRequired => {}
        }
        let error = error(&self.context, failure);
        if let Some(rejection) = rejection::aborted_by_hook(&error.detail) {
            return Ok(PushReply::Rejected(rejection));
        }
        Ok(PushReply::without_verdict(error, is_sent)?)
    }
}
