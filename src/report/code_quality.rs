//! The code quality report of GitLab, which it shows in a merge request: a JSON array with an entry
//! per finding of the checks, or per error of the configuration.

use std::collections::BTreeMap;

use bstr::ByteSlice;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::ErrorReport;
use super::source_place::SourcePlace;
use crate::checks::Severity;
use crate::outcome::SyncOutcome;
use crate::paths::escaped;

/// An entry. The names and values of the fields are those of GitLab.
#[derive(Serialize)]
struct Violation {
    description: String,
    check_name: String,
    /// Identifies the entry in another report, also if its line has moved.
    fingerprint: String,
    severity: &'static str,
    location: CodeLocation,
}

#[derive(Serialize)]
struct CodeLocation {
    /// The path from the directory of the repository.
    path: String,
    lines: FirstLine,
}

#[derive(Serialize)]
struct FirstLine {
    begin: u32,
}

/// The report of a run.
pub(crate) fn of_run(outcome: &SyncOutcome, checkout: &SourcePlace) -> String {
    let checkout = checkout.in_directory(&outcome.root);
    let mut fingerprints = Fingerprints::default();
    let violations = outcome.findings().map(|(project, finding)| {
        let (name, check) = (&project.name, finding.check.key());
        let source = escaped(&finding.source).to_string();
        let parts = [name.as_str(), check, &source, &finding.digest];
        Violation {
            description: format!("{name}: {} ({check})", finding.message),
            check_name: check.to_owned(),
            fingerprint: fingerprints.next(&parts),
            severity: match finding.severity {
                Severity::Withhold => "critical",
                Severity::Warn => "minor",
            },
            location: CodeLocation {
                path: checkout.path_of(finding.file.as_bstr()),
                lines: FirstLine {
                    begin: u32::try_from(finding.line).unwrap_or(u32::MAX),
                },
            },
        }
    });
    document(violations)
}

/// The report of a run that an invalid configuration has prevented; `None` if no error is about a
/// file.
pub(crate) fn of_failure(error: &ErrorReport, checkout: &SourcePlace) -> Option<String> {
    let mut fingerprints = Fingerprints::default();
    let violations = error.issues.iter().filter_map(|issue| {
        let path = checkout.path_of(issue.file.as_ref()?.as_bytes().as_bstr());
        let hint = issue.hint.as_ref().map(|hint| format!(" ({hint})"));
        let field = issue.field.clone().unwrap_or_default();
        Some(Violation {
            description: format!("{}{}", issue.message, hint.unwrap_or_default()),
            check_name: "configuration".to_owned(),
            fingerprint: fingerprints.next(&["configuration", &path, &field, &issue.message]),
            severity: "blocker",
            location: CodeLocation {
                path,
                lines: FirstLine {
                    begin: issue.line.unwrap_or(1),
                },
            },
        })
    });
    let violations: Vec<_> = violations.collect();
    (!violations.is_empty()).then(|| document(violations))
}

fn document(violations: impl IntoIterator<Item = Violation>) -> String {
    let violations: Vec<_> = violations.into_iter().collect();
    let mut text = serde_json::to_string_pretty(&violations).unwrap_or_default();
    text.push('\n');
    text
}

/// Makes fingerprints. Equal findings of one file are numbered, because each needs its own.
#[derive(Default)]
struct Fingerprints(BTreeMap<String, u32>);

impl Fingerprints {
    fn next(&mut self, parts: &[&str]) -> String {
        let key = parts.join("\0");
        let count = self.0.entry(key.clone()).or_default();
        *count += 1;
        let digest = Sha256::digest(format!("{key}\0{count}"));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
