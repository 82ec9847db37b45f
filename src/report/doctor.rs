//! The JSON document of `doctor`. Its schema is `schemas/doctor.schema.json`.

use schemars::JsonSchema;
use serde::Serialize;

/// The result of `doctor`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DoctorReport {
    /// The version of the document's format.
    pub schema_version: u32,
    /// The checks, in the order in which they were made.
    pub checks: Vec<CheckReport>,
    /// The exit status.
    pub exit_code: u8,
}

/// The result of one check.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CheckReport {
    /// The subject of the check in one or two words, such as `disk`.
    pub subject: String,
    /// The result.
    pub verdict: CheckVerdict,
    /// A stable identifier: `ok`, `odd` for a warning, `skipped`, or the kind of the error.
    pub kind: String,
    /// The message.
    pub message: String,
    /// The underlying errors, outermost first.
    pub causes: Vec<String>,
    /// Suggested fixes.
    pub hints: Vec<String>,
    /// The commands in `hints` that can be run as they are, each as a list of arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub commands: Vec<Vec<String>>,
}

/// The result of a check in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckVerdict {
    /// A sync has what it needs.
    Ok,
    /// A sync works, but something is unusual.
    Warning,
    /// A sync would fail.
    Failed,
    /// The check was not made, because an earlier one failed.
    Skipped,
}

impl CheckVerdict {
    /// The word for people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}
