//! Finds out where files of the codex come from, for `trace`: the commit that gave each its present
//! version and, if a sync made it, the project and the source revision.
//!
//! Every user with write access can write the trailers of a sync by hand. The values are therefore
//! only shown.

mod local_file;
mod source_file;
mod trace_error;
mod trace_target;

use std::collections::BTreeMap;

use bstr::{BStr, BString, ByteSlice};

use super::fetch::FetchError;
use super::fetch::missing_document::explain;
use super::remote_session::connect;
use super::request::SyncRequest;
use super::search_depths::search_depths;
use crate::codex::objects::commit::ParsedCommit;
use crate::codex::objects::commit_message::{RecordedChange, RecordedSyncs, SyncTrailers};
use crate::codex::objects::listing::list_all;
use crate::codex::objects::path_history::Origins;
use crate::codex::objects::tree::entry_at;
use crate::codex::source_repository::SourceRepositories;
use crate::codex::store::{Store, StoreError};
use crate::codex::temp_clone;
use crate::object::{Mode, ObjectId};
use crate::outcome::SyncError;
use crate::plan::Entry;
use crate::workspace::Workspace;
use crate::workspace::codex_selector::project_and_path;
use local_file::differs;
pub(crate) use source_file::TracedSource;
pub(crate) use trace_error::TraceError;
use trace_target::TargetFiles;
pub(crate) use trace_target::TraceTarget;

/// The result of a trace.
#[derive(Debug)]
pub(crate) struct TraceOutcome {
    /// The branch of the codex.
    pub branch: String,
    /// The tip of the branch; `None` if the branch has no commits.
    pub tip: Option<ObjectId>,
    /// The files in the order of the targets, each once.
    pub files: Vec<TracedFile>,
    /// The targets that could not be traced, as the user gave them, with the reason.
    pub failures: Vec<(String, TraceError)>,
}

/// A file of the codex, and where it comes from.
#[derive(Debug)]
pub(crate) struct TracedFile {
    /// The target that names the file, as the user gave it.
    pub name: String,
    /// The path in the codex.
    pub path: BString,
    /// The last commit that changed the file at this path: that of `contents`, or one that moved the
    /// file.
    pub last_change: (ObjectId, ParsedCommit),
    /// The commit that gave the file its present contents.
    pub contents: (ObjectId, ParsedCommit),
    /// The path in that commit.
    pub former_path: BString,
    /// What the commit of `contents` records, if a sync made it.
    pub published: Option<SyncTrailers>,
    /// The source file, if a sync published it and the configuration shows which one it is.
    pub source: Option<TracedSource>,
    /// Whether a file of this machine that a target names differs from the file of the codex; `None`
    /// if no target names one.
    pub local_differs: Option<bool>,
}

/// Traces files, with one search of the history for all of them.
pub(crate) fn trace(
    request: &SyncRequest<'_>,
    targets: &[TraceTarget],
) -> Result<TraceOutcome, SyncError> {
    temp_clone::sweep(&request.temporary);
    let mut session = connect(request, false, &[])?;
    let (_, tip) = session.clone_of_tip(request)?;
    let mut outcome = TraceOutcome {
        branch: session.branch().to_owned(),
        tip,
        files: Vec::new(),
        failures: Vec::new(),
    };
    let Some(tip) = tip else {
        let failures = targets.iter().map(|target| {
            let error = of_empty_codex(target);
            (target.name.clone(), error)
        });
        outcome.failures = failures.collect();
        return Ok(outcome);
    };

    let mut wanted = BTreeMap::new();
    let mut named: Vec<(&str, BString)> = Vec::new();
    let mut local_differs: BTreeMap<BString, bool> = BTreeMap::new();
    for target in targets {
        match find(target, session.store(), tip, request.workspace)? {
            Ok(found) => {
                for (path, entry) in found {
                    if let Some(file) = &target.local {
                        *local_differs.entry(path.clone()).or_default() |= differs(file, entry);
                    }
                    if wanted.insert(path.clone(), entry).is_none() {
                        named.push((&target.name, path));
                    }
                }
            }
            Err(error) => outcome.failures.push((target.name.clone(), error)),
        }
    }
    let origins = session.origins(request, 0, (&[tip], &wanted), search_depths())?;
    let repositories = SourceRepositories::default();
    for (name, path) in named {
        match traced(&origins, path.as_bstr(), request.workspace) {
            Some(mut file) => {
                file.name = name.to_owned();
                file.local_differs = local_differs.get(&file.path).copied();
                let is_moved = file.path != file.former_path;
                file.source = file.published.as_ref().and_then(|published| {
                    let place = (file.path.as_bstr(), is_moved);
                    TracedSource::find(place, published, request.workspace, &repositories)
                });
                outcome.files.push(file);
            }
            None => outcome
                .failures
                .push((name.to_owned(), TraceError::Cut { path })),
        }
    }
    Ok(outcome)
}

/// The error for a target if the codex has no commits.
fn of_empty_codex(target: &TraceTarget) -> TraceError {
    let missing = || {
        TraceError::Missing(FetchError::NotFound {
            uri: target.name.clone(),
            close: None,
            directory: BString::default(),
            count: 0,
            names: Vec::new(),
        })
    };
    match &target.files {
        TargetFiles::Paths(_, Some(error)) => error.clone(),
        TargetFiles::Paths(_, None) | TargetFiles::Uri(_) => missing(),
    }
}

/// The files that a target means, at the tip.
fn find(
    target: &TraceTarget,
    store: &Store,
    tip: ObjectId,
    workspace: &Workspace,
) -> Result<Result<Vec<(BString, Entry)>, TraceError>, SyncError> {
    let read = |id| store.read_tree(id);
    let root = store.root_tree(tip).map_err(StoreError::from)?;
    let (paths, error) = match &target.files {
        TargetFiles::Uri(uri) => match uri.path() {
            Some(path) => (vec![path.as_bstr().to_owned()], None),
            None => {
                let listing = list_all(&read, root).map_err(StoreError::from)?;
                let named = listing.entries.iter();
                let named = named.filter(|(path, _)| uri.names(path.as_bstr()));
                let found: Vec<_> = named.map(|(path, one)| (path.clone(), *one)).collect();
                let uri = target.name.clone();
                return Ok(match found.is_empty() {
                    true => Err(TraceError::Missing(FetchError::NoMatch { uri })),
                    false => Ok(found),
                });
            }
        },
        TargetFiles::Paths(paths, error) => (paths.clone(), error.clone()),
    };

    let mut found = Vec::new();
    for path in &paths {
        let entry = entry_at(&read, root, path.as_bstr()).map_err(StoreError::from)?;
        let file = entry.filter(|(mode, _)| *mode != Mode::Directory);
        found.extend(file.map(|(mode, id)| (path.clone(), Entry { mode, id })));
    }
    if !found.is_empty() {
        return Ok(Ok(found));
    }
    let error = match (error, paths.first()) {
        (Some(error), _) => error,
        (None, Some(path)) => {
            let explained = explain(&target.name, path.as_bstr(), &read, root, workspace);
            match explained.map_err(StoreError::from)? {
                FetchError::Directory { uri } => TraceError::Directory { name: uri },
                missing => TraceError::Missing(missing),
            }
        }
        (None, None) => unreachable!("a target without paths has an error"),
    };
    Ok(Err(error))
}

/// What the history says about a file; `None` if it does not show the file's origin.
fn traced(origins: &Origins, path: &BStr, workspace: &Workspace) -> Option<TracedFile> {
    let owned = |(id, commit): (ObjectId, &ParsedCommit)| (id, commit.clone());
    let contents = origins.of(path)?;
    let former_path = origins.path_of(path)?.clone();
    let last_change = origins.moves_of(path).next().unwrap_or(contents);
    Some(TracedFile {
        name: String::new(),
        path: path.to_owned(),
        last_change: owned(last_change),
        published: publisher(&contents.1.message, former_path.as_bstr(), workspace),
        contents: owned(contents),
        former_path,
        source: None,
        local_differs: None,
    })
}

/// The project that published a file at `path`, as the message of the commit records it. If the commit
/// combines several syncs, the directory decides.
fn publisher(message: &str, path: &BStr, workspace: &Workspace) -> Option<SyncTrailers> {
    let published = |one: &SyncTrailers| !matches!(one.change, RecordedChange::Retired { .. });
    let mut syncs = RecordedSyncs::parse(message).syncs;
    syncs.retain(published);
    let owner = project_and_path(path, workspace).map(|(project, _)| project);
    let is_owner = |one: &SyncTrailers| Some(&one.project) == owner.as_ref();
    match syncs.iter().position(is_owner) {
        Some(at) => Some(syncs.swap_remove(at)),
        None if syncs.len() == 1 => syncs.pop(),
        None => None,
    }
}
