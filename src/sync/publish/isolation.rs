//! Finds the projects that the server rejects, so that the others land. The decisions are pure: the
//! caller pushes the projects of [`Isolation::next_push`], and passes the result back.
//!
//! If the server's message names projects, the rest is pushed first. If it names none, parts of the
//! projects are pushed. Each accepted part has landed, and the search goes on in the remaining
//! projects.
//!
//! A message can also name projects that the server accepts, as in a list of checks or in a hint. So
//! a project is only withheld after the server rejected a push of that project alone, or after the
//! server accepted the same push without it. The named projects are pushed again at the end, up to
//! [`MAX_ALONE`] each alone, more in halves. After two messages that name some, the first named
//! project is pushed alone at once: if the server accepts it, the names have another meaning, and
//! are ignored from then on.
//!
//! If the server accepts a part of a rejected push, it probably rejects one of the others, so these
//! are the suspects. The first part is a third of the projects, and suspects are halved. Compared
//! with halves from the start, this costs one push more for one rejected project, and four less for
//! three. The greatest number of pushes, including the first one, if the server names none:
//!
//! | projects | 1 rejected | 2 rejected | 3 rejected |
//! |--:|--:|--:|--:|
//! | 10 | 8 | 12 | 13 |
//! | 20 | 9 | 16 | 17 |
//! | 50 | 10 | 19 | 21 |
//!
//! A server that rejects every push without naming a reason for it must not be asked for each
//! project, so the search ends after [`MAX_REJECTED`] projects if nothing has landed, and after
//! [`MAX_PUSHES`] in any case.

use std::collections::{BTreeMap, BTreeSet};

use crate::codex::remote::{Rejection, RejectionKind};

/// The number of pushes after which the search ends.
pub(super) const MAX_PUSHES: u32 = 64;
/// The number of rejected projects, or of messages that name some, after which the search ends if
/// the server has not accepted any push.
const MAX_REJECTED: usize = 6;
/// The number of named projects that are pushed again each alone. With the first push and that of
/// the others, three named projects take five pushes.
const MAX_ALONE: usize = 3;

/// The state of the search.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    /// The projects that the server rejects, by index, each with the words that are about it.
    rejected: BTreeMap<usize, Rejection>,
    /// The projects that a message names and that are pushed again, each with the words that are
    /// about it.
    named: BTreeMap<usize, Rejection>,
    /// The other projects of the last rejected push that have not landed, if its message names only
    /// one project, and that project.
    named_alone: Option<(BTreeSet<usize>, usize)>,
    /// The projects of a rejected push of which the server probably rejects at least one.
    suspects: BTreeSet<usize>,
    /// The number of projects in the first rejected push; 0 before it.
    initial: usize,
    /// The number of results since then, including it.
    pushes: u32,
    /// The number of projects that were rejected when they were pushed alone.
    rejected_alone: usize,
    /// The number of rejections whose messages named projects.
    naming: usize,
    /// The meaning of the names, as far as it is known.
    names: NameMeaning,
    /// Whether the server has accepted a push.
    has_landed: bool,
    /// The order in which the projects that are no suspects are pushed.
    rest: Rest,
}

/// The meaning of a project name in a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum NameMeaning {
    #[default]
    Unknown,
    /// The server has rejected a named project alone.
    Rejected,
    /// The server has accepted a named project after two messages: it names them for another reason.
    Ignored,
}

/// The next push of projects that are no suspects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Rest {
    /// All of them: the server names the projects that it rejects.
    Whole,
    /// A part that depends on the number of rejected projects.
    #[default]
    Part,
    /// At most so many, because the server rejected a larger push for its size.
    AtMost(usize),
}

impl Isolation {
    /// Selects the projects of the next push among all that change. None if they are all rejected
    /// or if the search has ended.
    pub(super) fn next_push(&self, changed: &BTreeSet<usize>) -> BTreeSet<usize> {
        let candidates: Vec<_> = self.candidates(changed).collect();
        if !self.is_searching() {
            return candidates.into_iter().collect();
        }
        if self.has_ended() || candidates.is_empty() {
            return BTreeSet::new();
        }
        let (named, candidates): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|index| self.named.contains_key(index));
        if candidates.is_empty() {
            return self.part_of_named(named);
        }
        if let Some(first) = named.first().filter(|_| self.checks_names()) {
            return BTreeSet::from([*first]);
        }

        let suspects: Vec<_> = candidates
            .iter()
            .copied()
            .filter(|index| self.suspects.contains(index))
            .collect();
        if !suspects.is_empty() {
            let size = self.size_of_suspects(suspects.len());
            return suspects.into_iter().take(size).collect();
        }
        if self.tries_one() {
            return BTreeSet::from([candidates[candidates.len() / 2]]);
        }
        let size = self.size_of_rest(candidates.len());
        candidates.into_iter().take(size).collect()
    }

    /// The projects that change and are not known to be rejected.
    pub(super) fn candidates(&self, changed: &BTreeSet<usize>) -> impl Iterator<Item = usize> {
        changed
            .iter()
            .copied()
            .filter(|index| !self.rejected.contains_key(index))
    }

    /// Whether the server rejects all of these projects.
    pub(super) fn has_decided(&self, projects: &BTreeSet<usize>) -> bool {
        self.candidates(projects).next().is_none()
    }

    /// Whether the server has rejected a push.
    pub(super) fn is_searching(&self) -> bool {
        self.initial > 0
    }

    /// Notes that a push of these projects has landed.
    pub(super) fn accept(&mut self, pushed: impl IntoIterator<Item = usize>) {
        self.has_landed = true;
        if self.is_searching() {
            self.pushes += 1;
        }
        let pushed: BTreeSet<_> = pushed.into_iter().collect();
        if self.checks_names() && self.are_named(&pushed) {
            self.names = NameMeaning::Ignored;
            self.rest = Rest::Part;
            self.named.clear();
            self.named_alone = None;
        }
        for index in &pushed {
            self.suspects.remove(index);
            self.named.remove(index);
        }
        self.confirm_named_alone(&pushed);
        if let Some((rest, _)) = &mut self.named_alone {
            rest.retain(|index| !pushed.contains(index));
        }
    }

    /// Notes that the server rejected a push of these projects. `named` are the projects that its
    /// message names, with the lines that are about each.
    pub(super) fn reject(
        &mut self,
        pushed: &BTreeSet<usize>,
        rejection: &Rejection,
        named: BTreeMap<usize, Vec<String>>,
    ) {
        self.pushes += 1;
        if self.initial == 0 {
            self.initial = pushed.len();
        }

        // A message that names all projects is about none of them in particular.
        let is_naming = !named.is_empty()
            && named.len() < pushed.len()
            && !self.are_named(pushed)
            && self.names != NameMeaning::Ignored;
        self.suspects.clear();
        self.named_alone = None;
        if is_naming {
            self.naming += 1;
            self.rest = Rest::Whole;
            if let (Some(index), 1) = (named.keys().next(), named.len()) {
                let others = pushed.iter().copied().filter(|other| other != index);
                self.named_alone = Some((others.collect(), *index));
            }
            let with_words = |words| Rejection {
                words,
                ..rejection.clone()
            };
            let named = named
                .into_iter()
                .map(|(index, words)| (index, with_words(words)));
            self.named.extend(named);
        } else if let (Some(index), 1) = (pushed.first(), pushed.len()) {
            self.rejected_alone += 1;
            if self.rest != Rest::Whole {
                self.rest = Rest::Part;
            }
            if self.named.remove(index).is_some() {
                self.names = NameMeaning::Rejected;
            }
            self.rejected.insert(*index, rejection.clone());
        } else if rejection.kind == RejectionKind::TooLarge {
            self.rest = Rest::AtMost(pushed.len() / 2);
        } else {
            self.rest = Rest::Part;
            self.suspects.clone_from(pushed);
        }
    }

    /// Whether messages have named all of these projects.
    pub(super) fn are_named(&self, projects: &BTreeSet<usize>) -> bool {
        projects.iter().all(|index| self.named.contains_key(index))
    }

    /// Rejects the project that the last message named alone, if `pushed` is the rest of the same
    /// push without it: its result is another one.
    fn confirm_named_alone(&mut self, pushed: &BTreeSet<usize>) {
        let Some((rest, index)) = &self.named_alone else {
            return;
        };
        if rest == pushed
            && let Some(rejection) = self.named.remove(index)
        {
            self.rejected.insert(*index, rejection);
            self.named_alone = None;
        }
    }

    /// The next push among these projects, which messages have named.
    fn part_of_named(&self, named: Vec<usize>) -> BTreeSet<usize> {
        let is_suspect = |index: &usize| self.suspects.contains(index);
        let suspects: Vec<_> = named.iter().copied().filter(is_suspect).collect();
        let part = if suspects.is_empty() { named } else { suspects };
        let size = if part.len() <= MAX_ALONE {
            1
        } else {
            part.len() / 2
        };
        part.into_iter().take(size).collect()
    }

    /// Whether the server has accepted a push.
    pub(super) fn has_landed(&self) -> bool {
        self.has_landed
    }

    /// Whether the server seems to reject every push: it has rejected several projects and accepted
    /// none.
    pub(super) fn is_about_everything(&self) -> bool {
        !self.has_landed && self.rejected_alone + self.naming >= MAX_REJECTED
    }

    /// Whether the server's message is the same for all rejected projects.
    pub(super) fn has_one_message(&self) -> bool {
        let mut rejections = self.rejected.values();
        let first = rejections.next();
        rejections.all(|rejection| Some(rejection) == first)
    }

    /// Whether the search has ended, perhaps without a result for every project.
    pub(super) fn has_ended(&self) -> bool {
        self.pushes >= MAX_PUSHES
    }

    /// Clears the results. The server rejects every push, so no single project is the cause.
    pub(super) fn withdraw(&mut self) {
        self.rejected.clear();
        self.named.clear();
    }

    /// The reason why the server rejects the project, as in [`Isolation::take`].
    pub(super) fn rejection(&self, index: usize) -> Option<&Rejection> {
        let rejected = self.rejected.get(&index);
        rejected.or_else(|| self.named.get(&index))
    }

    /// Takes the reason why the server rejects the project, if it does, or if the search has ended
    /// before a project that a message names was pushed again.
    pub(super) fn take(&mut self, index: usize) -> Option<Rejection> {
        let rejected = self.rejected.remove(&index);
        rejected.or_else(|| self.named.remove(&index))
    }

    /// Whether the meaning of the names is to be found out.
    fn checks_names(&self) -> bool {
        self.names == NameMeaning::Unknown && self.naming > 1
    }

    /// Whether the next push is one project: the server has accepted none so far and may reject
    /// every push.
    fn tries_one(&self) -> bool {
        let tried = match self.rest {
            // Some messages that name projects are not unusual if a server names one at a time.
            Rest::Whole => self.naming + self.rejected_alone > MAX_ALONE + 1,
            Rest::Part => self.rejected_alone > 0,
            Rest::AtMost(_) => false,
        };
        tried && !self.has_landed
    }

    fn size_of_suspects(&self, suspects: usize) -> usize {
        let third = self.third();
        if suspects > 2 * third {
            third
        } else {
            (suspects / 2).max(1)
        }
    }

    fn size_of_rest(&self, rest: usize) -> usize {
        match (self.rest, self.rejected_alone) {
            (Rest::Whole, _) => rest,
            (Rest::AtMost(size), _) => size.max(1),
            (Rest::Part, 0 | 1) => self.third(),
            (Rest::Part, 2) => rest.div_ceil(2),
            (Rest::Part, _) => rest,
        }
    }

    fn third(&self) -> usize {
        (self.initial / 3).max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The projects that a server names if it rejects a push of these projects.
    type NamesOf<'n> = &'n dyn Fn(&BTreeSet<usize>) -> BTreeSet<usize>;

    /// The result of a search.
    struct Found {
        landed: BTreeSet<usize>,
        rejected: BTreeSet<usize>,
        pushes: usize,
    }

    fn rejection(kind: RejectionKind) -> Rejection {
        Rejection {
            kind,
            reason: "hook declined".to_owned(),
            words: Vec::new(),
        }
    }

    /// Searches among `count` projects. `judge` rejects a push with a kind and the named projects.
    fn search(
        count: usize,
        judge: impl Fn(&BTreeSet<usize>) -> Option<(RejectionKind, BTreeSet<usize>)>,
    ) -> Found {
        let all: BTreeSet<_> = (0..count).collect();
        let mut isolation = Isolation::default();
        let mut found = Found {
            landed: BTreeSet::new(),
            rejected: BTreeSet::new(),
            pushes: 0,
        };
        loop {
            let changed = &all - &found.landed;
            let pushed = isolation.next_push(&changed);
            if pushed.is_empty() || isolation.is_about_everything() {
                found.rejected = all
                    .into_iter()
                    .filter(|index| isolation.take(*index).is_some())
                    .collect();
                return found;
            }
            found.pushes += 1;
            match judge(&pushed) {
                None => {
                    isolation.accept(pushed.iter().copied());
                    found.landed.extend(pushed);
                }
                Some((kind, named)) => {
                    let named = named.into_iter().map(|index| (index, Vec::new()));
                    isolation.reject(&pushed, &rejection(kind), named.collect());
                }
            }
        }
    }

    /// A server that rejects pushes of these projects and names none.
    fn silent(count: usize, bad: &BTreeSet<usize>) -> Found {
        search(count, |pushed| {
            (!pushed.is_disjoint(bad)).then(|| (RejectionKind::Declined, BTreeSet::new()))
        })
    }

    #[test]
    fn three_of_fifty_take_at_most_21_pushes() {
        let mut most = [0; 4];
        // All of them take some seconds.
        for a in (0..50).step_by(3) {
            for b in a..50 {
                for c in b..50 {
                    let bad = BTreeSet::from([a, b, c]);
                    let found = silent(50, &bad);
                    assert_eq!(found.rejected, bad);
                    assert_eq!(found.landed.len(), 50 - bad.len(), "{bad:?}");
                    most[bad.len()] = most[bad.len()].max(found.pushes);
                }
            }
        }
        assert_eq!(most, [0, 10, 19, 21]);
    }

    #[test]
    fn greatest_number_of_pushes_is_as_documented() {
        let most = |count: usize| {
            let mut most = [0; 2];
            for a in 0..count {
                for b in a..count {
                    let bad = BTreeSet::from([a, b]);
                    let pushes = silent(count, &bad).pushes;
                    most[bad.len() - 1] = most[bad.len() - 1].max(pushes);
                }
            }
            most
        };
        assert_eq!(most(10), [8, 12]);
        assert_eq!(most(20), [9, 16]);
    }

    #[test]
    fn server_that_rejects_everything_is_asked_a_few_times() {
        for count in [7, 50, 5000] {
            let all = (0..count).collect();
            let found = silent(count, &all);
            assert!(found.landed.is_empty());
            assert!(found.pushes <= 20, "{count}: {}", found.pushes);
        }
    }

    #[test]
    fn projects_that_are_named_one_at_a_time_take_one_push_each() {
        let bad = BTreeSet::from([3, 20, 40]);
        let found = search(50, |pushed| {
            let first = pushed.intersection(&bad).next()?;
            Some((RejectionKind::Declined, BTreeSet::from([*first])))
        });
        assert_eq!(found.rejected, bad);
        assert_eq!(found.landed.len(), 47);
        assert!(found.pushes <= 6, "{}", found.pushes);
    }

    #[test]
    fn names_without_a_meaning_are_ignored() {
        // A hook prints the first path of a push as its progress, or the last commit.
        let first = |pushed: &BTreeSet<usize>| pushed.first().copied().into_iter().collect();
        let last = |pushed: &BTreeSet<usize>| pushed.last().copied().into_iter().collect();
        let names: [NamesOf<'_>; 2] = [&first, &last];
        for names in names {
            for bad in 0..50 {
                let found = search(50, |pushed| {
                    let is_rejected = pushed.contains(&bad);
                    is_rejected.then(|| (RejectionKind::Declined, names(pushed)))
                });
                assert_eq!(found.rejected, BTreeSet::from([bad]));
                assert_eq!(found.landed.len(), 49);
                assert!(found.pushes <= 21, "{bad}: {}", found.pushes);
            }
        }
    }

    #[test]
    fn projects_that_are_named_together_are_pushed_again_alone() {
        let bad = BTreeSet::from([3, 20, 40]);
        let found = search(50, |pushed| {
            let named = pushed & &bad;
            (!named.is_empty()).then_some((RejectionKind::Declined, named))
        });
        assert_eq!(found.rejected, bad);
        assert_eq!((found.landed.len(), found.pushes), (47, 5));
    }

    #[test]
    fn accepted_projects_that_a_message_names_land() {
        let bad = BTreeSet::from([4]);
        // A list of checks that ends at the first failure, and a hint that mentions another project.
        let list = |pushed: &BTreeSet<usize>| pushed.range(..=4).copied().collect();
        let hint = |pushed: &BTreeSet<usize>| pushed & &BTreeSet::from([0]);
        let both = |pushed: &BTreeSet<usize>| pushed & &BTreeSet::from([0, 4]);
        let many = |pushed: &BTreeSet<usize>| pushed & &BTreeSet::from([0, 2, 4, 30, 31, 40, 49]);
        let names: [NamesOf<'_>; 4] = [&list, &hint, &both, &many];
        for names in names {
            let found = search(50, |pushed| {
                let is_rejected = !pushed.is_disjoint(&bad);
                is_rejected.then(|| (RejectionKind::Declined, names(pushed)))
            });
            assert_eq!(found.rejected, bad);
            assert_eq!(found.landed.len(), 49);
            assert!(found.pushes <= 12, "{}", found.pushes);
        }
    }

    #[test]
    fn large_push_is_sent_in_parts() {
        let found = search(50, |pushed| {
            (pushed.len() > 7).then(|| (RejectionKind::TooLarge, BTreeSet::new()))
        });
        assert_eq!((found.landed.len(), found.rejected.len()), (50, 0));
        assert_eq!(found.pushes, 3 + 9);

        // One of them is too large by itself.
        let found = search(50, |pushed| {
            pushed
                .contains(&30)
                .then(|| (RejectionKind::TooLarge, BTreeSet::new()))
        });
        assert_eq!(found.rejected, BTreeSet::from([30]));
        assert!(found.pushes <= 14, "{}", found.pushes);
    }

    #[test]
    fn projects_that_no_longer_change_are_not_pushed() {
        let all: BTreeSet<_> = (0..6).collect();
        let mut isolation = Isolation::default();
        isolation.reject(&all, &rejection(RejectionKind::Declined), BTreeMap::new());
        assert_eq!(isolation.next_push(&all), BTreeSet::from([0, 1]));
        // Another run has published the suspects.
        isolation.reject(
            &BTreeSet::from([0, 1]),
            &rejection(RejectionKind::Declined),
            BTreeMap::new(),
        );
        let changed = BTreeSet::from([2, 3, 4, 5]);
        assert_eq!(isolation.next_push(&changed), BTreeSet::from([2, 3]));
    }

    /// Numbers of projects below `count`.
    fn some(count: usize, most: usize) -> impl Strategy<Value = BTreeSet<usize>> {
        proptest::collection::btree_set(0..count, 0..=most.min(count))
    }

    proptest! {
        #[test]
        fn all_others_land(
            (count, bad, names) in (1..120_usize)
                .prop_flat_map(|count| (Just(count), some(count, 5), some(count, count)))
        ) {
            // The server names some of the projects that it rejects, and others not.
            let found = search(count, |pushed| {
                let bad = pushed & &bad;
                (!bad.is_empty()).then(|| (RejectionKind::Declined, &bad & &names))
            });
            prop_assert_eq!(found.landed.len(), count - bad.len());
            prop_assert_eq!(found.rejected, bad);
            prop_assert!(found.pushes <= MAX_PUSHES as usize);
        }

        #[test]
        fn others_land_whichever_projects_the_server_names(
            (count, bad, names) in (1..40_usize)
                .prop_flat_map(|count| (Just(count), some(count, 3), some(count, count)))
        ) {
            let found = search(count, |pushed| {
                let is_rejected = !pushed.is_disjoint(&bad);
                is_rejected.then(|| (RejectionKind::Declined, pushed & &names))
            });
            prop_assert_eq!(found.landed.len(), count - bad.len());
            prop_assert_eq!(found.rejected, bad);
        }

        #[test]
        fn search_ends_whatever_the_server_does(
            count in 1..200_usize,
            verdicts in proptest::collection::vec(any::<(bool, bool, usize)>(), 64),
        ) {
            let asked = std::cell::Cell::new(0);
            let found = search(count, |pushed| {
                let (accepts, is_large, named) = verdicts[asked.replace(asked.get() + 1) % 64];
                let kind = if is_large { RejectionKind::TooLarge } else { RejectionKind::Declined };
                let named = pushed.iter().copied().filter(|index| index % 7 == named % 11);
                (!accepts).then(|| (kind, named.collect()))
            });
            // Before the first rejection, one push can be accepted.
            prop_assert!(found.pushes <= MAX_PUSHES as usize + 1);
            prop_assert!(found.landed.is_disjoint(&found.rejected));
        }
    }
}
