//! A configuration file as a tree of texts that know their lines.
//!
//! Every scalar is kept as it was written: what `1.10`, `007` or `true` means is for the type of its key to say. YAML
//! and JSON are read by one parser, TOML by another, inline values of variables and flags by the latter too.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its line, from 1; 0 where there are no lines.
    pub line: u32,
}

/// A value of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing: as if the key were not there.
    Null,
    /// A scalar, as written.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, with the line of each key.
    Map(BTreeMap<String, Entry>),
}

/// An entry of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key's line.
    pub line: u32,
    /// What it leads to.
    pub node: Node,
}

/// A text that is not YAML, JSON or TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Where, from 1; 0 where it is not known.
    pub line: u32,
}

impl Node {
    /// A scalar without a line.
    pub fn text(text: impl Into<String>) -> Self {
        Self { value: Value::Text(text.into()), line: 0 }
    }

    /// An empty map.
    pub fn map() -> Self {
        Self { value: Value::Map(BTreeMap::new()), line: 0 }
    }

    /// The scalar, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What stands at `path`, with the line to show for it.
    pub fn at(&self, path: &[impl AsRef<str>]) -> Option<(&Self, u32)> {
        let Some((first, rest)) = path.split_first() else { return Some((self, self.line)) };
        let (node, line) = match &self.value {
            Value::Map(map) => map.get(first.as_ref()).map(|entry| (&entry.node, entry.line))?,
            Value::List(list) => list.get(first.as_ref().parse::<usize>().ok()?).map(|node| (node, node.line))?,
            Value::Null | Value::Text(_) => return None,
        };
        if rest.is_empty() { Some((node, line)) } else { node.at(rest) }
    }

    /// Puts `node` at `path`, making maps on the way.
    pub fn put(&mut self, path: &[String], line: u32, node: Self) {
        let Some((first, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(BTreeMap::new());
        }
        if let Value::Map(map) = &mut self.value {
            let entry = map.entry(first.clone()).or_insert_with(|| Entry { line, node: Self { line, ..Self::map() } });
            entry.node.put(rest, line, node);
        }
    }

    /// Takes away what stands at `path`.
    pub fn remove(&mut self, path: &[impl AsRef<str>]) -> Option<Self> {
        let (first, rest) = path.split_first()?;
        match &mut self.value {
            Value::Map(map) if rest.is_empty() => map.remove(first.as_ref()).map(|entry| entry.node),
            Value::Map(map) => map.get_mut(first.as_ref())?.node.remove(rest),
            Value::List(list) => {
                let index: usize = first.as_ref().parse().ok().filter(|index| *index < list.len())?;
                if rest.is_empty() { Some(list.remove(index)) } else { list[index].remove(rest) }
            }
            Value::Null | Value::Text(_) => None,
        }
    }

    /// Calls `visit` for every scalar with its path; what it returns as `None` is taken away.
    pub fn edit_texts(
        &mut self,
        path: &mut Vec<String>,
        visit: &mut impl FnMut(&[String], u32, String) -> Option<String>,
    ) {
        match &mut self.value {
            Value::Null => {}
            Value::Text(text) => match visit(path, self.line, std::mem::take(text)) {
                Some(text) => self.value = Value::Text(text),
                None => self.value = Value::Null,
            },
            Value::List(list) => {
                for (index, node) in list.iter_mut().enumerate() {
                    path.push(index.to_string());
                    node.edit_texts(path, visit);
                    path.pop();
                }
            }
            Value::Map(map) => {
                for (key, entry) in map.iter_mut() {
                    path.push(key.clone());
                    entry.node.edit_texts(path, visit);
                    path.pop();
                }
            }
        }
    }

    /// The tree as figment merges it. Keys without a value are left out.
    pub fn to_figment(&self) -> figment::value::Value {
        match &self.value {
            Value::Null => figment::value::Value::from(""),
            Value::Text(text) => text.clone().into(),
            Value::List(list) => list.iter().map(Self::to_figment).collect::<Vec<_>>().into(),
            Value::Map(map) => {
                let entries = map.iter().filter(|(_, entry)| entry.node.value != Value::Null);
                let dict: figment::value::Dict =
                    entries.map(|(key, entry)| (key.clone(), entry.node.to_figment())).collect();
                dict.into()
            }
        }
    }
}

/// Parses YAML or JSON.
pub fn parse_yaml(text: &str) -> Result<Node, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Node { value: Value::Null, line: 1 });
    }
    let parsed: Spanned<Parsed> = serde_saphyr::from_str(text).map_err(|error| {
        let message = error.without_snippet().to_string();
        SyntaxError { message: first_line(&message), line: error.location().map_or(0, |place| place.line() as u32) }
    })?;
    Ok(parsed.into_node(text))
}

/// Parses TOML.
pub fn parse_toml(text: &str) -> Result<Node, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table = DeTable::parse(text).map_err(|error| SyntaxError {
        message: first_line(error.message()),
        line: error.span().map_or(0, |span| line_of(text, span.start)),
    })?;
    Ok(table_node(text, table.get_ref(), 1))
}

/// Parses the value of a variable or of `--config`: a TOML list or map, or else the text as it stands.
pub fn parse_inline(text: &str) -> Result<Node, SyntaxError> {
    if !text.trim_start().starts_with(['[', '{']) {
        return Ok(Node::text(text));
    }
    let mut document = parse_toml(&format!("value = {}", text.trim()))?;
    let mut value = document.remove(&["value"]).unwrap_or_else(Node::map);
    strip_lines(&mut value);
    Ok(value)
}

/// Splits a dotted key as TOML does: `projects."a.b".root`.
pub fn parse_key(key: &str) -> Result<Vec<String>, SyntaxError> {
    let mut node = parse_toml(&format!("{key} = 0"))?;
    let mut path = Vec::new();
    while let Value::Map(map) = &node.value {
        let Some((key, entry)) = map.iter().next() else { break };
        path.push(key.clone());
        node = entry.node.clone();
    }
    Ok(path)
}

fn strip_lines(node: &mut Node) {
    node.line = 0;
    match &mut node.value {
        Value::List(list) => list.iter_mut().for_each(strip_lines),
        Value::Map(map) => map.values_mut().for_each(|entry| {
            entry.line = 0;
            strip_lines(&mut entry.node);
        }),
        Value::Null | Value::Text(_) => {}
    }
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim().to_owned()
}

fn line_of(text: &str, offset: usize) -> u32 {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() as u32
}

fn table_node(text: &str, table: &DeTable<'_>, line: u32) -> Node {
    let entries = table.iter().map(|(key, value)| {
        let line = line_of(text, key.span().start);
        (key.get_ref().to_string(), Entry { line, node: value_node(text, value) })
    });
    Node { value: Value::Map(entries.collect()), line }
}

fn value_node(text: &str, value: &toml::Spanned<DeValue<'_>>) -> Node {
    let line = line_of(text, value.span().start);
    let value = match value.get_ref() {
        DeValue::String(string) => Value::Text(string.to_string()),
        DeValue::Array(list) => Value::List(list.iter().map(|value| value_node(text, value)).collect()),
        DeValue::Table(table) => return table_node(text, table, line),
        // Numbers, truth values and dates, as they were written.
        _ => Value::Text(text[value.span()].to_owned()),
    };
    Node { value, line }
}

/// What the YAML parser gives, before scalars are looked up in the text again.
enum Parsed {
    Null,
    /// A string: quotes and escapes resolved.
    String(String),
    /// Anything that YAML takes for something else; the text itself is what counts.
    Plain(String),
    List(Vec<Spanned<Parsed>>),
    Map(Vec<(Spanned<String>, Spanned<Parsed>)>),
}

trait IntoNode {
    fn into_node(self, text: &str) -> Node;
}

impl IntoNode for Spanned<Parsed> {
    fn into_node(self, text: &str) -> Node {
        let line = self.referenced.line() as u32;
        let written = written(text, self.defined);
        let value = match self.value {
            Parsed::Null => Value::Null,
            Parsed::String(string) => Value::Text(string),
            Parsed::Plain(shown) => Value::Text(written.map_or(shown, str::to_owned)),
            Parsed::List(list) => Value::List(list.into_iter().map(|value| value.into_node(text)).collect()),
            Parsed::Map(map) => Value::Map(
                map.into_iter()
                    .map(|(key, value)| {
                        let line = key.referenced.line() as u32;
                        (key.value, Entry { line, node: value.into_node(text) })
                    })
                    .collect(),
            ),
        };
        Node { value, line }
    }
}

fn written(text: &str, place: Location) -> Option<&str> {
    let span = place.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    Some(text.get(start..start + length)?.trim()).filter(|text| !text.is_empty())
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Parsed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Parsed, E> {
                Ok(Parsed::Null)
            }

            fn visit_none<E>(self) -> Result<Parsed, E> {
                Ok(Parsed::Null)
            }

            fn visit_some<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Parsed, D::Error> {
                deserializer.deserialize_any(self)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Parsed, E> {
                Ok(Parsed::Plain(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Parsed, E> {
                Ok(Parsed::Plain(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Parsed, E> {
                Ok(Parsed::Plain(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Parsed, E> {
                Ok(Parsed::Plain(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Parsed, E> {
                Ok(Parsed::String(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Parsed, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = access.next_element()? {
                    list.push(value);
                }
                Ok(Parsed::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Parsed, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    map.push(entry);
                }
                Ok(Parsed::Map(map))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(node: &Node, path: &[&str]) -> (String, u32) {
        match node.at(path) {
            Some((Node { value: Value::Text(text), .. }, line)) => (text.clone(), line),
            other => panic!("{path:?}: {other:?}"),
        }
    }

    #[test]
    fn scalars_arrive_as_they_were_written() {
        let yaml = "a: 1.10\nb: 007\nc: true\nd: 0x10\ne: '1.10'\nf: [1.0, x]\ng: { h: 1e3 }\ni: ~\nj:\nk: plain # c\n";
        for document in [yaml.to_owned(), format!("\u{feff}{yaml}"), yaml.replace('\n', "\r\n")] {
            let node = parse_yaml(&document).unwrap();
            for (path, written, line) in [
                (&["a"][..], "1.10", 1),
                (&["b"], "007", 2),
                (&["c"], "true", 3),
                (&["d"], "0x10", 4),
                (&["e"], "1.10", 5),
                (&["f", "0"], "1.0", 6),
                (&["f", "1"], "x", 6),
                (&["g", "h"], "1e3", 7),
                (&["k"], "plain", 10),
            ] {
                assert_eq!(text(&node, path), (written.to_owned(), line), "{path:?}");
            }
            assert_eq!(node.at(&["i"]).unwrap().0.value, Value::Null);
            assert_eq!(node.at(&["j"]).unwrap().0.value, Value::Null);
        }
    }

    #[test]
    fn json_and_toml_are_the_same_tree() {
        let json = parse_yaml("{\n\t\"a\": {\"b\": [1.10, \"x\"]}, \"c\": true\n}").unwrap();
        let toml = parse_toml("c = true\n[a]\nb = [1.10, 'x']\n").unwrap();
        for node in [json, toml] {
            assert_eq!(text(&node, &["a", "b", "0"]).0, "1.10");
            assert_eq!(text(&node, &["a", "b", "1"]).0, "x");
            assert_eq!(text(&node, &["c"]).0, "true");
        }
    }

    #[test]
    fn what_is_not_a_tree_is_an_error_with_its_line() {
        assert_eq!(parse_yaml("a: 1\nb: [").unwrap_err().line, 2);
        assert_eq!(parse_yaml("a: 1\na: 2\n").unwrap_err().line, 2);
        assert_eq!(parse_toml("a = 1\na = 2\n").unwrap_err().line, 2);
        let bomb = format!(
            "a: &a [x,x,x,x,x,x,x,x,x]\n{}",
            (0..9)
                .map(|i| format!(
                    "{}: &{0} [{}]\n",
                    (b'b' + i) as char,
                    vec![format!("*{}", (b'a' + i) as char); 9].join(",")
                ))
                .collect::<String>()
        );
        assert!(parse_yaml(&bomb).is_err());
    }

    #[test]
    fn inline_values_and_keys() {
        assert_eq!(parse_inline("1.10").unwrap(), Node::text("1.10"));
        assert_eq!(text(&parse_inline("[1.10, 'b']").unwrap(), &["0"]).0, "1.10");
        assert_eq!(text(&parse_inline("{ \"a.B-c\" = { root = \"x\" } }").unwrap(), &["a.B-c", "root"]).0, "x");
        assert!(parse_inline("[1").is_err());
        assert_eq!(parse_key("projects.\"a.b\".root").unwrap(), ["projects", "a.b", "root"]);
        assert!(parse_key("a = 1\nb").is_err() || parse_key("a = 1\nb").unwrap().len() == 1);
    }
}
