//! A finding: the report of a check about a place in a file.

use std::borrow::Cow;
use std::fmt;

use bstr::BString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::paths::escaped;

/// A check of the contents or the paths of published files. The names are those of the keys below
/// `sync.checks`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContentCheck {
    /// Tokens, keys and passwords.
    Secrets,
    /// Marks of an unresolved merge conflict.
    ConflictMarkers,
    /// Pointers of git LFS in the place of their files.
    LfsPointers,
    /// Files that are large for documentation.
    LargeFiles,
    /// Paths that differ only in case or Unicode form.
    CaseCollisions,
    /// Links that will not work in the codex.
    Links,
}

/// The effect of a finding on its project.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// The project is published.
    Warn,
    /// The project is withheld.
    Withhold,
}

/// The report of a check about a place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The check.
    pub check: ContentCheck,
    /// A stable identifier of the kind of finding.
    pub kind: Cow<'static, str>,
    /// The effect on the project.
    pub severity: Severity,
    /// The path in the codex.
    pub path: BString,
    /// The path of the source file below the project's root.
    pub source: BString,
    /// The path of the source file, relative to the workspace if it is inside.
    pub file: BString,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// A description. It never contains a secret.
    pub message: String,
    /// Identifies the finding in `sync.checks.allow`.
    pub digest: String,
}

/// A result of a check, before it is known whether it is allowed.
pub(crate) struct Detection {
    pub check: ContentCheck,
    pub kind: &'static str,
    /// The offset in the file, in bytes.
    pub offset: usize,
    pub message: String,
    /// The text that makes this finding different from others of its kind. Only its digest is
    /// shown.
    pub subject: Vec<u8>,
}

impl ContentCheck {
    /// The key of the check below `sync.checks`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::ConflictMarkers => "conflict_markers",
            Self::LfsPointers => "lfs_pointers",
            Self::LargeFiles => "large_files",
            Self::CaseCollisions => "case_collisions",
            Self::Links => "links",
        }
    }

    /// The texts that allow the findings of this check. See [`super::lines::FileLines::allow`] for
    /// their place.
    pub(crate) fn markers(self) -> &'static [&'static str] {
        match self {
            Self::Secrets => &["codex:allow-secret", "gitleaks:allow"],
            Self::ConflictMarkers => &["codex:allow-conflict"],
            // They are about a whole file, which may have no place for a comment.
            Self::LfsPointers | Self::LargeFiles | Self::CaseCollisions => &[],
            Self::Links => &["codex:allow-link"],
        }
    }
}

impl Detection {
    /// The number of hexadecimal digits of a digest: enough for no two findings of a codex to have
    /// the same one by chance.
    const DIGEST_LENGTH: usize = 16;

    /// The digest of the kind and the subject.
    pub(crate) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.kind);
        hash.update([0]);
        hash.update(&self.subject);
        let digest = hash.finalize();
        let digits = digest.iter().map(|byte| format!("{byte:02x}"));
        digits.take(Self::DIGEST_LENGTH / 2).collect()
    }
}

impl fmt::Display for Finding {
    /// The place, the description, and the words that a configuration needs to allow the finding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, .. } = self;
        write!(
            f,
            "{}:{line}:{column}: {}",
            escaped(&self.file),
            self.message
        )?;
        write!(f, " ({}, {})", self.check.key(), self.digest)
    }
}
