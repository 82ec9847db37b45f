//! When each project was last published, for a page that tells it: commits are fetched, and nothing but commits.

use std::collections::BTreeMap;

use super::SyncRequest;
use super::opened::look;
use crate::codex::history::{self, LastSync};
use crate::codex::store::Store;
use crate::codex::transport::Depth;
use crate::outcome::SyncError;

/// How far back is looked, one after the other, until every project was found.
const DEPTHS: [Depth; 3] = [Depth(64), Depth(1024), Depth(16_384)];

/// The last sync of the chosen projects, by name. One that is not there was not published within the last 16,384 commits,
/// or its commits do not say for whom they are (`commit.trailers: false`).
pub fn last_syncs(request: &SyncRequest<'_>) -> Result<BTreeMap<String, LastSync>, SyncError> {
    let opened = look(request)?;
    let Some(tip) = opened.tip else { return Ok(BTreeMap::new()) };
    let store = Store::create(&request.temporary)?;
    store.set_remote(&request.workspace.remote.url.for_git())?;
    let mut found = BTreeMap::new();
    for depth in DEPTHS {
        request.interrupt.check()?;
        opened.transport.fetch_history(&store, &opened.branch, depth)?;
        let (known, commits) = history::last_syncs(&store, store.tip().unwrap_or(tip));
        found = known;
        let all = request.projects.iter().all(|project| found.contains_key(project.name.as_str()));
        if all || commits < depth.0 as usize {
            break;
        }
    }
    Ok(found)
}
