//! Searches the text of documents of the codex.
//!
//! Contents are read from the local caches. Those that no cache has are fetched only if they are few
//! and their names show that they are text, because the size of a document is not known before it
//! was fetched.

use std::collections::BTreeSet;

use bstr::{BStr, BString, ByteSlice};
use rayon::prelude::*;
use regex::bytes::Regex;

use super::listing::{NamedFiles, TipOfBranch, with_named};
use crate::outcome::SyncError;
use crate::sync::SyncRequest;
use crate::workspace::document_uri::DocumentUri;

/// The greatest number of documents that one search fetches.
const MAX_FETCHED: usize = 200;
/// The number of documents that are searched before the search can stop.
const BATCH: usize = 256;

/// The text to find, and the part of the matching lines to return.
pub(crate) struct TextSearch<'s> {
    pub pattern: &'s Regex,
    /// The number of matching lines to skip.
    pub offset: usize,
    /// The greatest number of matching lines to return.
    pub limit: usize,
    /// Whether the name of a document shows that it is text.
    pub is_text: fn(&BStr) -> bool,
}

/// The result of a search.
pub(crate) struct FoundText {
    /// The branch and the tip that have the documents.
    pub tip: TipOfBranch,
    /// The matching lines, in the order of the documents' paths.
    pub lines: Vec<FoundLine>,
    /// Whether there are more lines.
    pub has_more: bool,
    /// The number of documents that were searched, which are not all if there are more lines.
    pub searched: usize,
    /// The documents that were not searched, because no cache has this version of them and they were
    /// not fetched.
    pub unsearched: Vec<BString>,
}

/// A line that matches.
pub(crate) struct FoundLine {
    /// The path of the document in the codex.
    pub path: BString,
    /// The number of the line, from 1.
    pub number: usize,
    /// The line, without its end.
    pub line: BString,
}

/// Searches the documents that `uri` names. With `request.offline`, only the caches are read.
pub(crate) fn search(
    request: &SyncRequest<'_>,
    uri: &DocumentUri,
    search: &TextSearch<'_>,
) -> Result<FoundText, SyncError> {
    let (tip, mut found) = with_named(request, uri, |named| {
        search_documents(request, named, search)
    })?;
    found.tip = tip;
    Ok(found)
}

fn search_documents(
    request: &SyncRequest<'_>,
    named: NamedFiles<'_, '_>,
    search: &TextSearch<'_>,
) -> Result<FoundText, SyncError> {
    let NamedFiles {
        files,
        cache,
        remote,
    } = named;
    let is_cached = |path: &BString| cache.has(path.as_bstr(), files[path].id);
    let mut unsearched: BTreeSet<_> = files.keys().filter(|path| !is_cached(path)).collect();
    let readable: BTreeSet<_> = unsearched
        .iter()
        .copied()
        .filter(|path| (search.is_text)(path.as_bstr()))
        .collect();

    let mut fetched = None;
    if let Some(remote) = remote
        && !readable.is_empty()
        && readable.len() <= MAX_FETCHED
    {
        let ids = readable.iter().map(|path| files[*path].id).collect();
        fetched = Some(remote.contents(&ids)?);
        unsearched.retain(|path| !readable.contains(path));
    }

    let read = |path: &BString| match &fetched {
        Some(fetched) if readable.contains(path) => fetched.read(files[path].id).map(Some),
        _ => Ok(cache.contents(path.as_bstr(), files[path].id)),
    };
    let searchable: Vec<_> = files
        .keys()
        .filter(|path| !unsearched.contains(path))
        .collect();
    let mut page = PageOfLines::new(search);
    let mut searched = 0;
    for batch in searchable.chunks(BATCH) {
        request.interrupt.check()?;
        let found: Result<Vec<_>, SyncError> = batch
            .par_iter()
            .map(|path| Ok(read(path)?.map(|contents| page.matching(path, &contents))))
            .collect();
        for (path, lines) in batch.iter().zip(found?) {
            match lines {
                Some(lines) => {
                    searched += 1;
                    page.add(lines);
                }
                // It was modified locally.
                None => {
                    unsearched.insert(path);
                }
            }
        }
        if page.has_more {
            break;
        }
    }
    Ok(FoundText {
        tip: TipOfBranch::default(),
        has_more: page.has_more,
        lines: page.lines,
        searched,
        unsearched: unsearched.into_iter().cloned().collect(),
    })
}

/// The matching lines from `offset` on, up to `limit`.
struct PageOfLines<'s> {
    search: &'s TextSearch<'s>,
    skipped: usize,
    lines: Vec<FoundLine>,
    has_more: bool,
}

impl<'s> PageOfLines<'s> {
    fn new(search: &'s TextSearch<'s>) -> Self {
        Self {
            search,
            skipped: 0,
            lines: Vec::new(),
            has_more: false,
        }
    }

    /// The matching lines of a document, unless it is binary; no more than can be needed.
    fn matching(&self, path: &BString, contents: &[u8]) -> Vec<FoundLine> {
        if contents.contains(&0) {
            return Vec::new();
        }
        let lines = contents.lines().enumerate();
        let matching = lines.filter(|(_, line)| self.search.pattern.is_match(line));
        let needed = (self.search.offset - self.skipped) + self.search.limit + 1;
        matching
            .take(needed)
            .map(|(index, line)| FoundLine {
                path: path.clone(),
                number: index + 1,
                line: line.into(),
            })
            .collect()
    }

    /// Adds the lines of the next document.
    fn add(&mut self, lines: Vec<FoundLine>) {
        for line in lines {
            if self.skipped < self.search.offset {
                self.skipped += 1;
            } else if self.lines.len() < self.search.limit {
                self.lines.push(line);
            } else {
                self.has_more = true;
            }
        }
    }
}
