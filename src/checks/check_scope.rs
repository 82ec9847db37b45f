//! The files that a run checks.

/// The files that a run checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CheckScope {
    /// No files.
    Nothing,
    /// The files that the plan adds or modifies.
    #[default]
    ChangedFiles,
    /// All files of the projects, so that a dry run also finds what was published before. In a file
    /// that the plan does not change, every finding is a warning.
    AllFiles,
}
