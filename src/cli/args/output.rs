//! Arguments that choose the format of results and log lines.

use clap::{Args, ValueEnum};

/// `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// Only if the stream is a terminal.
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
    /// Human-readable text.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// `--format` of a command that reports events while it runs, such as `sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text and a table for people.
    Human,
    /// One JSON document.
    Json,
    /// One JSON event per line; the last line holds the full result.
    Ndjson,
}

impl Format {
    /// Whether the format is human-readable text rather than a document for programs.
    pub(crate) fn is_for_people(self) -> bool {
        match self {
            Self::Human => true,
            Self::Json | Self::Ndjson => false,
        }
    }
}

/// `--format` of a command without events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// Text.
    Human,
    /// One JSON document.
    Json,
}

/// Output options of a command that reports events while it runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Same as `--format json`
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: Format,
}

impl OutputArgs {
    /// The requested format.
    pub(crate) fn chosen(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// Output options of a command without events.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct DocumentArgs {
    /// Same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: DocumentFormat,
}

impl DocumentArgs {
    /// Whether JSON was requested.
    pub(crate) fn is_json(&self) -> bool {
        match self.format {
            DocumentFormat::Human => self.json,
            DocumentFormat::Json => true,
        }
    }
}

/// `--format` of a command that shows a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// Text and a table for people.
    Human,
    /// The JSON document of the dry run.
    Json,
    /// Markdown for a comment on a pull request.
    Markdown,
}

/// Output options of a command that shows a plan.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct PlanOutputArgs {
    /// Same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: PlanFormat,
}

impl PlanOutputArgs {
    /// The requested format.
    pub(crate) fn chosen(&self) -> PlanFormat {
        if self.json {
            PlanFormat::Json
        } else {
            self.format
        }
    }
}
