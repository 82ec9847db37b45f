//! Formats a line of a file with a mark below the part that an error is about.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::style::Style;
use crate::config::source_line::SourceLine;

/// The width of an output that is not a terminal. Longer lines are cut.
const DEFAULT_WIDTH: usize = 120;

/// Formats the line, indented below the message that it belongs to. `width` is that of the terminal.
pub(crate) fn snippet(line: &SourceLine, style: Style, width: Option<usize>) -> String {
    const INDENT: &str = "  ";
    let renderer = match style.color {
        true => Renderer::styled(),
        false => Renderer::plain(),
    };
    let width = width.unwrap_or(DEFAULT_WIDTH).saturating_sub(INDENT.len());

    let number = usize::try_from(line.number).unwrap_or_default();
    let mark = AnnotationKind::Primary.span(line.span.clone());
    let source = Snippet::source(&line.text)
        .line_start(number)
        .annotation(mark);
    let group = Group::with_level(Level::ERROR).element(source);
    let rendered = renderer.term_width(width).render(&[group]);
    rendered
        .lines()
        .map(|line| format!("{INDENT}{}\n", line.trim_end()))
        .collect()
}
