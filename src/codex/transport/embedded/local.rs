//! A repository of this machine, read and written in place. libgit2's own way to push to a path replaces whatever tip it
//! finds and so could lose what somebody else pushed just then; here a tip is replaced only by what goes on top of it.
//!
//! Nothing is fetched: the clone borrows the repository's objects, and its own new packs are moved over before the branch
//! is. Hooks are not run, so where one could decline a push, nothing is pushed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository};

use super::classify;
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::store::{Store, StoreError, id_of, oid_of};
use crate::codex::transport::bound::Bound;
use crate::codex::transport::{Depth, OnSignal, PushReply, RemoteRefs, Target, Transport};
use crate::object::ObjectId;
use crate::paths::escaped;
use crate::platform;
use crate::url::RemoteUrl;

/// Hooks of a repository that may decline a push.
const HOOKS: [&str; 4] = [
    "pre-receive",
    "update",
    "proc-receive",
    "reference-transaction",
];
/// What the repository's log says of a tip that we set.
const LOGGED: &str = "push";

/// The repository at a path.
pub(super) struct Local {
    bound: Bound,
    path: PathBuf,
}

impl Local {
    pub(super) fn new(bound: Bound, path: PathBuf) -> Self {
        Self { bound, path }
    }

    fn open(&self) -> Result<Repository, RemoteError> {
        Repository::open(&self.path).map_err(|error| match error.code() {
            ErrorCode::NotFound => self.bound.error(RemoteErrorKind::NotFound, said(&error)),
            _ => self.failure(&error),
        })
    }

    fn failure(&self, error: &git2::Error) -> RemoteError {
        let lines = said(error);
        self.bound
            .error(classify::kind(error, &lines, &self.bound), lines)
    }

    /// The tip of `branch`, if it is there, and the name that it stands under: a branch may be another's second name.
    fn tip(
        &self,
        repository: &Repository,
        branch: &str,
    ) -> Result<Option<(String, git2::Oid)>, RemoteError> {
        let found = repository
            .find_reference(&format!("refs/heads/{branch}"))
            .and_then(|found| found.resolve());
        let named = found.and_then(|found| {
            let name = found.name()?.to_owned();
            Ok(found.target().map(|id| (name, id)))
        });
        match named {
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            named => named.map_err(|error| self.failure(&error)),
        }
    }

    /// HEAD and every branch with their values.
    fn list(&self, repository: &Repository) -> Result<Vec<(String, String)>, git2::Error> {
        let mut lines = Vec::new();
        let head = repository.find_reference("HEAD")?;
        if let Some(target) = head.symbolic_target()? {
            lines.extend(
                repository
                    .refname_to_id(target)
                    .map(|id| ("HEAD".to_owned(), id.to_string())),
            );
            if !lines.is_empty() {
                lines.push(("HEAD".to_owned(), format!("ref: {target}")));
            }
        } else {
            lines.extend(head.target().map(|id| ("HEAD".to_owned(), id.to_string())));
        }
        for reference in repository.references_glob("refs/heads/*")? {
            let reference = reference?;
            // One whose name is no text is nobody's `remote.branch`.
            if let (Ok(name), Ok(found)) = (reference.name(), reference.resolve()) {
                lines.extend(found.target().map(|id| (name.to_owned(), id.to_string())));
            }
        }
        Ok(lines)
    }

    /// Why nothing may be pushed here, or not like this.
    fn refusal(&self, repository: &Repository, branch: &str) -> Option<String> {
        let config = repository.config().ok()?;
        let hooks = config.get_path("core.hooksPath").ok();
        let hooks = hooks.map_or_else(
            || repository.path().join("hooks"),
            |path| repository.path().join(path),
        );
        let runs = |name: &&str| {
            fs::metadata(hooks.join(name)).is_ok_and(|meta| platform::is_program(&meta))
        };
        if let Some(hook) = HOOKS.iter().find(|name| runs(name)) {
            return Some(format!(
                "its hook `{hook}` can be run by git alone (`remote.transport: git`)"
            ));
        }
        let head = repository.find_reference("HEAD").ok()?;
        let is_checked_out = head.symbolic_target().ok()? == Some(&format!("refs/heads/{branch}"));
        let allowed = config
            .get_string("receive.denyCurrentBranch")
            .is_ok_and(|value| {
                matches!(value.as_str(), "ignore" | "warn")
                    || git2::Config::parse_bool(value) == Ok(false)
            });
        (is_checked_out && !repository.is_bare() && !allowed)
            .then(|| "branch is currently checked out".to_owned())
    }
}

/// An error's words.
fn said(error: &git2::Error) -> Vec<String> {
    vec![escaped(error.message().as_bytes()).to_string()]
}

fn objects(repository: &Repository) -> PathBuf {
    repository.commondir().join("objects")
}

impl Transport for Local {
    fn url(&self) -> &RemoteUrl {
        &self.bound.remote.url
    }

    fn clone_key(&self) -> String {
        format!("libgit2 {}", self.bound.remote.url.for_git())
    }

    fn prepare(&self, store: &Store) -> Result<(), StoreError> {
        let repository = Repository::open(&self.path)?;
        store.borrow(&objects(&repository))
    }

    #[tracing::instrument(level = "debug", name = "ls-remote", skip_all)]
    fn refs(&self, branch: Option<&str>, _: OnSignal) -> Result<RemoteRefs, RemoteError> {
        let repository = self.open()?;
        let lines = self
            .list(&repository)
            .map_err(|error| self.failure(&error))?;
        self.bound.refs_in(&lines, branch)
    }

    #[tracing::instrument(level = "debug", name = "clone", skip_all, fields(branch))]
    fn fetch(
        &self,
        _: &Store,
        branch: &str,
        _: Depth,
        _: OnSignal,
    ) -> Result<ObjectId, RemoteError> {
        let tip = self.tip(&self.open()?, branch)?;
        tip.map(|(_, id)| id_of(id))
            .ok_or_else(|| self.bound.error(RemoteErrorKind::BranchMissing, Vec::new()))
    }

    fn fetch_contents(&self, _: &Store, ids: &[ObjectId]) -> Result<(), RemoteError> {
        let detail = ids
            .iter()
            .take(3)
            .map(|id| format!("the repository lacks {id}"))
            .collect();
        Err(self.bound.error(RemoteErrorKind::Other, detail))
    }

    fn would_push(
        &self,
        store: &Store,
        commit: ObjectId,
        target: Target<'_>,
    ) -> Result<PushReply, RemoteError> {
        let branch = target.branch;
        let repository = self.open()?;
        if let Some(reason) = self.refusal(&repository, branch) {
            return Ok(PushReply::rejected(&reason, Vec::new()));
        }
        if self
            .tip(&repository, branch)?
            .is_some_and(|(_, tip)| !store.is_ancestor(id_of(tip), commit))
        {
            return Ok(PushReply::moved());
        }
        match tempfile::tempfile_in(objects(&repository)) {
            Ok(_) => Ok(PushReply::accepted()),
            Err(error) => Err(self
                .bound
                .error(RemoteErrorKind::Forbidden, vec![error.to_string()])),
        }
    }

    #[tracing::instrument(level = "debug", name = "push", skip_all, fields(branch = target.branch, %commit))]
    fn push(
        &self,
        store: &Store,
        commit: ObjectId,
        target: Target<'_>,
    ) -> Result<PushReply, RemoteError> {
        let branch = target.branch;
        let repository = self.open()?;
        if let Some(reason) = self.refusal(&repository, branch) {
            return Ok(PushReply::rejected(&reason, Vec::new()));
        }
        let tip = self.tip(&repository, branch)?;
        if tip
            .as_ref()
            .is_some_and(|(_, tip)| !store.is_ancestor(id_of(*tip), commit))
        {
            return Ok(PushReply::moved());
        }
        move_packs(
            &store.path().join("objects/pack"),
            &objects(&repository).join("pack"),
        )
        .map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    RemoteErrorKind::Forbidden
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    RemoteErrorKind::ServerFailure
                }
                _ => RemoteErrorKind::Other,
            };
            self.bound.error(kind, vec![error.to_string()])
        })?;
        let updated = match tip {
            // Only if it is still the same.
            Some((name, tip)) => {
                repository.reference_matching(&name, oid_of(commit), true, tip, LOGGED)
            }
            None => repository.reference(
                &format!("refs/heads/{branch}"),
                oid_of(commit),
                false,
                LOGGED,
            ),
        };
        Ok(match updated {
            Ok(_) => PushReply::accepted(),
            Err(error) => PushReply::rejected("failed to update ref", said(&error)),
        })
    }
}

/// Moves every pack from one directory to another; the index last, for it is what makes a pack known.
fn move_packs(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let pack = entry?.path();
        if pack.extension() == Some(OsStr::new("pack")) {
            let index = pack.with_extension("idx");
            copy(&pack, to)?;
            copy(&index, to)?;
            fs::remove_file(index)?;
            fs::remove_file(pack)?;
        }
    }
    Ok(())
}

/// Copies a file into a directory, whole or not at all.
fn copy(file: &Path, directory: &Path) -> io::Result<()> {
    let mut making = tempfile::Builder::new()
        .prefix("tmp_pack_")
        .tempfile_in(directory)?;
    io::copy(&mut File::open(file)?, &mut making)?;
    making.as_file().sync_all()?;
    making
        .as_file()
        .set_permissions(platform::permissions_of_an_object())?;
    making.persist(directory.join(file.file_name().unwrap_or_default()))?;
    Ok(())
}
