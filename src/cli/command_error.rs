//! The error of a command: its report and the exit status.

use super::{error_report, exit};
use crate::cache::CacheError;
use crate::config::problem::Problems;
use crate::masked_urls::mask_urls;
use crate::outcome::SyncError;
use crate::report::ErrorReport;
use crate::sync::FormerDirectoryError;
use crate::sync::changed_since::ChangedSinceError;
use crate::sync::fetch::FetchError;
use crate::sync::trace::TraceError;
use crate::workspace::SelectError;
use crate::workspace::document_uri::InvalidUri;

/// An error that ends a command.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// The contents for every output format.
    pub(crate) report: ErrorReport,
    /// The exit status.
    pub(crate) exit: u8,
}

impl CommandError {
    /// An error without an underlying cause.
    pub(crate) fn new(
        exit: u8,
        kind: &'static str,
        message: impl Into<String>,
        hints: Vec<String>,
    ) -> Self {
        let report = ErrorReport {
            kind: kind.into(),
            message: message.into(),
            hints,
            causes: Vec::new(),
            ..ErrorReport::default()
        };
        Self {
            report: without_secrets(report),
            exit,
        }
    }

    /// Wrong usage of the command line, without a hint.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, "usage", message, Vec::new())
    }

    /// Adds a hint after the existing ones.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.report.hints.push(mask_urls(&hint.into()).into_owned());
        self
    }
}

/// Masks what an error can repeat of the arguments and of names: accounts and queries of URLs.
fn without_secrets(report: ErrorReport) -> ErrorReport {
    let masked = |texts: Vec<String>| {
        let texts = texts.into_iter();
        texts.map(|text| mask_urls(&text).into_owned()).collect()
    };
    ErrorReport {
        message: mask_urls(&report.message).into_owned(),
        hints: masked(report.hints),
        causes: masked(report.causes),
        ..report
    }
}

impl From<&Problems> for CommandError {
    fn from(problems: &Problems) -> Self {
        Self {
            report: error_report::of_configuration(problems),
            exit: exit::CONFIGURATION,
        }
    }
}

impl From<&SelectError> for CommandError {
    fn from(error: &SelectError) -> Self {
        Self {
            report: without_secrets(error_report::of_selection(error)),
            exit: exit::USAGE,
        }
    }
}

impl From<&ChangedSinceError> for CommandError {
    fn from(error: &ChangedSinceError) -> Self {
        Self {
            report: without_secrets(error_report::of_changed_since(error)),
            exit: exit::USAGE,
        }
    }
}

impl From<&SyncError> for CommandError {
    fn from(error: &SyncError) -> Self {
        Self {
            report: error_report::of_error(error),
            exit: exit::of_error(error),
        }
    }
}

impl From<&FormerDirectoryError> for CommandError {
    fn from(error: &FormerDirectoryError) -> Self {
        Self {
            report: without_secrets(error_report::of_former_directory(error)),
            exit: exit::USAGE,
        }
    }
}

impl From<&InvalidUri> for CommandError {
    fn from(error: &InvalidUri) -> Self {
        Self {
            report: without_secrets(error_report::of_uri(error)),
            exit: exit::USAGE,
        }
    }
}

impl From<&FetchError> for CommandError {
    fn from(error: &FetchError) -> Self {
        Self {
            report: without_secrets(error_report::of_fetch(error)),
            exit: exit::of_fetch(error),
        }
    }
}

impl From<&TraceError> for CommandError {
    fn from(error: &TraceError) -> Self {
        Self {
            report: without_secrets(error_report::of_trace(error)),
            exit: match error {
                TraceError::Missing(error) => exit::of_fetch(error),
                _ => exit::SOME_FAILED,
            },
        }
    }
}

impl From<&CacheError> for CommandError {
    fn from(error: &CacheError) -> Self {
        Self {
            report: without_secrets(error_report::of_cache(error)),
            exit: exit::of_cache(error),
        }
    }
}
