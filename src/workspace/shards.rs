//! Divides projects among shards (`--shard K/N`), so that several machines can sync one workspace.
//!
//! Every machine computes the same assignment from the names of the projects and their numbers of
//! files. Each project prefers the shards in an order of its own, which depends on its name alone, and
//! goes to the first one that has room. So a new project moves few others.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::object::{Kind, hash};

/// The greatest number of shards.
const MAX_SHARDS: usize = 10_000;

/// One of several shards: `K/N`, or `K/N:DIGEST` with the digest of the assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard {
    /// The number of the shard, from 1.
    pub(crate) number: usize,
    /// The number of all shards.
    pub(crate) count: usize,
    /// The digest of the assignment that the shard belongs to, if it is given.
    pub(crate) digest: Option<String>,
}

/// The text is not a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected K/N with 1 <= K <= N <= {MAX_SHARDS}, e.g. `1/8`")]
pub(crate) struct InvalidShard;

impl FromStr for Shard {
    type Err = InvalidShard;

    fn from_str(text: &str) -> Result<Self, InvalidShard> {
        let (numbers, digest) = match text.split_once(':') {
            Some((numbers, digest)) => (numbers, Some(digest.to_owned())),
            None => (text, None),
        };
        let (number, count) = numbers.split_once('/').ok_or(InvalidShard)?;
        let parse = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_number).ok_or(InvalidShard)
        };
        let (number, count): (usize, usize) = (parse(number)?, parse(count)?);
        let is_digest = |digest: &String| digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_valid = (1..=count).contains(&number)
            && count <= MAX_SHARDS
            && digest
                .as_ref()
                .is_none_or(|digest| !digest.is_empty() && is_digest(digest));
        is_valid
            .then_some(Self {
                number,
                count,
                digest,
            })
            .ok_or(InvalidShard)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

/// The shards of projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The number of shards.
    pub(crate) count: usize,
    /// The number of the shard of each project, from 1, in the order of the projects.
    pub(crate) shards: Vec<usize>,
    /// Identifies the assignment.
    pub(crate) digest: String,
}

impl Assignment {
    /// The numbers of the shards that have projects. There can be others if there are few projects, or
    /// if their sizes are very different.
    pub(crate) fn used(&self) -> BTreeSet<usize> {
        self.shards.iter().copied().collect()
    }

    /// The value of `--shard` for the shard with this number, with the digest.
    pub(crate) fn value(&self, number: usize) -> String {
        format!("{number}/{}:{}", self.count, self.digest)
    }
}

/// Assigns projects, each with its name and its number of files, to `count` shards.
pub(crate) fn assign(projects: &[(&str, u64)], count: usize) -> Assignment {
    let keys: Vec<u64> = projects.iter().map(|(name, _)| key(name)).collect();
    let weight = |index: usize| projects[index].1.max(1);
    let mut order: Vec<usize> = (0..projects.len()).collect();
    // Large projects first, in coarse steps, so that a few more files rarely change the order.
    order.sort_by_key(|index| {
        (
            Reverse(weight(*index).ilog2()),
            keys[*index],
            projects[*index].0,
        )
    });

    let total: u64 = order.iter().map(|index| weight(*index)).sum();
    let capacity = capacity(total, count.max(1) as u64);
    let mut loads = vec![0; count];
    let mut shards = vec![0; projects.len()];
    for index in order {
        let weight = weight(index);
        let score = |shard: usize| mixed(keys[index] ^ mixed(shard as u64 + 1));
        let with_room = (0..count).filter(|shard| loads[*shard] + weight <= capacity);
        let preferred = with_room.max_by_key(|shard| score(*shard));
        let least = || (0..count).min_by_key(|shard| (loads[*shard], Reverse(score(*shard))));
        let shard = preferred.or_else(least).unwrap_or_default();
        loads[shard] += weight;
        shards[index] = shard + 1;
    }

    let lines: String = projects
        .iter()
        .zip(&shards)
        .map(|((name, _), shard)| format!("{name} {shard}\n"))
        .collect();
    let digest = hash(Kind::Blob, format!("{count}\n{lines}").as_bytes());
    Assignment {
        count,
        shards,
        digest: digest.to_string()[..12].to_owned(),
    }
}

/// The number of files that a shard has room for: somewhat more than an equal part. It is rounded up,
/// so that it stays the same while the number of files changes a little.
fn capacity(total: u64, count: u64) -> u64 {
    let part = total.div_ceil(count);
    let step = (part / 64).max(1);
    let step = 1 << step.ilog2();
    (part + part / 64).next_multiple_of(step)
}

/// A number that depends on the name of a project alone.
fn key(name: &str) -> u64 {
    let id = hash(Kind::Blob, name.as_bytes());
    id.0[..8]
        .iter()
        .fold(0, |key, byte| (key << 8) | u64::from(*byte))
}

/// Mixes the bits of a number (the finalizer of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count)
            .map(|number| format!("team-{}-service-{number}", number % 17))
            .collect()
    }

    /// Sizes from 1 to 61 files, most of them small.
    fn weights(names: &[String]) -> Vec<(&str, u64)> {
        let weight = |name: &str| 1 + 60 / (1 + key(name) % 60);
        names
            .iter()
            .map(|name| (name.as_str(), weight(name)))
            .collect()
    }

    fn loads(projects: &[(&str, u64)], assignment: &Assignment, count: usize) -> Vec<u64> {
        let mut loads = vec![0; count];
        for ((_, weight), shard) in projects.iter().zip(&assignment.shards) {
            loads[shard - 1] += weight;
        }
        loads
    }

    #[test]
    fn shard_is_k_of_n() {
        let shard: Shard = "3/8:0a1b2c".parse().unwrap();
        assert_eq!(
            (shard.number, shard.count, shard.digest.as_deref()),
            (3, 8, Some("0a1b2c"))
        );
        for text in [
            "", "1", "0/8", "9/8", "1/0", "1/8/2", "-1/8", "+1/8", "1/8:", "1/8:xyz", "a/b",
            "1/10001", "1 /8",
        ] {
            assert_eq!(text.parse::<Shard>(), Err(InvalidShard), "{text}");
        }
    }

    #[test]
    fn shards_have_similar_numbers_of_files() {
        for count in [1, 2, 3, 5, 8, 13] {
            for equal in [true, false] {
                let names = names(400);
                let mut projects = weights(&names);
                if equal {
                    projects.iter_mut().for_each(|(_, weight)| *weight = 4);
                }
                let loads = loads(&projects, &assign(&projects, count), count);
                let mean = loads.iter().sum::<u64>() as f64 / count as f64;
                for load in &loads {
                    let ratio = *load as f64 / mean;
                    assert!((0.8..=1.2).contains(&ratio), "{count} shards: {loads:?}");
                }
            }
        }
    }

    #[test]
    fn shard_without_projects_is_not_used() {
        let names = names(40);
        let pairs = names.windows(2);
        let with_large = pairs.map(|pair| {
            let small = pair.iter().map(|name| (name.as_str(), 1));
            let projects: Vec<_> = std::iter::once(("large", 100)).chain(small).collect();
            assign(&projects, 3)
        });
        let used: BTreeSet<_> = with_large
            .map(|assignment| {
                let used = assignment.used();
                assert!(assignment.shards.iter().all(|shard| used.contains(shard)));
                used.len()
            })
            .collect();
        // The small projects are together in some of the cases.
        assert_eq!(used, BTreeSet::from([2, 3]));
    }

    #[test]
    fn new_project_moves_few_others() {
        let names = names(400);
        let projects = weights(&names);
        let before = assign(&projects, 8).shards;
        let mut moved = 0;
        for number in 0..100 {
            let name = format!("new-{number}");
            let mut more = projects.clone();
            more.push((&name, 1 + number % 40));
            let after = assign(&more, 8).shards;
            moved += before
                .iter()
                .zip(&after)
                .filter(|(one, other)| one != other)
                .count();
        }
        // The average is the number of projects that one more project moves.
        assert!(
            moved <= 100 * 16,
            "{moved} moves of 400 projects in 100 trials"
        );
    }

    #[test]
    fn order_of_projects_does_not_matter() {
        let names = names(50);
        let projects = weights(&names);
        let reversed: Vec<_> = projects.iter().rev().copied().collect();
        let mut shards = assign(&reversed, 4).shards;
        shards.reverse();
        assert_eq!(shards, assign(&projects, 4).shards);
        assert_eq!(assign(&[], 4).shards, [0; 0]);
    }
}
