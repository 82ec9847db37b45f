//! Finds the projects that the server rejects, so that the others land. The decisions are pure: the
//! caller pushes the projects of [`Isolation::next_push`], and passes the result back.
//!
//! Two facts about a rejected push help. Its message may name projects: these are set aside, and the
//! others are pushed first. Or the server accepts a part of it: one of the others is probably
//! rejected, so these are the suspects. The next push is the first one in this table whose state
//! applies:
//!
//! | state | next push |
//! |---|---|
//! | no push was rejected | all projects |
//! | the search has ended | none |
//! | a named project is doubted | that project alone |
//! | there are suspects | a part of the suspects |
//! | several pushes were rejected, and none has landed | one project |
//! | some projects are neither decided nor named | all of these, or a part |
//! | only named projects are left | one of them; half of them if they are more than [`MAX_ALONE`] |
//!
//! A message can also name projects that the server accepts: in a list of checks, in a hint, or
//! because it shows the first path of each push. So a project is only rejected if the server
//! rejected it alone, or if it accepted the others of the same push. If it rejects a push without
//! the named projects, one of these is doubted. If the server accepts this one alone, all names are
//! ignored from then on.
//!
//! The first part is a third of the projects, and suspects are halved. Compared with halves from the
//! start, this costs one push more for one rejected project, and four less for three. The greatest
//! number of pushes, including the first one, if the server names none:
//!
//! | projects | 1 rejected | 2 rejected | 3 rejected |
//! |--:|--:|--:|--:|
//! | 10 | 8 | 12 | 13 |
//! | 20 | 9 | 16 | 17 |
//! | 50 | 10 | 19 | 21 |
//!
//! Three named projects take five pushes if one message names all of them, and six if each message
//! names one. Names of other projects cost a few pushes more than none.
//!
//! A server that rejects every push must not be asked for each project, so the search ends after
//! [`MAX_REASONS`] rejections if nothing has landed, and after [`MAX_PUSHES`] in any case.

use std::collections::{BTreeMap, BTreeSet};

use crate::codex::remote::{Rejection, RejectionKind};

/// The number of pushes after which the search ends.
pub(super) const MAX_PUSHES: u32 = 64;
/// The number of projects that were rejected alone, or of messages that name some, after which the
/// search ends if nothing has landed.
const MAX_REASONS: usize = 6;
/// The number of named projects that are pushed each alone.
const MAX_ALONE: usize = 3;

/// The state of the search. Projects are given by their indexes.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    /// The projects that the server rejects, each with the lines of the server's message that are
    /// about the project.
    rejected: BTreeMap<usize, Rejection>,
    names: NamedProjects,
    /// The projects of a rejected push of which the server probably rejects at least one.
    suspects: BTreeSet<usize>,
    size: PushSize,
    tally: Tally,
}

/// The projects that the server's messages name.
#[derive(Debug, Default)]
struct NamedProjects {
    /// The named projects that are pushed only after all others, each with the lines of the
    /// server's message that are about the project.
    set_aside: BTreeMap<usize, Rejection>,
    /// The only project that the message about the last rejected push names, and the others of that
    /// push that have not landed.
    only: Option<(usize, BTreeSet<usize>)>,
    /// A named project that is pushed alone next, because the server also rejects pushes without it.
    doubted: Option<usize>,
    /// Whether the server has accepted a doubted project. Then it names projects for a reason other
    /// than their rejection.
    are_ignored: bool,
}

/// How many of the projects that are not named are pushed, if there are no suspects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum PushSize {
    /// All projects that are not named, because the server names the projects that it rejects.
    All,
    /// A part that depends on the number of rejected projects.
    #[default]
    Fraction,
    /// At most so many, because the server rejected a larger push for its size.
    AtMost(usize),
}

/// The results so far.
#[derive(Debug, Default)]
struct Tally {
    /// The number of projects in the first rejected push; 0 before it.
    initial: usize,
    /// The number of results since then, including it.
    pushes: u32,
    /// The number of rejections whose messages name projects, and of projects that were rejected
    /// alone without having been named.
    reasons: usize,
    /// Whether the server has accepted a push.
    has_landed: bool,
}

/// The scope of the rejections of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RejectionScope {
    /// Some projects. The others can land or are in the codex.
    SomeProjects,
    /// Each project that changes, not all for the same reason.
    EachProject,
    /// Perhaps every push.
    EveryPush,
}

impl Isolation {
    /// Selects the projects of the next push among all that change. There are none if all of them are
    /// rejected, or if the search has ended.
    pub(super) fn next_push(&self, changed: &BTreeSet<usize>) -> BTreeSet<usize> {
        let candidates: Vec<_> = self.candidates(changed).collect();
        if !self.is_searching() {
            return candidates.into_iter().collect();
        }
        if self.has_ended() {
            return BTreeSet::new();
        }
        if let Some(doubted) = self.names.doubted
            && candidates.contains(&doubted)
        {
            return BTreeSet::from([doubted]);
        }

        let (named, others): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|index| self.names.set_aside.contains_key(index));
        let is_named = others.is_empty();
        let rest = if is_named { named } else { others };
        let is_suspect = |index: &usize| self.suspects.contains(index);
        let suspects: Vec<_> = rest.iter().copied().filter(is_suspect).collect();
        let (group, size) = if is_named {
            let group = if suspects.is_empty() { rest } else { suspects };
            let size = self.size_of_named(group.len());
            (group, size)
        } else if !suspects.is_empty() {
            let size = self.size_of_suspects(suspects.len());
            (suspects, size)
        } else if self.tries_one() {
            (vec![rest[rest.len() / 2]], 1)
        } else {
            let size = self.size_of_rest(rest.len());
            (rest, size)
        };
        group.into_iter().take(size).collect()
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
        self.tally.initial > 0
    }

    /// Notes that a push of these projects has landed.
    pub(super) fn accept(&mut self, pushed: impl IntoIterator<Item = usize>) {
        self.tally.has_landed = true;
        if self.is_searching() {
            self.tally.pushes += 1;
        }
        let pushed: BTreeSet<_> = pushed.into_iter().collect();
        if let Some(doubted) = self.names.doubted.take()
            && pushed.contains(&doubted)
        {
            self.names = NamedProjects {
                are_ignored: true,
                ..NamedProjects::default()
            };
            self.size = PushSize::Fraction;
        }
        for index in &pushed {
            self.suspects.remove(index);
            self.names.set_aside.remove(index);
        }
        if let Some((index, rejection)) = self.names.confirm_only(&pushed) {
            self.rejected.insert(index, rejection);
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
        self.tally.pushes += 1;
        if self.tally.initial == 0 {
            self.tally.initial = pushed.len();
        }
        if !self.suspects.is_disjoint(pushed) {
            self.suspects.clear();
        }
        self.names.doubted = match self.are_named(pushed) {
            true => None,
            false => self.names.set_aside.keys().next().copied(),
        };

        // A message that names all projects is about none of them in particular.
        let is_naming = !named.is_empty()
            && named.len() < pushed.len()
            && !self.are_named(pushed)
            && !self.names.are_ignored;
        if is_naming {
            self.tally.reasons += 1;
            self.size = PushSize::All;
            self.names.set_aside(pushed, rejection, named);
        } else if let (Some(index), 1) = (pushed.first(), pushed.len()) {
            if self.size != PushSize::All {
                self.size = PushSize::Fraction;
            }
            if self.names.set_aside.remove(index).is_none() {
                self.tally.reasons += 1;
            }
            self.rejected.insert(*index, rejection.clone());
        } else if rejection.kind == RejectionKind::TooLarge {
            self.names.only = None;
            self.size = PushSize::AtMost(pushed.len() / 2);
        } else {
            self.names.only = None;
            self.size = PushSize::Fraction;
            self.suspects.clone_from(pushed);
        }
    }

    /// Whether messages have named all of these projects.
    pub(super) fn are_named(&self, projects: &BTreeSet<usize>) -> bool {
        let named = &self.names.set_aside;
        projects.iter().all(|index| named.contains_key(index))
    }

    /// The scope of the rejections so far, given the projects that change. `is_any_in_codex` is
    /// whether the codex has the current files of another project. `is_named` is whether the last
    /// message names a project.
    pub(super) fn scope(
        &self,
        changed: &BTreeSet<usize>,
        is_any_in_codex: bool,
        is_named: bool,
    ) -> RejectionScope {
        if !self.has_decided(changed) {
            let is_in_vain = self.has_ended() && !is_any_in_codex;
            return match self.is_about_everything() || is_in_vain {
                true => RejectionScope::EveryPush,
                false => RejectionScope::SomeProjects,
            };
        }
        // Nothing shows that the server would accept another project than the only one that changes.
        let is_one_unnamed = changed.len() == 1 && !is_named && !self.tally.has_landed;
        if is_any_in_codex && !is_one_unnamed {
            return RejectionScope::SomeProjects;
        }
        let mut reasons = self.rejected.values();
        let first = reasons.next();
        match reasons.all(|reason| Some(reason) == first) {
            true => RejectionScope::EveryPush,
            false => RejectionScope::EachProject,
        }
    }

    /// Whether the server seems to reject every push: it has rejected several projects and accepted
    /// none.
    pub(super) fn is_about_everything(&self) -> bool {
        !self.tally.has_landed && self.tally.reasons >= MAX_REASONS
    }

    /// Whether the search has ended, perhaps without a result for every project.
    pub(super) fn has_ended(&self) -> bool {
        self.tally.pushes >= MAX_PUSHES
    }

    /// Clears the results. The server rejects every push, so no single project is the cause.
    pub(super) fn clear_rejections(&mut self) {
        self.rejected.clear();
    }

    /// The reason why the server rejects the project, if it does.
    pub(super) fn rejection(&self, index: usize) -> Option<&Rejection> {
        self.rejected.get(&index)
    }

    /// Takes the reason why the server rejects the project, if it does.
    pub(super) fn take_rejection(&mut self, index: usize) -> Option<Rejection> {
        self.rejected.remove(&index)
    }

    /// Whether the next push is one project: the server has accepted none so far and may reject
    /// every push.
    fn tries_one(&self) -> bool {
        let is_doubtful = match self.size {
            // Some messages that name projects are not unusual if a server names one at a time.
            PushSize::All => self.tally.reasons > MAX_ALONE + 1,
            PushSize::Fraction => !self.rejected.is_empty(),
            PushSize::AtMost(_) => false,
        };
        is_doubtful && !self.tally.has_landed
    }

    fn size_of_named(&self, named: usize) -> usize {
        match self.size {
            _ if named <= MAX_ALONE => 1,
            PushSize::AtMost(size) => size.clamp(1, named / 2),
            _ => named / 2,
        }
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
        match (self.size, self.rejected.len()) {
            (PushSize::All, _) => rest,
            (PushSize::AtMost(size), _) => size.max(1),
            (PushSize::Fraction, 0 | 1) => self.third(),
            (PushSize::Fraction, 2) => rest.div_ceil(2),
            (PushSize::Fraction, _) => rest,
        }
    }

    fn third(&self) -> usize {
        (self.tally.initial / 3).max(1)
    }
}

impl NamedProjects {
    /// Sets the projects aside that the message about a push names.
    fn set_aside(
        &mut self,
        pushed: &BTreeSet<usize>,
        rejection: &Rejection,
        named: BTreeMap<usize, Vec<String>>,
    ) {
        self.only = match (named.keys().next(), named.len()) {
            (Some(only), 1) => {
                let others = pushed.iter().copied().filter(|other| other != only);
                Some((*only, others.collect()))
            }
            _ => None,
        };
        let with_words = |words| Rejection {
            words,
            ..rejection.clone()
        };
        let named = named.into_iter();
        self.set_aside
            .extend(named.map(|(index, words)| (index, with_words(words))));
    }

    /// Takes the only named project of the last rejected push, with its reason, once the server has
    /// accepted the others of that push together.
    fn confirm_only(&mut self, landed: &BTreeSet<usize>) -> Option<(usize, Rejection)> {
        let (index, others) = self.only.as_mut()?;
        let is_all = others == landed;
        others.retain(|other| !landed.contains(other));
        if !is_all {
            return None;
        }
        let index = *index;
        self.only = None;
        Some((index, self.set_aside.remove(&index)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The projects that a message about a rejected push names.
    #[derive(Debug, Clone)]
    enum Naming {
        /// The projects that it rejects.
        Rejected,
        /// The first project that it rejects.
        FirstRejected,
        /// All projects up to the first one that it rejects.
        UpToFirstRejected,
        /// All projects that it does not reject.
        Accepted,
        /// The first project of the push.
        First,
        /// The last project of the push.
        Last,
        /// One project that it does not reject.
        OneAccepted(usize),
        /// The projects of this set that are in the push.
        These(BTreeSet<usize>),
        /// The projects of this set that are in the push, and the projects that the server rejects.
        RejectedAndThese(BTreeSet<usize>),
    }

    impl Naming {
        fn names(&self, pushed: &BTreeSet<usize>, bad: &BTreeSet<usize>) -> BTreeSet<usize> {
            let (rejected, accepted) = (pushed & bad, pushed - bad);
            let only = |index: Option<&usize>| index.copied().into_iter().collect();
            match self {
                Self::Rejected => rejected,
                Self::FirstRejected => only(rejected.first()),
                Self::UpToFirstRejected => match rejected.first() {
                    Some(first) => pushed.range(..=first).copied().collect(),
                    None => BTreeSet::new(),
                },
                Self::Accepted => accepted,
                Self::First => only(pushed.first()),
                Self::Last => only(pushed.last()),
                Self::OneAccepted(number) => only(accepted.iter().nth(number % pushed.len())),
                Self::These(these) => pushed & these,
                Self::RejectedAndThese(these) => &rejected | &(pushed & these),
            }
        }
    }

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
                    .filter(|index| isolation.take_rejection(*index).is_some())
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

    /// A server that rejects pushes of the projects `bad`.
    fn named_search(count: usize, bad: &BTreeSet<usize>, style: &Naming) -> Found {
        search(count, |pushed| {
            let is_rejected = !pushed.is_disjoint(bad);
            is_rejected.then(|| (RejectionKind::Declined, style.names(pushed, bad)))
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
    fn projects_that_are_named_one_at_a_time_take_two_pushes_each() {
        let bad = BTreeSet::from([3, 20, 40]);
        let found = named_search(50, &bad, &Naming::FirstRejected);
        assert_eq!(found.rejected, bad);
        assert_eq!((found.landed.len(), found.pushes), (47, 6));
    }

    #[test]
    fn projects_that_are_named_together_are_pushed_again_alone() {
        let bad = BTreeSet::from([3, 20, 40]);
        let found = named_search(50, &bad, &Naming::Rejected);
        assert_eq!(found.rejected, bad);
        assert_eq!((found.landed.len(), found.pushes), (47, 5));
    }

    #[test]
    fn wrong_names_cost_a_few_pushes_more_than_none() {
        // The first path of a push, its last commit, a list of checks that ends at the first failure,
        // a hint that mentions another project, and several projects together.
        let styles = [
            Naming::First,
            Naming::Last,
            Naming::UpToFirstRejected,
            Naming::These(BTreeSet::from([0])),
            Naming::These(BTreeSet::from([0, 2, 4, 30, 31, 40, 49])),
        ];
        for style in styles {
            for bad in [
                [4].as_slice(),
                &[0, 30],
                &[19, 49],
                &[7, 22, 41],
                &[0, 1, 49],
            ] {
                let bad = bad.iter().copied().collect();
                let found = named_search(50, &bad, &style);
                assert_eq!(found.rejected, bad, "{style:?}");
                assert_eq!(found.landed.len(), 50 - bad.len(), "{style:?}, {bad:?}");
                let most = [0, 14, 21, 25][bad.len()];
                assert!(found.pushes <= most, "{style:?}, {bad:?}: {}", found.pushes);
            }
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

    /// Any naming among so many projects.
    fn style(count: usize) -> impl Strategy<Value = Naming> {
        prop_oneof![
            Just(Naming::Rejected),
            Just(Naming::FirstRejected),
            Just(Naming::UpToFirstRejected),
            Just(Naming::Accepted),
            Just(Naming::First),
            Just(Naming::Last),
            (0..count).prop_map(Naming::OneAccepted),
            some(count, count).prop_map(Naming::These),
            some(count, count).prop_map(Naming::RejectedAndThese),
        ]
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
        fn others_land_whatever_the_server_names(
            (count, bad, style) in (1..=50_usize)
                .prop_flat_map(|count| (Just(count), some(count, 3), style(count)))
        ) {
            let found = named_search(count, &bad, &style);
            prop_assert_eq!(found.landed.len(), count - bad.len());
            prop_assert_eq!(found.rejected, bad);
            prop_assert!(found.pushes <= 25, "{}", found.pushes);
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
