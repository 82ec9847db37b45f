//! The local cache: files of the codex in a directory of the workspace, at the paths that they have
//! in the codex.
//!
//! What it guarantees:
//!
//! - Each file is written completely under another name and then renamed; the manifest is written last.
//! - One run at a time changes a cache; other runs wait.
//! - Nothing is written outside the directory or through a link in it.
//! - Only files that the cache itself wrote are replaced or removed, and files that a repository has in its
//!   commit with the same contents. A file that was modified locally is kept and reported, unless `force` is set.
//!
//! All files and directories get the permissions that the user's umask leaves, so that a group can
//! share a cache.
//!
//! A run makes a [`CacheRequest`] per project, [plans](Cache::plan) all requests of one cache together,
//! and then either [applies](Cache::apply) the plan or, in a dry run, [simulates](Cache::simulate)
//! it.

mod apply;
mod cache_plan;
mod dir;
mod error;
mod implied_trees;
mod manifest;
mod open_cache;
mod overlay;
mod own_files;
mod refusal;
mod request;
pub(crate) mod selected;
mod simulate;
mod wanted_files;

pub(crate) use cache_plan::CachePlan;
pub use error::CacheError;
pub(crate) use manifest::{Cached, Manifest};
pub(crate) use open_cache::{Cache, Condition};
pub(crate) use own_files::CONTROL;
pub use refusal::{Refusal, RefusalKind};
pub(crate) use request::{
    CacheOwner, CacheRequest, KeepReason, Reason, RequestRecord, RequestResult,
};

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};
    use std::path::Path;

    use super::*;
    use crate::interrupt::Interrupt;
    use crate::object::{Kind, Mode, hash};
    use crate::plan::Entry;

    fn request(project: &str, path: &str, contents: &str) -> CacheRequest {
        let id = hash(Kind::Blob, contents.as_bytes());
        let entry = Entry {
            mode: Mode::File,
            id,
        };
        CacheRequest {
            owner: CacheOwner {
                project: project.parse().unwrap(),
                reason: Reason::Pulled,
            },
            record: RequestRecord {
                remote: String::new(),
                branch: String::new(),
                tip: None,
                digest: id,
                complete: true,
                time: 0,
            },
            files: [(path.into(), entry)].into(),
            kept: BTreeSet::new(),
            removes_owner: false,
        }
    }

    fn open(directory: &Path) -> Cache {
        Cache::open(directory, &Interrupt::default(), || {}).unwrap()
    }

    fn sync(directory: &Path, request: CacheRequest, contents: &str) {
        let mut cache = open(directory);
        let plan = cache.plan(vec![request], false, &|_| HashSet::new());
        let contents = |_: &_| Ok(contents.into());
        cache.apply(plan.unwrap(), |_| (), contents).unwrap();
    }

    #[test]
    fn manifest_that_another_run_wrote_meanwhile_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for (project, is_first) in [("a", true), ("b", false)] {
            let earlier = Cache::open_read_only(path).unwrap();
            assert_eq!(earlier.manifest().files.is_empty(), is_first);
            let file = format!("{project}.md");
            sync(path, request(project, &file, project), project);
            let cache = earlier.reopen(&Interrupt::default(), || {}).unwrap();
            assert!(cache.manifest().files.contains_key(file.as_bytes()));
        }
        let earlier = Cache::open_read_only(path).unwrap();
        let files = earlier.manifest().files.clone();
        let cache = earlier.reopen(&Interrupt::default(), || {}).unwrap();
        assert_eq!(cache.manifest().files, files);
    }

    #[test]
    fn pending_writes_of_a_killed_run_are_known_until_the_next_request_of_their_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        sync(path, request("a", "a.md", "one"), "one");

        // A run that is killed after it wrote the file and before it wrote the manifest.
        let cache = open(path);
        let plan = cache.plan(vec![request("a", "a.md", "two")], false, &|_| {
            HashSet::new()
        });
        cache.record_pending_writes(&plan.unwrap()).unwrap();
        std::fs::write(path.join("a.md"), "two").unwrap();
        drop(cache);

        sync(path, request("b", "b.md", "b"), "b");
        assert_eq!(open(path).verify().unwrap(), []);
        sync(path, request("a", "a.md", "three"), "three");
        let contents = std::fs::read(path.join("a.md")).unwrap();
        assert_eq!(contents, b"three");
    }
}
