//! Colours of the human output. Colour never carries information that the text does not.

use std::fmt::Display;

use owo_colors::OwoColorize;

/// Formatting of one output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether escape codes are written.
    pub color: bool,
}

impl Style {
    /// Success: green.
    pub fn good(self, text: impl Display) -> String {
        if self.color {
            text.green().to_string()
        } else {
            text.to_string()
        }
    }

    /// Needs attention: bold yellow.
    pub fn warn(self, text: impl Display) -> String {
        if self.color {
            text.yellow().bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// Failure: bold red.
    pub fn bad(self, text: impl Display) -> String {
        if self.color {
            text.red().bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// Emphasis: bold.
    pub fn strong(self, text: impl Display) -> String {
        if self.color {
            text.bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// Secondary information: dimmed.
    pub fn faint(self, text: impl Display) -> String {
        if self.color {
            text.dimmed().to_string()
        } else {
            text.to_string()
        }
    }
}
