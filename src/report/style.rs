//! Colours of the human output. Colour never carries information that the text does not.

use std::fmt::Display;

use owo_colors::OwoColorize;

/// The colours of one output stream, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether escape codes are written.
    pub color: bool,
}

impl Style {
    /// Success: green.
    pub(crate) fn good(self, text: impl Display) -> String {
        if self.color {
            text.green().to_string()
        } else {
            text.to_string()
        }
    }

    /// Needs attention: bold yellow.
    pub(crate) fn warn(self, text: impl Display) -> String {
        if self.color {
            text.yellow().bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// Failure: bold red.
    pub(crate) fn bad(self, text: impl Display) -> String {
        if self.color {
            text.red().bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// Emphasis: bold.
    pub(crate) fn strong(self, text: impl Display) -> String {
        if self.color {
            text.bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// Secondary information: dimmed.
    pub(crate) fn faint(self, text: impl Display) -> String {
        if self.color {
            text.dimmed().to_string()
        } else {
            text.to_string()
        }
    }
}
