//! Fetches single documents of the codex by their URIs, for `fetch`, and lists and searches
//! documents, for `mcp`.
//!
//! A document comes from a local cache if that has it from the current tip of the codex. Otherwise
//! the trees on the way to it are fetched, and its contents. Nothing is written to the cache.

mod cached_documents;
mod codex_document;
mod fetch_error;
#[cfg(feature = "mcp")]
pub(crate) mod listing;
pub(super) mod missing_document;
mod remote_documents;
#[cfg(feature = "mcp")]
pub(crate) mod text_search;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bstr::{BString, ByteSlice};

use super::remote_session::find_branches;
use super::request::SyncRequest;
use crate::codex::source_revision::SourceRevision;
use crate::codex::store::Contents;
use crate::codex::temp_clone;
use crate::object::{Mode, ObjectId};
use crate::outcome::{SyncError, Warning};
use crate::paths::escaped;
use crate::plan::Entry;
use crate::workspace::codex_selector::project_and_path;
use crate::workspace::document_uri::DocumentUri;
use cached_documents::{CachedDocuments, Currency};
pub(crate) use codex_document::{CodexDocument, ReadFrom};
pub(crate) use fetch_error::{CopyFault, FetchError};
use remote_documents::RemoteDocuments;

/// How the local caches are used.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CacheUse {
    /// Not at all.
    Bypass,
    /// For a document that was synced no longer ago than this, and for those from the current tip.
    UpTo(Duration),
}

/// The result of a fetch.
#[derive(Debug, Default)]
pub(crate) struct FetchOutcome {
    /// The branch of the codex; `None` if the remote was not queried.
    pub branch: Option<String>,
    /// The tip of the branch; `None` if the remote was not queried, or has no commits.
    pub tip: Option<ObjectId>,
    /// The documents in the order of the URIs, each once.
    pub documents: Vec<CodexDocument>,
    /// The URIs without a document, with the reason.
    pub failures: Vec<(String, FetchError)>,
    /// Problems that did not stop the fetch.
    pub warnings: Vec<Warning>,
}

/// The documents of one URI, or the reason why there are none.
type Answer = Result<Vec<CodexDocument>, FetchError>;

/// Fetches the documents that `uris` name. With `request.offline`, only the caches are read.
pub(crate) fn fetch(
    request: &SyncRequest<'_>,
    uris: &[DocumentUri],
    cache_use: CacheUse,
) -> Result<FetchOutcome, SyncError> {
    let mut cache = match cache_use {
        CacheUse::Bypass => CachedDocuments::default(),
        CacheUse::UpTo(_) => CachedDocuments::open(request),
    };
    let mut outcome = FetchOutcome::default();
    if request.offline {
        cache.check()?;
        let warnings = &mut outcome.warnings;
        let answers = uris.iter();
        let answers = answers.map(|uri| answer_offline(request, &cache, uri, warnings));
        let answers: Vec<_> = answers.collect();
        outcome.add(uris.iter().zip(answers));
        return Ok(outcome);
    }

    let mut answers: Vec<Option<Answer>> = vec![None; uris.len()];
    let young = match cache_use {
        CacheUse::UpTo(ttl) if !ttl.is_zero() => {
            let age = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
            Some(Currency::Since(request.now.saturating_sub(age)))
        }
        _ => None,
    };
    if let Some(young) = young {
        answer_from_cache(&cache, uris, &mut answers, young);
    }
    if answers.iter().any(Option::is_none) {
        ask_remote(request, uris, &mut cache, &mut answers, &mut outcome)?;
    }
    let answers = answers.into_iter().flatten();
    outcome.add(uris.iter().zip(answers));
    Ok(outcome)
}

/// Answers a URI from the caches alone. Copies that a glob names and that are not returned are
/// warnings.
fn answer_offline(
    request: &SyncRequest<'_>,
    cache: &CachedDocuments,
    uri: &DocumentUri,
    warnings: &mut Vec<Warning>,
) -> Answer {
    let (documents, unusable) = cache.matching(uri);
    let text = uri.as_str().to_owned();
    if uri.path().is_some() {
        return match (documents.is_empty(), unusable.first()) {
            (false, _) => Ok(documents),
            (true, Some((_, fault))) => Err(FetchError::UnusableCopy {
                uri: text,
                fault: *fault,
            }),
            (true, None) => Err(FetchError::NotCached { uri: text }),
        };
    }
    for (path, fault) in unusable {
        let message = format!("skipped `{}`: it {fault}", escaped(&path));
        request.warn(warnings, None, message);
    }
    match documents.is_empty() {
        true => Err(FetchError::NotCached { uri: text }),
        false => Ok(documents),
    }
}

/// Answers the URIs of single documents for which the cache has a version that is `current`.
fn answer_from_cache(
    cache: &CachedDocuments,
    uris: &[DocumentUri],
    answers: &mut [Option<Answer>],
    current: Currency,
) {
    for (uri, answer) in uris.iter().zip(answers) {
        if answer.is_none() {
            *answer = cache.document(uri, current).map(|found| Ok(vec![found]));
        }
    }
}

/// Queries the tip, and answers all URIs that have no answer yet.
fn ask_remote(
    request: &SyncRequest<'_>,
    uris: &[DocumentUri],
    cache: &mut CachedDocuments,
    answers: &mut [Option<Answer>],
    outcome: &mut FetchOutcome,
) -> Result<(), SyncError> {
    temp_clone::sweep(&request.temporary);
    let transport = request.connection()?;
    let refs = find_branches(request, &*transport, false, &[])?;
    outcome.branch = Some(refs.branch.clone());
    outcome.tip = refs.tip;
    cache.set_branch(&refs.branch);
    if let Some(tip) = refs.tip {
        answer_from_cache(cache, uris, answers, Currency::Tip(tip));
    }

    let open = uris.iter().zip(answers).filter(|(_, one)| one.is_none());
    let (open, slots): (Vec<_>, Vec<_>) = open.unzip();
    if open.is_empty() {
        return Ok(());
    }
    let answers = if refs.tip.is_none() {
        let answers = open.iter().map(|uri| Err(of_empty_codex(uri)));
        answers.collect()
    } else {
        let mut remote = RemoteDocuments::fetch(request, &*transport, &refs.branch)?;
        let answers = answer_from_remote(request, &open, cache, &mut remote, outcome)?;
        outcome.tip = Some(remote.tip);
        answers
    };
    for (slot, answer) in slots.into_iter().zip(answers) {
        *slot = Some(answer);
    }
    Ok(())
}

/// A codex without commits has no documents.
fn of_empty_codex(uri: &DocumentUri) -> FetchError {
    let text = uri.as_str().to_owned();
    match uri.path() {
        Some(_) => FetchError::NotFound {
            uri: text,
            close: None,
            directory: BString::default(),
            count: 0,
            names: Vec::new(),
        },
        None => FetchError::NoMatch { uri: text },
    }
}

/// Finds the documents of `uris` at the tip, reads those that a cache has with the same id, and
/// fetches the contents of the others in one request.
fn answer_from_remote(
    request: &SyncRequest<'_>,
    uris: &[&DocumentUri],
    cache: &CachedDocuments,
    remote: &mut RemoteDocuments<'_>,
    outcome: &mut FetchOutcome,
) -> Result<Vec<Answer>, SyncError> {
    let found = remote.find(uris)?;
    let warnings = &mut outcome.warnings;
    for path in &found.unusable {
        let message = format!("skipped `{}`: no file can have that name", escaped(path));
        request.warn(warnings, None, message);
    }

    let mut cached = BTreeMap::new();
    for (path, entry) in &found.entries {
        let contents = cache.contents(path.as_bstr(), entry.id);
        cached.extend(contents.map(|contents| (path.clone(), contents)));
    }
    let wanted = found.entries.iter();
    let wanted = wanted
        .filter(|(path, entry)| entry.mode != Mode::Submodule && !cached.contains_key(*path))
        .map(|(_, entry)| entry.id);
    let contents = remote.contents(&wanted.collect())?;

    let projects: Vec<_> = found.entries.keys().collect();
    let project_of = |path: &BString| project_and_path(path.as_bstr(), request.workspace);
    let names: BTreeSet<_> = projects
        .into_iter()
        .filter_map(|path| Some(project_of(path)?.0))
        .collect();
    let sources = remote.sources(&names.iter().map(String::as_str).collect());
    let documents = DocumentReader {
        cached,
        contents,
        tip: remote.tip,
        source_of: &|path| sources.get(&project_of(path)?.0).cloned(),
    };

    let mut answers = Vec::new();
    for uri in uris {
        answers.push(match uri.path() {
            Some(path) => match found.entries.get(path.as_bstr()) {
                Some(entry) => documents.single(uri, path.as_bstr().into(), *entry)?,
                None => Err(remote.explain(uri, path.as_bstr())?),
            },
            None => {
                let entries = found.entries.iter();
                let named = entries.filter(|(path, _)| uri.names(path.as_bstr()));
                let (files, others): (Vec<_>, Vec<_>) =
                    named.partition(|(_, entry)| entry.mode.is_file());
                for (path, _) in others {
                    let path = escaped(path);
                    let message = format!("skipped `{path}`: it is a symlink or a submodule");
                    request.warn(warnings, None, message);
                }
                documents.several(uri, &files)?
            }
        });
    }
    Ok(answers)
}

/// Makes documents of the entries that were found.
struct DocumentReader<'d> {
    /// The contents that were read in caches, by path.
    cached: BTreeMap<BString, Vec<u8>>,
    contents: Contents,
    tip: ObjectId,
    source_of: &'d dyn Fn(&BString) -> Option<SourceRevision>,
}

impl DocumentReader<'_> {
    fn read(&self, path: &BString, entry: Entry) -> Result<CodexDocument, SyncError> {
        let (contents, origin) = match self.cached.get(path) {
            Some(contents) => (contents.clone(), ReadFrom::Cache),
            None => (self.contents.read(entry.id)?, ReadFrom::Remote),
        };
        Ok(CodexDocument {
            path: path.clone(),
            entry,
            contents,
            origin,
            tip: Some(self.tip),
            source: (self.source_of)(path),
        })
    }

    /// The answer to the URI of one document.
    fn single(&self, uri: &DocumentUri, path: BString, entry: Entry) -> Result<Answer, SyncError> {
        let text = uri.as_str().to_owned();
        Ok(match entry.mode {
            Mode::File | Mode::Executable => Ok(vec![self.read(&path, entry)?]),
            Mode::Link => Err(FetchError::Link {
                uri: text,
                target: self.contents.read(entry.id)?.into(),
            }),
            Mode::Submodule | Mode::Directory => Err(FetchError::Submodule { uri: text }),
        })
    }

    /// The answer to a glob that matches these files.
    fn several(
        &self,
        uri: &DocumentUri,
        files: &[(&BString, &Entry)],
    ) -> Result<Answer, SyncError> {
        if files.is_empty() {
            let uri = uri.as_str().to_owned();
            return Ok(Err(FetchError::NoMatch { uri }));
        }
        let documents = files.iter().map(|(path, entry)| self.read(path, **entry));
        Ok(Ok(documents.collect::<Result<_, _>>()?))
    }
}

impl FetchOutcome {
    /// Adds the answers, without documents that an earlier URI has named.
    fn add<'u>(&mut self, answers: impl Iterator<Item = (&'u DocumentUri, Answer)>) {
        let mut seen = BTreeSet::new();
        for (uri, answer) in answers {
            match answer {
                Ok(documents) => {
                    let new = documents.into_iter();
                    let new = new.filter(|document| seen.insert(document.path.clone()));
                    self.documents.extend(new);
                }
                Err(error) => self.failures.push((uri.as_str().to_owned(), error)),
            }
        }
    }
}
