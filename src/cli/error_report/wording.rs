//! The parts that the reports share: lists of names, and the causes of an error.

use std::error::Error;

use crate::platform;

/// The maximum number of entries in a list of names or differences.
pub(super) const MAX_LISTED: usize = 20;

/// The messages of an error's sources, outermost first.
pub(super) fn sources(error: &dyn Error) -> Vec<String> {
    let chain = std::iter::successors(error.source(), |error: &&(dyn Error + 'static)| {
        (*error).source()
    });
    let of_system = |error: &(dyn Error + 'static)| error.downcast_ref().map(platform::words_of);
    chain
        .map(|error| of_system(error).unwrap_or_else(|| error.to_string()))
        .collect()
}

/// Names up to `max` of them, and the number of the others.
pub(super) fn listed(names: &[String], max: usize) -> String {
    let shown = names.iter().take(max).map(|name| format!("`{name}`"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(max) {
        0 => shown,
        omitted => format!("{shown} and {omitted} more"),
    }
}
