//! The reason why the codex has no document at a path, and the document that was probably meant.

use bstr::{BStr, BString, ByteSlice};

use super::fetch_error::FetchError;
use crate::codex::objects::tree::{self, TreeEntry, TreeError};
use crate::config::problem::closest;
use crate::object::{Mode, ObjectId};
use crate::paths::join_below;
use crate::workspace::Workspace;
use crate::workspace::document_uri::uri_at;

/// The maximum number of names that are listed.
const MAX_NAMES: usize = 10;

/// Finds the first segment of `path`, which the user has written as `name`, that does not exist below the tree `root`. `read` returns the
/// bytes of a tree; all directories above that segment must have been fetched.
pub(in crate::sync) fn explain(
    name: &str,
    path: &BStr,
    read: &dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
    root: ObjectId,
    workspace: &Workspace,
) -> Result<FetchError, TreeError> {
    let segments: Vec<&[u8]> = path.split_str("/").collect();
    let mut directory = BString::default();
    let mut id = root;
    for (depth, segment) in segments.iter().enumerate() {
        let entries = tree::decode(&read(id)?).ok_or(TreeError::Damaged(id))?;
        let is_last = depth + 1 == segments.len();
        match entries.iter().find(|entry| entry.name == *segment) {
            Some(entry) if entry.mode == Mode::Directory => {
                if is_last {
                    let uri = name.to_owned();
                    return Ok(FetchError::Directory { uri });
                }
                id = entry.id;
                directory = join_below(directory.as_bstr(), segment.as_bstr());
            }
            // Below a file there is nothing, and a file itself would have been found.
            Some(_) => break,
            None => {
                let close = closest_name(segment, &entries, is_last).map(|name| {
                    let mut path = join_below(directory.as_bstr(), name);
                    for rest in &segments[depth + 1..] {
                        path = join_below(path.as_bstr(), rest.as_bstr());
                    }
                    path
                });
                let close = close.and_then(|path| uri_at(path.as_bstr(), workspace));
                let names = entries.iter().map(|entry| entry.name.clone());
                return Ok(FetchError::NotFound {
                    uri: name.to_owned(),
                    close,
                    directory,
                    count: entries.len(),
                    names: names.take(MAX_NAMES).collect(),
                });
            }
        }
    }
    Ok(FetchError::NotFound {
        uri: name.to_owned(),
        close: None,
        directory,
        count: 0,
        names: Vec::new(),
    })
}

/// The name in a directory that is closest to the missing one: a file in place of the last segment,
/// a directory in place of any other one.
fn closest_name<'e>(missing: &[u8], entries: &'e [TreeEntry], is_file: bool) -> Option<&'e BStr> {
    let missing = missing.to_str().ok()?;
    let candidates = entries
        .iter()
        .filter(|entry| entry.mode.is_file() == is_file)
        .filter_map(|entry| entry.name.to_str().ok());
    closest(missing, candidates).map(BStr::new)
}
