//! How results and log lines are written.

use clap::{Args, ValueEnum};

/// `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// Where the stream is a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table.
    Human,
    /// One document.
    Json,
    /// A line an event, as they happen; the document is in the last.
    Ndjson,
}

impl Format {
    /// Whether it is text for people, and not a document for programs.
    pub(crate) fn is_for_people(self) -> bool {
        match self {
            Self::Human => true,
            Self::Json | Self::Ndjson => false,
        }
    }
}

/// `--format` of a command that has no events to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// Text.
    Human,
    /// One document.
    Json,
}

/// How results are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// How the result is written to standard output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: Format,
}

impl OutputArgs {
    /// The format asked for in either way.
    pub(crate) fn chosen(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// How the results of a command are written that has no events to tell.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct DocumentArgs {
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// How the result is written to standard output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: DocumentFormat,
}

impl DocumentArgs {
    /// Whether it is asked for as JSON, in either way.
    pub(crate) fn is_json(&self) -> bool {
        self.json || self.format == DocumentFormat::Json
    }
}
