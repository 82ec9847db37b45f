//! Reads YAML, and JSON as a subset of it, with the position and the literal text of every value.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Location, Spanned};

use super::location::Origin;
use super::tree::{KeyNode, Map, Node, NodeValue};

/// A syntax error and its position.
pub(crate) struct Malformed {
    pub(crate) reason: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Whether the error is a duplicate key.
    pub(crate) duplicate: bool,
}

/// Reads one document; `None` if it is empty.
pub(crate) fn parse(text: &str, whole: &Origin) -> Result<Option<Node>, Malformed> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        // Numbers are kept as text, so a number that is not finite is no error.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
        // More than any file written by hand needs, and low enough that an alias bomb fails at
        // once.
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000 },
    };
    let parsed: Option<Spanned<Yaml>> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| {
            let error = error.without_snippet();
            let (line, column) = error.location().map_or((0, 0), position);
            let duplicate = matches!(error, Error::DuplicateMappingKey { .. });
            Malformed {
                reason: reason(error),
                line,
                column,
                duplicate,
            }
        })?;
    let node = parsed.map(|value| YamlConverter { text, whole }.node(value));
    Ok(node.filter(|node| !matches!(node.value, NodeValue::Nothing)))
}

/// The parser's message without the position, which is shown in this program's own form.
fn reason(error: &Error) -> String {
    let message = match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("duplicate key `{key}`")
        }
        Error::DuplicateMappingKey { key: None, .. } => "duplicate key".to_owned(),
        Error::MultipleDocuments { .. } => "more than one document in the file".to_owned(),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            "too large: too many values or aliases".to_owned()
        }
        Error::AliasError { error, .. } => return reason(error),
        other => {
            let text = other.to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            first[..first.find(" at line ").unwrap_or(first.len())]
                .trim()
                .to_owned()
        }
    };
    let mut message = crate::paths::escaped(message.as_bytes()).to_string();
    if message.chars().count() > 200 {
        message = message.chars().take(200).chain(['…']).collect();
    }
    message
}

fn position(location: Location) -> (u32, u32) {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(0);
    (narrow(location.line()), narrow(location.column()))
}

/// A parsed value, before the literal text of its scalars is known.
enum Yaml {
    Null,
    /// A scalar that YAML reads as a number or a boolean. Its literal text is taken from the
    /// source.
    Inferred(String),
    Text(String),
    List(Vec<Spanned<Yaml>>),
    Map(Vec<(Spanned<YamlKey>, Spanned<Yaml>)>),
}

/// A key, which must be a scalar: YAML also allows maps and lists as keys.
struct YamlKey(String);

impl<'de> Deserialize<'de> for YamlKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer);
        text.map(Self)
            .map_err(|_| de::Error::custom("a key must be a string; quote it if necessary"))
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

/// Accepts any value, and keeps the order of the entries of a map.
struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Inferred(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Inferred(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Inferred(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Yaml, E> {
        Ok(Yaml::Inferred(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Yaml, E> {
        Ok(Yaml::Inferred(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Inferred(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Yaml, E> {
        Ok(Yaml::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Yaml, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Yaml::Map(entries))
    }
}

/// Converts parsed YAML to nodes.
struct YamlConverter<'t> {
    text: &'t str,
    whole: &'t Origin,
}

impl YamlConverter<'_> {
    /// The origin of the value at a location.
    fn at(&self, location: Location) -> Origin {
        let (line, column) = position(location);
        Origin {
            source: self.whole.source.clone(),
            line,
            column,
        }
    }

    fn node(&self, value: Spanned<Yaml>) -> Node {
        let at = self.at(value.referenced);
        let value = match value.value {
            Yaml::Null => NodeValue::Nothing,
            Yaml::Inferred(read) => NodeValue::Text(self.written(value.defined).unwrap_or(read)),
            Yaml::Text(text) => NodeValue::Text(text),
            Yaml::List(list) => {
                // An element without a value becomes an empty text, which is reported as an invalid
                // pattern.
                let node = |value: Spanned<Yaml>| match self.node(value) {
                    Node {
                        value: NodeValue::Nothing,
                        at,
                    } => Node::text("", &at),
                    node => node,
                };
                NodeValue::List(list.into_iter().map(node).collect())
            }
            Yaml::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    let at = self.at(key.referenced);
                    map.insert(
                        key.value.0,
                        KeyNode {
                            key: at,
                            node: self.node(value),
                        },
                    );
                }
                NodeValue::Map(map)
            }
        };
        Node { value, at }
    }

    /// The literal text of a plain scalar in the source.
    fn written(&self, location: Location) -> Option<String> {
        let span = location.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
        let text = self.text.get(start..end)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::location::{LayerKind, Location};
    use super::*;

    fn origin() -> Origin {
        let location = Location::File(PathBuf::from("f"));
        Origin::whole(LayerKind::Workspace, location, Path::new(""))
    }

    fn node(text: &str) -> Node {
        parse(text, &origin())
            .map_err(|e| format!("{}:{} {}", e.line, e.column, e.reason))
            .unwrap()
            .unwrap()
    }

    fn error(text: &str) -> String {
        let e = parse(text, &origin()).err().unwrap();
        format!("{}:{}: {}", e.line, e.column, e.reason)
    }

    #[test]
    fn scalars_keep_their_literal_text() {
        let text = "a: 1.10\nb: true\nc: 0x10\nd: 007\ne: 1e999\nf: &x 1.50\ng: *x\nh: {i: 2.0, j: [3.0,-0]}\n\
                    k: ~\nl: \"q\"\nm: 12345678901234567890123\nn: ü 1.0\no: 1.0 # c\np: yes\n";
        let node = node(text);
        for (key, expected) in [
            ("a", "1.10"),
            ("b", "true"),
            ("c", "0x10"),
            ("d", "007"),
            ("e", "1e999"),
            ("f", "1.50"),
            ("g", "1.50"),
            ("h.i", "2.0"),
            ("h.j.0", "3.0"),
            ("h.j.1", "-0"),
            ("l", "q"),
            ("m", "12345678901234567890123"),
            ("n", "ü 1.0"),
            ("o", "1.0"),
            ("p", "yes"),
        ] {
            let path: Vec<_> = key.split('.').collect();
            assert_eq!(
                node.get(&path).and_then(Node::as_text),
                Some(expected),
                "{key}"
            );
        }
        assert!(matches!(
            node.get(&["k"]).unwrap().value,
            NodeValue::Nothing
        ));
    }

    #[test]
    fn keys_and_values_have_their_own_positions() {
        let node = node("a:\r\n  b:   x\r\n  c: [d,\r\n    e]\r\n");
        let at = |origin: &Origin| (origin.line, origin.column);
        assert_eq!(node.key_at(&["a", "b"]).map(at), Some((2, 3)));
        assert_eq!(node.get(&["a", "b"]).map(|n| at(&n.at)), Some((2, 8)));
        assert_eq!(node.get(&["a", "c", "1"]).map(|n| at(&n.at)), Some((4, 5)));
    }

    #[test]
    fn ambiguous_or_excessive_documents_are_rejected() {
        assert_eq!(error("a: 1\nb: 2\na: 3\n"), "3:1: duplicate key `a`");
        assert_eq!(
            error("a: 1\n---\nb: 2\n"),
            "3:1: more than one document in the file"
        );
        assert!(
            error("a: [1\nb: 2\n").starts_with("2:2: "),
            "{}",
            error("a: [1\nb: 2\n")
        );
        for key in ["~", "[b]", "{b: c}"] {
            assert_eq!(
                error(&format!("a:\n  {key}: 1\n")),
                "2:3: a key must be a string; quote it if necessary",
                "{key}"
            );
        }
        assert!(error("a: \u{0}").starts_with("1:4: "));
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let last = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", [last.as_str(); 10].join(","));
        }
        let error = error(&bomb);
        assert!(
            error.ends_with("too large: too many values or aliases"),
            "{error}"
        );
    }
}
