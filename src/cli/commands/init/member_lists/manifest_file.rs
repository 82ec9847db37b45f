//! Reads the files of build tools.

use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::paths::{escaped, shown};

/// Reads and parses a file; `None` if it does not exist.
pub(super) fn read<T, E: Display>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<Result<T, String>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        text => text,
    };
    let reason = |error: &dyn Display| {
        let error = error.to_string();
        let first = error.trim().lines().next().unwrap_or_default();
        format!(
            "cannot read `{}`: {}",
            shown(path),
            escaped(first.as_bytes())
        )
    };
    Some(match text {
        Ok(text) => parse(text.trim_start_matches('\u{feff}')).map_err(|error| reason(&error)),
        Err(error) => Err(reason(&error)),
    })
}

/// Reads a TOML file; `None` if it does not exist.
pub(super) fn read_toml(path: &Path) -> Option<Result<toml::Table, String>> {
    read(path, str::parse::<toml::Table>)
}

/// The value at a path of keys.
pub(super) fn toml_at<'t>(table: &'t toml::Table, path: &[&str]) -> Option<&'t toml::Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(table.get(*first)?, |value, key| value.get(key))
}

/// The strings of a list.
pub(super) fn toml_strings(value: Option<&toml::Value>) -> Vec<&str> {
    let elements = value.and_then(toml::Value::as_array);
    elements
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str)
        .collect()
}
