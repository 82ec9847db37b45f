//! What the manifest says once questions are answered.

use std::collections::{BTreeSet, HashMap};

use bstr::BString;

use super::manifest::{Cached, Manifest, Owner};
use super::{Question, Taken};
use crate::plan::Entry;
use crate::stat::Stat;

impl Manifest {
    /// Takes in `questions`, what was `taken` of each, and files as they now stand. An owner that lacks something of what it
    /// asked for, or has it in the version of another, has no complete answer: it is given one by the next run.
    pub(super) fn note(
        &mut self,
        questions: Vec<Question>,
        taken: &[Taken],
        looked: &HashMap<BString, Stat>,
    ) {
        let not_ours: BTreeSet<&BString> = taken
            .iter()
            .flat_map(|one| {
                one.kept
                    .iter()
                    .chain(one.refused.iter().map(|(path, _)| path))
            })
            .collect();
        let mut lacking: BTreeSet<Owner> = BTreeSet::new();
        let mut lacks = |owner: &Owner| {
            if !lacking.contains(owner) {
                lacking.insert(owner.clone());
            }
        };
        let asking: BTreeSet<&Owner> = questions.iter().map(|question| &question.owner).collect();
        for (path, file) in &mut self.files {
            file.owners.retain(|owner| {
                if !asking.contains(owner) {
                    return true;
                }
                // What is to go and stays is known further on: it is told again, and goes with `--force`.
                let is_wanted = || {
                    questions
                        .iter()
                        .any(|question| question.files.contains_key(path))
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
        for Question { owner, files, .. } in &questions {
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
                            (file.entry, file.begun) = (entry, Vec::new());
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
                            begun: Vec::new(),
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
        self.owners.extend(
            questions
                .into_iter()
                .map(|question| (question.owner, question.asked)),
        );
        for owner in lacking {
            self.owners
                .entry(owner)
                .and_modify(|asked| asked.complete = false);
        }
    }
}
