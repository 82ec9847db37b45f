//! How numbers are told.

use std::fmt::Display;

/// A number of things: `1 file`, `3 files`.
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
