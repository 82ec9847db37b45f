//! Colour, where it is wanted. Nothing is told by colour alone.

use std::fmt::Display;

use owo_colors::OwoColorize;

/// How one stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether escape codes are written.
    pub color: bool,
}

impl Style {
    /// Good news.
    pub fn good(self, text: impl Display) -> String {
        if self.color {
            text.green().to_string()
        } else {
            text.to_string()
        }
    }

    /// Something to look at.
    pub fn warn(self, text: impl Display) -> String {
        if self.color {
            text.yellow().bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// Bad news.
    pub fn bad(self, text: impl Display) -> String {
        if self.color {
            text.red().bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// What matters most.
    pub fn strong(self, text: impl Display) -> String {
        if self.color {
            text.bold().to_string()
        } else {
            text.to_string()
        }
    }

    /// What matters less.
    pub fn faint(self, text: impl Display) -> String {
        if self.color {
            text.dimmed().to_string()
        } else {
            text.to_string()
        }
    }
}
