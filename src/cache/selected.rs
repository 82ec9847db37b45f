//! Finds the files of the codex that a project selects for its cache.

use std::collections::{BTreeMap, HashMap};

use bstr::{BStr, BString, ByteSlice};

use super::dir::split;
use super::open_cache::Cache;
use super::own_files::is_own_name;
use super::refusal::Refusal;
use super::request::{CacheOwner, Reason};
use crate::codex::objects::tree::{self, TreeError};
use crate::object::{Mode, ObjectId};
use crate::paths::{check_file_name, escaped, folded};
use crate::plan::Entry;
use crate::workspace::codex_selector::CodexSelector;
use crate::workspace::{Project, Workspace};

/// The selected entries of the codex.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    /// The files, by their path in the codex.
    pub files: BTreeMap<BString, Entry>,
    /// The entries that a cache cannot contain, with the reason.
    pub refused: Vec<(BString, Refusal)>,
    /// The symlinks and submodules, which are never pulled.
    pub not_files: Vec<(BString, Mode)>,
}

impl Selected {
    /// Finds the entries below the tree `root` that `selector` selects. Reads only directories that
    /// can contain one; `read` returns the bytes of a tree.
    pub(crate) fn find(
        selector: &CodexSelector,
        read: &dyn Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
        root: Option<ObjectId>,
    ) -> Result<Self, TreeError> {
        let mut selected = Self::default();
        let mut files = Vec::new();
        let mut pending: Vec<(BString, ObjectId)> = Vec::new();
        pending.extend(root.map(|root| (BString::default(), root)));

        while let Some((prefix, id)) = pending.pop() {
            for entry in tree::decode(&read(id)?).ok_or(TreeError::Damaged(id))? {
                let path = BString::from([prefix.as_slice(), &entry.name].concat());
                let is_directory = entry.mode == Mode::Directory;
                let is_selected = if is_directory {
                    selector.can_hold(&path)
                } else {
                    selector.selects(&path)
                };
                if !is_selected {
                    continue;
                }

                if let Err(reason) = check_file_name(&entry.name) {
                    let refusal = Refusal::name(reason.to_string());
                    selected.refused.push((path, refusal));
                } else if is_own_name(path.as_bstr()) {
                    let refusal = Refusal::name("the cache uses this name itself");
                    selected.refused.push((path, refusal));
                } else if is_directory {
                    pending.push((BString::from([path.as_slice(), b"/"].concat()), entry.id));
                } else if entry.mode.is_file() {
                    let file = Entry {
                        mode: entry.mode,
                        id: entry.id,
                    };
                    files.push((path, file));
                } else {
                    selected.not_files.push((path, entry.mode));
                }
            }
        }
        selected.files = files.into_iter().collect();
        selected.refuse_equal_names();
        selected.refused.sort();
        selected.not_files.sort();
        Ok(selected)
    }

    /// Refuses all but the first of several paths that a case-insensitive file system cannot
    /// distinguish. A file and a directory of the same name count as such paths.
    fn refuse_equal_names(&mut self) {
        let mut seen: HashMap<BString, &BString> = HashMap::with_capacity(self.files.len());
        let mut refused = Vec::new();
        // Files of one directory follow each other, and none of them has the name of a directory
        // above.
        let mut above: Option<(&BStr, Option<&BString>)> = None;
        for path in self.files.keys() {
            let (directory, _) = split(path.as_bstr());
            let of_directory = match above {
                Some((known, file)) if known == directory => file,
                _ => {
                    let ends = path.find_iter(b"/");
                    let mut files = ends.filter_map(|end| seen.get(&folded(&path[..end])));
                    let file = files.next().copied();
                    above = Some((directory, file));
                    file
                }
            };
            let name = folded(path);
            let first = of_directory.or_else(|| seen.get(&name).copied());
            match first {
                Some(first) => {
                    let reason = format!("`{}` has the same name", escaped(first));
                    refused.push((path.clone(), Refusal::name(reason)));
                }
                None => {
                    seen.insert(name, path);
                }
            }
        }
        for (path, reason) in refused {
            self.files.remove(&path);
            self.refused.push((path, reason));
        }
    }
}

/// Returns a message for each include of `project` that matched nothing at the last pull. There are
/// none if that is unknown: the cache cannot be read, or it was pulled from another remote or with
/// other patterns.
pub(crate) fn unmatched_at_last_pull(project: &Project, workspace: &Workspace) -> Vec<String> {
    let Ok(selector) = CodexSelector::new(project, workspace) else {
        return Vec::new();
    };
    let Ok(cache) = Cache::open_read_only(&project.cache_dir) else {
        return Vec::new();
    };
    let owner = CacheOwner {
        project: project.name.clone(),
        reason: Reason::Pulled,
    };
    let is_known = cache.manifest().owners.get(&owner).is_some_and(|request| {
        request.complete
            && request.digest == selector.digest()
            && request.remote == workspace.remote.url.to_string()
    });
    if !is_known {
        return Vec::new();
    }
    let files = cache.files_of(&owner);
    selector.unmatched(project, files.keys()).collect()
}
