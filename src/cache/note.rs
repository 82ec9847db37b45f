//! What the manifest says once questions are answered.

use std::collections::{BTreeSet, HashMap};

use bstr::BString;

use super::manifest::{Cached, Manifest, Owner};
use super::{Request, RequestResult};
use crate::plan::Entry;
use crate::stat::Stat;

impl Manifest {
    /// Updates the manifest after a run, from its `questions`, what was `taken` of each, and the stat of files that were
    /// `looked` at. An owner that did not get every file, or got another owner's version, is marked incomplete, so that
    /// the next run tries again.
    pub(super) fn note(
        &mut self,
        requests: Vec<Request>,
        taken: &[RequestResult],
        looked: &HashMap<BString, Stat>,
    ) {
        let not_ours: BTreeSet<&BString> = taken
            .iter()
            .flat_map(|one| {
                let kept = one.kept.iter().map(|(path, _)| path);
                kept.chain(one.refused.iter().map(|(path, _)| path))
            })
            .collect();
        let mut lacking: BTreeSet<Owner> = BTreeSet::new();
        let mut lacks = |owner: &Owner| {
            if !lacking.contains(owner) {
                lacking.insert(owner.clone());
            }
        };
        let asking: BTreeSet<&Owner> = requests.iter().map(|request| &request.owner).collect();
        for (path, file) in &mut self.files {
            file.owners.retain(|owner| {
                if !asking.contains(owner) {
                    return true;
                }
                // A file that should have been removed but stays is still tracked: it is reported on every run, and
                // removed with `--force`.
                let is_wanted = || {
                    requests
                        .iter()
                        .any(|request| request.files.contains_key(path))
                };
                let stays = not_ours.contains(path) && !is_wanted();
                if stays {
                    lacks(owner);
                }
                stays
            });
        }
        // Of two versions the first counts, as it does in the plan.
        let mut decided: HashMap<&BString, Entry> = HashMap::new();
        for Request { owner, files, .. } in &requests {
            for (path, wanted) in files {
                let entry = *decided.entry(path).or_insert(*wanted);
                let is_ours = !not_ours.contains(path);
                if !is_ours || entry != *wanted {
                    lacks(owner);
                }
                match self.files.get_mut(path) {
                    Some(file) => {
                        if is_ours && file.entry != entry {
                            file.owners.iter().for_each(&mut lacks);
                        }
                        if is_ours {
                            (file.entry, file.pending_writes) = (entry, Vec::new());
                        }
                        file.owners.push(owner.clone());
                    }
                    // What the cache did not write does not become its own.
                    None if !is_ours => {}
                    None => {
                        let fresh = Cached {
                            entry,
                            stat: None,
                            owners: vec![owner.clone()],
                            pending_writes: Vec::new(),
                        };
                        self.files.insert(path.clone(), fresh);
                    }
                }
            }
        }
        for (path, stat) in looked {
            if let Some(file) = self
                .files
                .get_mut(path)
                .filter(|_| !not_ours.contains(path))
            {
                file.stat = Some(*stat);
            }
        }
        self.files.retain(|_, file| !file.owners.is_empty());
        let leaving: Vec<Owner> = requests
            .iter()
            .filter(|request| request.leaves)
            .map(|request| request.owner.clone())
            .collect();
        self.owners.extend(
            requests
                .into_iter()
                .map(|request| (request.owner, request.asked)),
        );
        for owner in lacking {
            self.owners
                .entry(owner)
                .and_modify(|asked| asked.complete = false);
        }
        for owner in leaving {
            if !self.files.values().any(|file| file.owners.contains(&owner)) {
                self.owners.remove(&owner);
            }
        }
    }
}
