//! Searches the commits of a branch, and fetches only as many of them as the search needs.

use std::ops::ControlFlow;

use super::repeater::Repeater;
use super::request::SyncRequest;
use crate::codex::remote::{Depth, Transport};
use crate::codex::store::Store;
use crate::interrupt::OnSignal;
use crate::object::ObjectId;
use crate::outcome::SyncError;

/// Fetches the commits of `branch` in steps of `depths`, without trees if the server can leave them
/// out, until `search` breaks. `search` is called with the clone, the tip and the depth after each
/// step. Returns the clone and the last result of `search`.
pub(super) fn search_commits<T>(
    request: &SyncRequest<'_>,
    transport: &dyn Transport,
    branch: &str,
    depths: impl IntoIterator<Item = u32>,
    mut search: impl FnMut(&Store, ObjectId, u32) -> ControlFlow<T, T>,
) -> Result<(Store, T), SyncError> {
    let store = Store::create(&request.temporary)?.of_commits_alone();
    let repeater = Repeater::new(&request.workspace.remote.timeout);
    let mut last = None;
    for depth in depths {
        let tips = repeater.run(Some(&request.interrupt), || {
            transport.fetch(&store, &[branch], Depth(depth), OnSignal::Stop)
        })?;
        match search(&store, tips[0], depth) {
            ControlFlow::Break(found) => return Ok((store, found)),
            ControlFlow::Continue(found) => last = Some(found),
        }
    }
    match last {
        Some(found) => Ok((store, found)),
        None => unreachable!("there is at least one depth"),
    }
}
