//! The files that several requests want, by path. A plan and the manifest both look at every path of
//! a cache in order, so that no path is searched for.

use std::collections::BTreeMap;

use bstr::{BStr, BString, ByteSlice};

use super::request::{CacheOwner, CacheRequest};
use crate::plan::Entry;

/// The files of all requests, sorted by path and then by request.
pub(super) struct WantedFiles<'r> {
    requests: &'r [CacheRequest],
    /// The numbers of the requests, by their owners.
    by_owner: BTreeMap<&'r CacheOwner, usize>,
    files: Vec<WantedFile<'r>>,
}

/// A file of one request.
#[derive(Clone, Copy)]
pub(super) struct WantedFile<'r> {
    pub(super) path: &'r BStr,
    /// The number of the request.
    pub(super) request: usize,
    pub(super) entry: Entry,
}

impl<'r> WantedFiles<'r> {
    pub(super) fn new(requests: &'r [CacheRequest]) -> Self {
        let numbered = || requests.iter().enumerate();
        let mut files = Vec::with_capacity(requests.iter().map(|one| one.files.len()).sum());
        files.extend(numbered().flat_map(|(request, of_request)| {
            let files = of_request.files.iter();
            files.map(move |(path, entry)| WantedFile {
                path: path.as_bstr(),
                request,
                entry: *entry,
            })
        }));
        // The sort is stable, and the files of each request are sorted already.
        files.sort_by_key(|file: &WantedFile<'_>| file.path);
        Self {
            requests,
            by_owner: numbered()
                .map(|(number, request)| (&request.owner, number))
                .collect(),
            files,
        }
    }

    /// The wanted files of each path, in the order of the paths. The first request of a path decides
    /// which version is written.
    fn by_path(&self) -> impl Iterator<Item = &[WantedFile<'r>]> {
        self.files.chunk_by(|one, next| one.path == next.path)
    }

    /// The paths of all requests and of `recorded`, in order: each with the record, and with the wanted
    /// files.
    pub(super) fn with_recorded<'w, T: 'w>(
        &'w self,
        recorded: impl Iterator<Item = (&'w BString, T)>,
    ) -> impl Iterator<Item = (&'w BStr, Option<T>, &'w [WantedFile<'r>])> {
        let mut recorded = recorded.peekable();
        let mut wanted = self.by_path().peekable();
        std::iter::from_fn(move || {
            let of_recorded = recorded.peek().map(|(path, _)| path.as_bstr());
            let of_wanted = wanted.peek().map(|wanted| wanted[0].path);
            let path: &BStr = match (of_recorded, of_wanted) {
                (Some(one), Some(other)) => one.min(other),
                (one, other) => one.or(other)?,
            };
            let record = recorded.next_if(|(recorded, _)| recorded.as_bstr() == path);
            let wanted = wanted.next_if(|wanted| wanted[0].path == path);
            Some((
                path,
                record.map(|(_, record)| record),
                wanted.unwrap_or_default(),
            ))
        })
    }

    /// The request of `owner`.
    pub(super) fn request_of(&self, owner: &CacheOwner) -> Option<&'r CacheRequest> {
        self.by_owner
            .get(owner)
            .map(|number| &self.requests[*number])
    }

    /// The owner that wants `file`.
    pub(super) fn owner_of(&self, file: &WantedFile<'_>) -> &'r CacheOwner {
        &self.requests[file.request].owner
    }

    /// If none of `owners` needs a file after the requests, the number of the request whose result
    /// counts its removal: that of its first owner. `wanted` are the wanted files of its path.
    pub(super) fn unneeded(
        &self,
        path: &BStr,
        owners: &[CacheOwner],
        wanted: &[WantedFile<'_>],
    ) -> Option<usize> {
        let still_needs = |owner: &CacheOwner| match self.by_owner.get(owner) {
            Some(number) => {
                let mut wanted = wanted.iter();
                wanted.any(|file| file.request == *number)
                    || self.requests[*number].kept.contains(path)
            }
            None => true,
        };
        if self.requests.is_empty() || owners.iter().any(still_needs) {
            return None;
        }
        // A file that a killed run wrote has no owner yet. It is counted for the first request.
        let first = owners.iter().min();
        let number = first.and_then(|owner| self.by_owner.get(owner));
        Some(number.copied().unwrap_or(0))
    }

    /// The first wanted path that is below the directory `prefix`, which ends with `/`.
    pub(super) fn first_below(&self, prefix: &[u8]) -> Option<&'r BStr> {
        let start = self.files.partition_point(|file| **file.path < *prefix);
        let file = self.files.get(start)?;
        file.path.starts_with(prefix).then_some(file.path)
    }

    /// Whether a wanted path is a directory of another one, so that both cannot exist.
    pub(super) fn has_file_above_file(&self) -> bool {
        let mut above: &BStr = b"".as_bstr();
        self.by_path().any(|wanted| {
            let path = wanted[0].path;
            let common = path.iter().zip(above.iter()).take_while(|(a, b)| a == b);
            let common = common.count();
            above = path;
            let mut directories = path[common..].find_iter(b"/");
            directories.any(|slash| self.contains(path[..common + slash].as_bstr()))
        })
    }

    fn contains(&self, path: &BStr) -> bool {
        let found = self.files.binary_search_by(|file| file.path.cmp(path));
        found.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cache::{Reason, RequestRecord};
    use crate::object::{Mode, ObjectId};

    const NAMES: [&str; 4] = ["a", "a-b", "a!", "b"];

    fn path(random: &mut fastrand::Rng) -> BString {
        let segments = (0..random.usize(1..4)).map(|_| NAMES[random.usize(..NAMES.len())]);
        segments.collect::<Vec<_>>().join("/").into()
    }

    fn request(random: &mut fastrand::Rng, number: usize) -> CacheRequest {
        let files = (0..random.usize(..6)).map(|_| {
            let id = ObjectId([random.u8(..); 20]);
            let mode = Mode::File;
            (path(random), Entry { mode, id })
        });
        CacheRequest {
            files: files.collect(),
            owner: CacheOwner {
                project: format!("p{number}").parse().unwrap(),
                reason: Reason::Pulled,
            },
            record: RequestRecord {
                remote: String::new(),
                branch: String::new(),
                tip: None,
                digest: ObjectId([0; 20]),
                complete: true,
                time: 0,
            },
            kept: BTreeSet::new(),
            removes_owner: false,
        }
    }

    #[test]
    fn files_of_requests_and_records_are_joined_by_path() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2000 {
            let requests: Vec<_> = (0..3).map(|number| request(&mut random, number)).collect();
            let recorded: BTreeMap<_, _> = (0..random.u8(..6))
                .map(|number| (path(&mut random), number))
                .collect();
            let wanted = WantedFiles::new(&requests);

            let joined = wanted
                .with_recorded(recorded.iter())
                .map(|(path, record, files)| {
                    let files = files.iter().map(|file| (file.request, file.entry));
                    (path.to_owned(), record.copied(), files.collect::<Vec<_>>())
                });
            let all: BTreeSet<&BString> = requests
                .iter()
                .flat_map(|request| request.files.keys())
                .collect();
            let every: BTreeSet<_> = all.iter().copied().chain(recorded.keys()).collect();
            let expected = every.into_iter().map(|path| {
                let files = requests.iter().enumerate();
                let files = files.filter_map(|(number, one)| Some((number, *one.files.get(path)?)));
                (path.clone(), recorded.get(path).copied(), files.collect())
            });
            assert_eq!(joined.collect::<Vec<_>>(), expected.collect::<Vec<_>>());

            let below = |path: &BString| {
                let prefix = format!("{path}/");
                all.iter()
                    .find(|other| other.starts_with(prefix.as_bytes()))
            };
            for path in &all {
                let found = wanted.first_below(format!("{path}/").as_bytes());
                assert_eq!(found, below(path).map(|path| path.as_bstr()));
            }
            let is_any_above = all.iter().any(|path| below(path).is_some());
            assert_eq!(wanted.has_file_above_file(), is_any_above, "{all:?}");
        }
    }
}
