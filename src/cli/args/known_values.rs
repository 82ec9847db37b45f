//! Marks arguments whose values the configuration has, so that completions can suggest them.

use clap::builder::ArgExt;

/// The values that an argument accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KnownValues {
    /// The names of the projects.
    Projects,
    /// The names of `sync.environments`.
    Environments,
    /// Dotted keys.
    Keys,
    /// `KEY=VALUE`.
    KeyAssignments,
}

impl ArgExt for KnownValues {}
