//! A remote that is asked over the network.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use git2::{AutotagOption, Direction, ErrorCode, FetchOptions, Odb, PushOptions, Repository};

use super::call::Call;
use super::http;
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::store::{Store, StoreError, TIP, id_of};
use crate::codex::transport::bound::Bound;
use crate::codex::transport::classify::telling;
use crate::codex::transport::{Depth, OnSignal, PushReply, RemoteRefs, Target, Transport};
use crate::event::Stage;
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::url::RemoteUrl;

/// libgit2, bound to one remote.
pub(super) struct Network {
    bound: Bound,
    /// The URL, without user over http: who we are is said by the header alone.
    url: String,
}

/// Names with their values, as a remote lists them.
type Lines = Vec<(String, String)>;

impl Network {
    pub(super) fn new(bound: Bound) -> Self {
        let url = &bound.remote.url;
        let url = match url.public().filter(|_| url.is_http()) {
            Some(url) => http::marked(&url),
            None => url.for_git(),
        };
        Self { bound, url }
    }

    /// What the remote lists to who connects to fetch, or to push.
    fn list(&self, direction: Direction, on_signal: OnSignal) -> Result<Lines, RemoteError> {
        let url = self.url.clone();
        Call::new(&self.bound).run(on_signal, move |call| {
            let nowhere = unconfigured(Repository::from_odb(Odb::new()?)?)?;
            let mut remote = nowhere.remote_anonymous(&url)?;
            let connection = remote.connect_auth(direction, Some(call.callbacks(None)), None)?;
            Ok(lines(connection.list()?))
        })
    }
}

/// What became of a push that was answered.
enum Verdict {
    Accepted,
    Moved,
    Refused(String),
}

/// The branches and HEAD.
fn lines(heads: &[git2::RemoteHead<'_>]) -> Lines {
    let mut lines = Vec::new();
    for head in heads
        .iter()
        .filter(|head| head.name() == "HEAD" || head.name().starts_with("refs/heads/"))
    {
        lines.extend(
            head.symref_target()
                .map(|target| (head.name().to_owned(), format!("ref: {target}"))),
        );
        lines.push((head.name().to_owned(), head.oid().to_string()));
    }
    lines
}

/// Opens a clone in the thread that works with it.
fn open(path: &Path) -> Result<Repository, git2::Error> {
    // Not as a bare one by name: that would not read where a shallow history ends.
    unconfigured(Repository::open(path)?)
}

/// Without the user's configuration, which could lead the remote's URL elsewhere (`url.*.insteadOf`).
fn unconfigured(repository: Repository) -> Result<Repository, git2::Error> {
    repository.set_config(&git2::Config::new()?)?;
    Ok(repository)
}

impl Transport for Network {
    fn url(&self) -> &RemoteUrl {
        &self.bound.remote.url
    }

    /// Clones of git's own may lack contents, which libgit2 could not fetch.
    fn clone_key(&self) -> String {
        format!("libgit2 {}", self.bound.remote.url.for_git())
    }

    fn prepare(&self, _: &Store) -> Result<(), StoreError> {
        Ok(())
    }

    #[tracing::instrument(level = "debug", name = "ls-remote", skip_all)]
    fn refs(&self, branch: Option<&str>, on_signal: OnSignal) -> Result<RemoteRefs, RemoteError> {
        self.bound
            .refs_in(&self.list(Direction::Fetch, on_signal)?, branch)
    }

    #[tracing::instrument(level = "debug", name = "clone", skip_all, fields(branch, depth = depth.0))]
    fn fetch(
        &self,
        store: &Store,
        branch: &str,
        depth: Depth,
        on_signal: OnSignal,
    ) -> Result<ObjectId, RemoteError> {
        let (path, url) = (store.path().to_owned(), self.url.clone());
        let name = format!("refs/heads/{branch}");
        Call::new(&self.bound).run(on_signal, move |call| {
            let repository = open(&path)?;
            let mut remote = repository.remote_anonymous(&url)?;
            let mut options = FetchOptions::new();
            options
                .remote_callbacks(call.callbacks(Some(Stage::Fetch)))
                .update_fetchhead(false);
            options
                .download_tags(AutotagOption::None)
                .depth(depth.0.cast_signed());
            remote.fetch(&[format!("+{name}:{TIP}")], Some(&mut options), None)?;
            // A branch that is not there is no error to libgit2.
            let found = remote
                .list()?
                .iter()
                .find(|head| head.name() == name)
                .map(|head| id_of(head.oid()));
            found.ok_or_else(|| call.fails(RemoteErrorKind::BranchMissing, Vec::new()))
        })
    }

    fn fetch_contents(&self, _: &Store, ids: &[ObjectId]) -> Result<(), RemoteError> {
        // A fetch brings all contents of the tip.
        let detail = ids
            .iter()
            .take(3)
            .map(|id| format!("the remote did not send {id}"))
            .collect();
        Err(self.bound.error(RemoteErrorKind::Other, detail))
    }

    fn would_push(
        &self,
        store: &Store,
        commit: ObjectId,
        target: Target<'_>,
    ) -> Result<PushReply, RemoteError> {
        let lines = self.list(Direction::Push, OnSignal::GoOn)?;
        let tip = self
            .bound
            .find(&lines, Some(target.branch))?
            .and_then(|refs| refs.tip);
        Ok(match tip {
            Some(tip) if !store.is_ancestor(tip, commit) => PushReply::moved(),
            _ => PushReply::accepted(),
        })
    }

    #[tracing::instrument(level = "debug", name = "push", skip_all, fields(branch = target.branch, %commit))]
    fn push(
        &self,
        store: &Store,
        commit: ObjectId,
        target: Target<'_>,
    ) -> Result<PushReply, RemoteError> {
        let (path, url) = (store.path().to_owned(), self.url.clone());
        let refspec = format!("{commit}:refs/heads/{}", target.branch);
        let call = Call::new(&self.bound);
        // Not to be interrupted: once it is sent, the verdict is awaited and told.
        let verdict = call.run(OnSignal::GoOn, move |call| {
            let repository = open(&path)?;
            let mut remote = repository.remote_anonymous(&url)?;
            let refusal = Arc::new(Mutex::new(None));
            let told = refusal.clone();
            let mut callbacks = call.callbacks(Some(Stage::Push));
            // libgit2 calls a push a success whose ref was refused.
            callbacks.push_update_reference(move |_, status| {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = status.map(str::to_owned);
                Ok(())
            });
            let mut options = PushOptions::new();
            options
                .remote_callbacks(callbacks)
                .packbuilder_parallelism(0);
            match remote.push(&[refspec], Some(&mut options)) {
                // Found before anything was sent.
                Err(error) if error.code() == ErrorCode::NotFastForward => Ok(Verdict::Moved),
                // Sent, and the server could not store it.
                Err(error) if error.message().contains("unpacking") => {
                    Ok(Verdict::Refused("unpacker error".to_owned()))
                }
                Err(error) => Err(error),
                Ok(()) => {
                    let refusal = refusal
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take();
                    Ok(refusal.map_or(Verdict::Accepted, Verdict::Refused))
                }
            }
        });
        match verdict {
            Ok(Verdict::Accepted) => Ok(PushReply::accepted()),
            Ok(Verdict::Moved) => Ok(PushReply::moved()),
            Ok(Verdict::Refused(why)) => {
                let why = escaped(self.bound.redacted_line(&why).as_bytes()).to_string();
                Ok(PushReply::rejected(
                    &why,
                    telling(&self.bound.redacted(&call.words())),
                ))
            }
            Err(error) if call.is_sent() => Ok(PushReply::Lost(error)),
            Err(error) => Err(error),
        }
    }
}
