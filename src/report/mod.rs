//! Outcomes and events, written for people and for machines. Everything that is printed is decided here.

pub mod github;
pub mod human;
pub mod json;
pub mod ndjson;
pub mod page;
pub mod progress;
pub mod style;
pub mod table;

use serde::Serialize;

/// An error as every output shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ErrorReport {
    /// A stable name of the cause.
    pub kind: &'static str,
    /// What failed, with the names involved.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// What lies behind it, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub causes: Vec<String>,
}
