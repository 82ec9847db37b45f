//! Reads a local repository in place: its refs, and its objects as an alternate of the clone.
//!
//! Reading is safe without git: it runs no hook and writes nothing. It saves the start of `git
//! upload-pack` for each list of refs, and a fetch altogether. A push always goes through `git
//! receive-pack`, which runs the hooks, checks the objects in quarantine and writes with the
//! permissions of the repository.
//!
//! If git would not show the refs or objects as they are on disk, the repository is read through
//! git: [`LocalRepository::open`] and [`LocalRepository::refs`] return `None`.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Reference, Repository};

use crate::codex::git_config::Settings;
use crate::codex::loose_objects::LooseObjects;
use crate::codex::remote::refs::Refs;
use crate::codex::store::{Store, id_of};
use crate::object::ObjectId;

/// Settings that hide refs, or that make git fetch missing objects. Keys as git prints them.
const HIDING: [&str; 3] = [
    "transfer.hiderefs",
    "uploadpack.hiderefs",
    "extensions.partialclone",
];

/// An open repository.
pub(super) struct LocalRepository {
    repository: Repository,
    loose: LooseObjects,
}

impl LocalRepository {
    /// Opens the repository at `path`; `None` if it must be read through git. libgit2 checks the
    /// owner as git does, and supports neither SHA-256 nor reftable.
    pub(super) fn open(path: &Path, settings: &Settings) -> Option<Self> {
        let opened = Repository::open(path);
        let repository = opened
            .inspect_err(|error| tracing::debug!(%error, "the repository is read through git"))
            .ok()?;
        let hides = HIDING.iter().any(|key| settings.get(key).is_some())
            || has_special_settings(&repository)?;
        let has_grafts = repository.commondir().join("info/grafts").exists();
        let is_whole = !hides && !has_grafts && !repository.is_shallow();
        is_whole.then(|| Self {
            loose: LooseObjects::open(&repository.commondir().join("objects")),
            repository,
        })
    }

    /// HEAD and the refs with these prefixes, as `ls-refs` lists them. A prefix is the name of a
    /// ref, or ends with `/`.
    pub(super) fn refs(&self, prefixes: &[String]) -> Option<Refs> {
        let listed = prefixes.iter().try_fold(Vec::new(), |mut refs, prefix| {
            match prefix.strip_suffix('/') {
                Some(_) => {
                    for reference in self.repository.references_glob(&format!("{prefix}*"))? {
                        self.add(reference?, &mut refs)?;
                    }
                }
                None => match self.repository.find_reference(prefix) {
                    Ok(reference) => self.add(reference, &mut refs)?,
                    Err(error) if error.code() == ErrorCode::NotFound => {}
                    Err(error) => return Err(error),
                },
            }
            Ok(refs)
        });
        listed
            .inspect_err(|error: &git2::Error| {
                tracing::debug!(%error, "the refs are read through git");
            })
            .ok()
    }

    /// Adds a ref with its value. A symbolic ref without an existing target is omitted, as in git.
    fn add(&self, reference: Reference<'_>, refs: &mut Refs) -> Result<(), git2::Error> {
        let name = reference.name()?.to_owned();
        let target = reference.symbolic_target()?.map(str::to_owned);
        let id = match reference.resolve() {
            Ok(resolved) => resolved.target(),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(id) = id else { return Ok(()) };
        // git omits a ref to a missing object and prints a warning.
        match self.loose.header(id_of(id)) {
            Ok(Some(_)) => {}
            Ok(None) => drop(self.repository.odb()?.read_header(id)?),
            Err(error) => return Err(git2::Error::from_str(&error.to_string())),
        }
        refs.extend(target.map(|target| (name.clone(), format!("ref: {target}"))));
        refs.push((name, id.to_string()));
        Ok(())
    }

    /// Makes the objects of the repository available in `store`, and returns whether it contains
    /// `tip` now.
    pub(super) fn lend(&self, store: &Store, tip: ObjectId) -> bool {
        let lent = store.read_through(&self.objects());
        lent.inspect_err(|error| tracing::debug!(%error, "the objects are read through git"))
            .is_ok_and(|()| store.read_commit(tip).is_some())
    }

    fn objects(&self) -> PathBuf {
        self.repository.commondir().join("objects")
    }
}

/// Whether the settings of the repository hide refs or omit objects; `None` if they cannot be read.
fn has_special_settings(repository: &Repository) -> Option<bool> {
    let config = repository.config().ok()?;
    let entries = config.entries(None).ok()?;
    let mut is_special = false;
    let listed = entries.for_each(|entry| {
        let name = entry.name().unwrap_or_default();
        let is_promisor = name.starts_with("remote.") && name.ends_with(".promisor");
        is_special |= is_promisor || HIDING.contains(&name);
    });
    listed.ok().map(|()| is_special)
}
