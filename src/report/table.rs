//! Plain-text tables without borders.

use comfy_table::{CellAlignment, ContentArrangement, Table};

/// Formats a table with right-aligned columns at the indexes in `numbers`. Lines that are wider
/// than the terminal are neither cut nor wrapped.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    numbers: &[usize],
) -> String {
    let mut table = plain_table();
    table.set_header(header).add_rows(rows);

    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    text(&table)
}

/// Formats a table with left-aligned columns, whose number is that of the header.
pub(crate) fn columns(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = plain_table();
    table.set_header(header.to_vec()).add_rows(rows);
    text(&table)
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn text(table: &Table) -> String {
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}
