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
    /// A way to fix it.
    pub(crate) hint: Option<&'static str>,
}

/// The error for a document whose aliases expand to more than a file written by hand contains.
const TOO_LARGE: &str = "too large: too many values or aliases";

/// The hint for an error about a duplicate key.
pub(super) const DUPLICATE_HINT: &str = "keep one of them";

/// The hint for a text that begins with a character that has a meaning in YAML.
const QUOTE_HINT: &str =
    "quote it, as in `\"*.md\"`: YAML gives its first character a meaning of its own";

/// The hint for a text in a list or map in brackets that contains braces or brackets.
const QUOTE_BRACES_HINT: &str = "quote it, as in `\"${TOKEN}\"` or `\"docs/{a,b}/**\"`: braces have a meaning of their own in YAML";

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
            let reason = reason(error);
            let hint = match duplicate {
                true => Some(DUPLICATE_HINT),
                false if reason == TOO_LARGE => None,
                false if is_unquoted(text, line, column) => Some(QUOTE_HINT),
                false => has_unquoted_braces(text, line).then_some(QUOTE_BRACES_HINT),
            };
            Malformed {
                reason,
                line,
                column,
                duplicate,
                hint,
            }
        })?;
    let mut converter = YamlConverter {
        text,
        whole,
        tag: None,
    };
    let node = parsed.map(|value| converter.node(value));
    match converter.tag {
        Some(tag) => Err(tag),
        None => Ok(node.filter(|node| !matches!(node.value, NodeValue::Nothing))),
    }
}

/// Whether the error at a position, both counted from 1, is probably caused by a text without quotes:
/// one that begins with a special character, or a glob that begins like a list or a map.
fn is_unquoted(text: &str, line: u32, column: u32) -> bool {
    let index = |number: u32| (number as usize).checked_sub(1);
    let Some(line) = index(line).and_then(|line| text.lines().nth(line)) else {
        return false;
    };
    let at = index(column).and_then(|column| line.chars().nth(column));
    if at.is_some_and(|c| "*&!@`%".contains(c)) {
        return true;
    }
    let value = line.trim_start();
    let value = value
        .strip_prefix("- ")
        .or_else(|| value.split_once(": ").map(|(_, value)| value))
        .unwrap_or_default()
        .trim();
    value.starts_with(['{', '[']) && value.contains(['}', ']']) && !value.ends_with(['}', ']'])
}

/// Whether a line has a text with a brace inside, without quotes, in a list or map in brackets.
fn has_unquoted_braces(text: &str, line: u32) -> bool {
    let index = (line as usize).checked_sub(1);
    let Some(line) = index.and_then(|index| text.lines().nth(index)) else {
        return false;
    };
    let mut quote = None;
    let mut depth = 0;
    let mut before = ' ';
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if c == '#' && before == ' ' => return false,
            None if matches!(c, '{' | '[') => {
                if depth > 0 && !matches!(before, ' ' | ',' | '{' | '[') {
                    return true;
                }
                depth += 1;
            }
            None => {}
        }
        before = c;
    }
    false
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
        | Error::AliasExpansionLimitExceeded { .. } => TOO_LARGE.to_owned(),
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
    /// The error for the first value with a tag, such as `!docs`: the parser drops it.
    tag: Option<Malformed>,
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

    fn node(&mut self, value: Spanned<Yaml>) -> Node {
        let at = self.at(value.referenced);
        if self.tag.is_none() {
            self.tag = self.tag_of(value.defined);
        }
        let value = match value.value {
            Yaml::Null => NodeValue::Nothing,
            Yaml::Inferred(read) => NodeValue::Text(self.written(value.defined).unwrap_or(read)),
            Yaml::Text(text) => NodeValue::Text(text),
            Yaml::List(list) => {
                // An element without a value becomes an empty text, which is reported as an invalid
                // pattern.
                let mut node = |value: Spanned<Yaml>| match self.node(value) {
                    Node {
                        value: NodeValue::Nothing,
                        at,
                    } => Node::text("", &at),
                    node => node,
                };
                NodeValue::List(list.into_iter().map(&mut node).collect())
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

    /// The error for a value with a tag other than those of YAML itself, such as `!!str`.
    fn tag_of(&self, location: Location) -> Option<Malformed> {
        let start = usize::try_from(location.span().byte_offset()?).ok()?;
        let before = self.text.get(..start)?.trim_end();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let is_separator = |c: char| c.is_whitespace() || "[{,".contains(c);
        let word = line.rsplit(is_separator).next().unwrap_or_default();
        let is_comment = line.trim_start().starts_with('#') || line.contains(" #");
        if !word.starts_with('!') || word.starts_with("!!") || is_comment {
            return None;
        }

        let number = |count: usize| u32::try_from(count + 1).unwrap_or(0);
        Some(Malformed {
            reason: "a text cannot begin with `!`".to_owned(),
            line: number(before.matches('\n').count()),
            column: number(line.chars().count() - word.chars().count()),
            duplicate: false,
            hint: Some(QUOTE_HINT),
        })
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
        for (value, is_hinted) in [
            ("- *.md", true),
            ("- !x", true),
            ("- !docs/** # why", true),
            ("- !x y", true),
            ("- @x", true),
            ("- {a,b}/*.md", true),
            ("- [ab]*.md", true),
            ("[*.md, b]", true),
            ("[a, !b]", true),
            ("[docs/{a,b}/**]", true),
            ("{ t: ${TOKEN} }", true),
            ("[a", false),
            ("[a, {b: 1}", false),
        ] {
            let malformed = parse(&format!("a:\n  {value}\n"), &origin()).err().unwrap();
            assert_eq!(malformed.hint.is_some(), is_hinted, "{value}");
            assert_eq!(malformed.line, 2, "{value}");
        }
        for value in ["- !!str 1", "- a !b", "# !x\n  - a", "- 'a'  # !x\n  - b"] {
            assert!(
                parse(&format!("a: # !x\n  {value}\n"), &origin()).is_ok(),
                "{value}"
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
