//! The depths of fetches that search the history of a branch.

use std::iter;

/// The number of commits that are searched first.
const FIRST: u32 = 256;
/// The factor by which each further search is deeper.
const GROWTH: u32 = 8;
/// The depth that git treats as the whole history.
const WHOLE_HISTORY: u32 = i32::MAX.cast_unsigned();

/// The depths to search, each deeper than the one before. The last one is the whole history.
pub(super) fn search_depths() -> impl Iterator<Item = u32> {
    iter::successors(Some(FIRST), |depth| {
        (*depth < WHOLE_HISTORY).then(|| depth.saturating_mul(GROWTH).min(WHOLE_HISTORY))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_depth_is_the_whole_history() {
        let depths: Vec<_> = search_depths().collect();
        assert_eq!(depths[..3], [256, 2048, 16384]);
        assert_eq!(depths.last(), Some(&WHOLE_HISTORY));
        assert!(depths.is_sorted_by(|one, next| one < next));
    }
}
