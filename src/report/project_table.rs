//! The table of a run for people: one row per project. Rows that need attention are last, next to the
//! errors that follow the table.

use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::Style;

/// A row of the table.
pub(super) struct ResultRow {
    pub(super) name: String,
    /// The numbers of added, modified, deleted and unchanged files; `None` if they are not known.
    pub(super) counts: Option<[u64; 4]>,
    pub(super) result: String,
    /// The style of the result.
    pub(super) paint: fn(Style, String) -> String,
}

/// The headings of the numbers, and the signs that replace them on a narrow terminal.
const HEADINGS: [(&str, &str); 4] = [
    ("added", "+"),
    ("modified", "~"),
    ("deleted", "-"),
    ("unchanged", "="),
];
/// The number of columns that a name keeps as long as only results can be cut, too.
const LONG_NAME: usize = 20;
/// The number of columns that a shortened name keeps.
const MIN_NAME: usize = 8;
/// The number of columns that a shortened result keeps: those of `synced` and a commit.
const MIN_RESULT: usize = 14;

/// Formats the table. If it is wider than the terminal, the headings of the numbers become signs, and
/// then results and names are cut.
pub(super) fn project_table(rows: &[ResultRow], terminal: Option<usize>, style: Style) -> String {
    let terminal = terminal.unwrap_or(usize::MAX);
    let long = Layout::new(rows, HEADINGS.map(|(long, _)| long));
    if long.width() <= terminal {
        return long.text(rows, style);
    }

    let mut short = Layout::new(rows, HEADINGS.map(|(_, short)| short));
    let excess = short.width().saturating_sub(terminal);
    // First long names are cut, then each loses a half, as long as it stays legible. Then the result,
    // whose reason follows the table.
    let from_long_name = excess.min(short.name.saturating_sub(LONG_NAME));
    short.name -= from_long_name;
    let excess = excess - from_long_name;
    let spare_name = short.name.saturating_sub(MIN_NAME);
    let spare_result = short.result.saturating_sub(MIN_RESULT);
    let from_result = (excess - (excess / 2).min(spare_name)).min(spare_result);
    let from_name = (excess - from_result).min(spare_name);
    let rest = (excess - from_result - from_name).min(short.result - from_result - 1);
    short.result -= from_result + rest;
    short.name -= from_name;
    short.text(rows, style)
}

/// The widths of the columns, without the space on both sides of each.
struct Layout {
    name: usize,
    headings: [&'static str; 4],
    counts: [usize; 4],
    result: usize,
}

impl Layout {
    fn new(rows: &[ResultRow], headings: [&'static str; 4]) -> Self {
        let mut layout = Self {
            name: "project".len(),
            headings,
            counts: headings.map(str::len),
            result: "result".len(),
        };
        for row in rows {
            layout.name = layout.name.max(row.name.width());
            layout.result = layout.result.max(row.result.width());
            for (column, number) in layout.counts.iter_mut().zip(shown_counts(row)) {
                *column = (*column).max(number.len());
            }
        }
        layout
    }

    fn width(&self) -> usize {
        let counts: usize = self.counts.iter().map(|width| width + 2).sum();
        self.name + 2 + counts + self.result + 1
    }

    fn text(&self, rows: &[ResultRow], style: Style) -> String {
        let mut text = self.line(
            "project",
            self.headings.map(str::to_owned),
            "result".to_owned(),
        );
        for row in rows {
            let counts = shown_counts(row);
            let counts: [String; 4] = std::array::from_fn(|column| {
                let padded = format!("{:>1$}", counts[column], self.counts[column]);
                match counts[column].as_str() {
                    "0" | "-" => style.faint(padded),
                    _ => padded,
                }
            });
            let result = (row.paint)(style, cut(&row.result, self.result));
            text.push_str(&self.line(&row.name, counts, result));
        }
        text
    }

    fn line(&self, name: &str, counts: [String; 4], result: String) -> String {
        let name = cut(name, self.name);
        let mut line = format!(" {name}{}", " ".repeat(self.name - name.width()));
        for (number, width) in counts.iter().zip(self.counts) {
            let _ = write!(line, "  {number:>width$}");
        }
        let _ = writeln!(line, "  {result}");
        line
    }
}

fn shown_counts(row: &ResultRow) -> [String; 4] {
    match row.counts {
        Some(counts) => counts.map(|count| count.to_string()),
        None => ["-"; 4].map(str::to_owned),
    }
}

/// Shortens a text to a number of columns, with `…` at its end.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut width = 0;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width >= columns {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, counts: Option<[u64; 4]>, result: &str) -> ResultRow {
        ResultRow {
            name: name.to_owned(),
            counts,
            result: result.to_owned(),
            paint: |style, text| style.good(text),
        }
    }

    #[test]
    fn table_fits_from_40_columns_on() {
        let rows = [
            row("api", Some([3, 0, 12, 104]), "synced 0123456"),
            row(
                &"long-name-".repeat(9),
                None,
                "pushed 0123456, not proposed on codex-sync/日本語-日本語-日本語",
            ),
            row("web", Some([0; 4]), "up to date"),
            row("big", Some([123_456; 4]), "synced 0123456"),
        ];
        for (terminal, rows) in [40, 60, 80, 120, 200].map(|terminal| (terminal, &rows)) {
            let rows = if terminal == 40 {
                &rows[..3]
            } else {
                &rows[..]
            };
            let text = project_table(rows, Some(terminal), Style { color: false });
            assert!(
                text.lines().all(|line| line.width() <= terminal),
                "{terminal}:\n{text}"
            );
            assert!(text.contains("synced"), "{text}");
        }
        let text = project_table(&rows[..1], Some(40), Style { color: false });
        assert_eq!(
            text,
            " project  +  ~   -    =  result\n api      3  0  12  104  synced 0123456\n"
        );
        let text = project_table(&rows[2..3], None, Style { color: true });
        assert!(text.contains("\u{1b}[2m    0\u{1b}[0m"), "{text:?}");
    }
}
