//! Reads TOML, in files and in the values of variables and flags, with the position and the literal
//! text of every value.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::location::Origin;
use super::tree::{KeyNode, Map, Node, NodeValue};
use super::yaml::{DUPLICATE_HINT, Malformed};

/// Reads a document. `whole` is its origin.
pub(crate) fn document(text: &str, whole: &Origin) -> Result<Node, Malformed> {
    let converter = TomlConverter {
        text,
        whole,
        has_positions: true,
    };
    let table = DeTable::parse(text).map_err(|error| converter.malformed(&error))?;
    let at = converter.at(table.span().start);
    Ok(Node {
        value: NodeValue::Map(converter.table(table.into_inner())),
        at,
    })
}

/// Reads the value of a variable or of `--config KEY=VALUE`. All nodes in it have the origin `at`.
pub(crate) fn value(text: &str, at: &Origin) -> Result<Node, Malformed> {
    let converter = TomlConverter {
        text,
        whole: at,
        has_positions: false,
    };
    let value = DeValue::parse(text).map_err(|error| converter.malformed(&error))?;
    Ok(converter.node(value))
}

/// Splits a dotted key into its segments, which can be quoted; `None` if it is invalid.
pub(crate) fn key(text: &str) -> Option<Vec<String>> {
    if text.contains(['\n', '=']) {
        return None;
    }
    let document = format!("{text} = 0");
    let mut table = DeTable::parse(&document).ok()?.into_inner();
    let mut path = Vec::new();
    loop {
        let mut entries = table.into_iter();
        let (name, value) = entries.next()?;
        path.push(name.into_inner().into_owned());
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(path),
        }
    }
}

/// Converts parsed TOML to nodes.
struct TomlConverter<'t> {
    text: &'t str,
    whole: &'t Origin,
    has_positions: bool,
}

impl TomlConverter<'_> {
    /// The line and column at a byte offset, both counted from 1.
    fn position(&self, offset: usize) -> (u32, u32) {
        let before = self.text.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        (
            u32::try_from(line).unwrap_or(0),
            u32::try_from(column).unwrap_or(0),
        )
    }

    /// The origin of the value at a byte offset.
    fn at(&self, offset: usize) -> Origin {
        if !self.has_positions {
            return self.whole.clone();
        }
        let (line, column) = self.position(offset);
        Origin {
            line,
            column,
            ..self.whole.clone()
        }
    }

    /// Converts an error of the parser, with the first line of its message.
    fn malformed(&self, error: &::toml::de::Error) -> Malformed {
        let (line, column) = error
            .span()
            .map_or((0, 0), |span| self.position(span.start));
        let reason = error.message().lines().next().unwrap_or_default();
        let reason = crate::paths::escaped(reason.as_bytes()).to_string();
        let duplicate = reason.contains("duplicate key");
        let key = error.span().and_then(|span| self.text.get(span));
        let key = key
            .map(|key| key.trim_matches(['"', '\'']))
            .filter(|_| duplicate);
        Malformed {
            reason: match key {
                Some(key) => format!("duplicate key `{}`", crate::paths::escaped(key.as_bytes())),
                None => reason,
            },
            line,
            column,
            duplicate,
            hint: duplicate.then_some(DUPLICATE_HINT),
        }
    }

    /// Converts a table. Every entry keeps the origin of its key.
    fn table(&self, table: DeTable<'_>) -> Map {
        let entry = |(key, value): (Spanned<_>, _)| {
            let at = self.at(key.span().start);
            let name: std::borrow::Cow<'_, str> = key.into_inner();
            (
                name.into_owned(),
                KeyNode {
                    key: at,
                    node: self.node(value),
                },
            )
        };
        table.into_iter().map(entry).collect()
    }

    /// Converts a value. Numbers and dates keep their literal text, so that `1.10` is not changed
    /// to `1.1`.
    fn node(&self, value: Spanned<DeValue<'_>>) -> Node {
        let span = value.span();
        let at = self.at(span.start);
        let written = self.text.get(span).map(str::to_owned);
        let value = match value.into_inner() {
            DeValue::String(text) => NodeValue::Text(text.into_owned()),
            DeValue::Array(list) => {
                NodeValue::List(list.into_iter().map(|element| self.node(element)).collect())
            }
            DeValue::Table(table) => NodeValue::Map(self.table(table)),
            DeValue::Integer(number) => {
                NodeValue::Text(written.unwrap_or_else(|| number.to_string()))
            }
            DeValue::Float(number) => {
                NodeValue::Text(written.unwrap_or_else(|| number.to_string()))
            }
            DeValue::Boolean(value) => NodeValue::Text(value.to_string()),
            DeValue::Datetime(value) => {
                NodeValue::Text(written.unwrap_or_else(|| value.to_string()))
            }
        };
        Node { value, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_keys_with_quoted_segments() {
        let split = |text| key(text).map(|path| path.join("|"));
        assert_eq!(
            split("sync.to_codex.include").as_deref(),
            Some("sync|to_codex|include")
        );
        assert_eq!(
            split("projects.\"codex.acme.com\".to").as_deref(),
            Some("projects|codex.acme.com|to")
        );
        assert_eq!(split("a b"), None);
        assert_eq!(split(""), None);
        assert_eq!(split("a=1\nb"), None);
    }
}
