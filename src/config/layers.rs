//! The layers, lowest first, and how they become one: maps merge by key, lists are replaced whole, `exclude` adds up.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::node::Node;
use super::problem::{Problem, Problems, Source, closest};
use super::raw::RawConfig;
use crate::url::RemoteUrl;

/// The layers; their order is their precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerKind {
    /// Built in.
    Defaults,
    /// The user's own file.
    User,
    /// The workspace's file.
    Workspace,
    /// `config.local.*` beside it.
    Local,
    /// The projects' own files.
    Member,
    /// `FRACTARY_CODEX_*`.
    Environment,
    /// Flags and `--config`.
    Flags,
}

impl LayerKind {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Defaults => "defaults",
            Self::User => "user",
            Self::Workspace => "workspace",
            Self::Local => "local",
            Self::Member => "member",
            Self::Environment => "environment",
            Self::Flags => "flags",
        }
    }
}

/// One source's say: section `codex` of a file, one variable, or one flag.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Which layer it belongs to.
    pub kind: LayerKind,
    /// Who says it.
    pub source: Source,
    /// What relative paths are relative to.
    pub base: PathBuf,
    /// What it says.
    pub node: Node,
}

impl Layer {
    /// The section `codex` of a parsed file.
    pub fn from_file(kind: LayerKind, path: &Path, base: &Path, node: Node) -> Self {
        Self { kind, source: Source::File(Arc::from(path)), base: base.to_owned(), node }
    }

    /// Checks what the layer says against the shape of the configuration. What is wrong is told and taken out, so that
    /// everything else can be checked as well.
    pub fn check(&mut self, problems: &mut Problems) {
        self.make_paths_absolute();
        // A bound against a mistake of ours; a file has fewer keys than bytes.
        for _ in 0..1000 {
            let Err(error) = Figment::from(&*self).extract::<RawConfig>() else { return };
            for error in error {
                let mut path: Vec<String> = error.path.clone();
                let problem = self.problem(&mut path, &error.kind);
                problems.push(problem);
                if self.node.remove(&path).is_none() {
                    self.node = Node::map();
                    return;
                }
            }
        }
    }

    fn problem(&self, path: &mut Vec<String>, kind: &figment::error::Kind) -> Problem {
        use figment::error::Kind;
        let (message, hint) = match kind {
            Kind::UnknownField(name, known) => {
                if path.last() != Some(name) {
                    path.push(name.clone());
                }
                let hint = closest(name, known.iter().copied()).map(|known| self.suggestion(path, known));
                ("unknown key".to_owned(), hint)
            }
            Kind::UnknownVariant(name, known) => {
                let hint = closest(name, known.iter().copied()).map(|known| format!("did you mean `{known}`?"));
                (format!("`{name}` is none of {}", known.join(", ")), hint)
            }
            Kind::InvalidType(actual, expected) => (format!("found {}, expected {expected}", plain(actual)), None),
            Kind::InvalidValue(actual, expected) => (format!("found {}, expected {expected}", plain(actual)), None),
            Kind::MissingField(name) => (format!("`{name}` is missing"), None),
            Kind::Message(message) => (message.clone(), None),
            other => (other.to_string(), None),
        };
        let line = self.node.at(path).map_or(0, |(_, line)| line);
        Problem { source: Some(self.source.clone()), line, key: super::dotted(path), message, hint }
    }

    fn suggestion(&self, path: &[String], known: &str) -> String {
        if let Source::Variable(_) = self.source {
            let segments = path[..path.len() - 1].iter().map(String::as_str).chain([known]);
            let name: Vec<_> = segments.map(str::to_uppercase).collect();
            return format!("did you mean `FRACTARY_CODEX_{}`?", name.join("__"));
        }
        format!("did you mean `{known}`?")
    }

    /// Paths are relative to whoever says them, so they are resolved before layers are merged.
    fn make_paths_absolute(&mut self) {
        let base = self.base.clone();
        self.node.edit_texts(&mut Vec::new(), &mut |path, _, text| {
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            let absolute = |text: &str| crate::paths::absolute(&base, Path::new(text)).to_string_lossy().into_owned();
            Some(match path.as_slice() {
                ["projects", _, "root"] | ["cache" | "state", "dir"] => absolute(&text),
                ["remote", "url"] => match RemoteUrl::parse(&text, &base) {
                    Ok(url) => url.local_path().map_or(text, |path| path.to_string_lossy().into_owned()),
                    Err(_) => text,
                },
                _ => text,
            })
        });
    }
}

fn plain(actual: &figment::error::Actual) -> String {
    match actual {
        figment::error::Actual::Str(text) => format!("`{text}`"),
        figment::error::Actual::Seq => "a list".to_owned(),
        figment::error::Actual::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.to_string())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, dict(&self.node))]))
    }
}

/// A map as figment's; anything else is empty.
pub(super) fn dict(node: &Node) -> Dict {
    match node.to_figment() {
        Value::Dict(_, dict) => dict,
        _ => Dict::new(),
    }
}

/// Part of a layer, under the layer's name.
struct Part<'p>(&'p str, Dict);

impl Provider for Part<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.to_owned())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.1.clone())]))
    }
}

/// Stacks maps with the names of those who say them, lowest first.
pub(super) fn stack<'n>(dicts: impl IntoIterator<Item = (&'n str, Dict)>) -> Figment {
    dicts.into_iter().fold(Figment::new(), |figment, (name, mut dict)| {
        let excludes = split_excludes(&mut dict);
        let figment = figment.merge(Part(name, dict));
        if excludes.is_empty() { figment } else { figment.admerge(Part(name, excludes)) }
    })
}

/// Takes the `exclude` lists out of `dict`, wherever maps lead to them.
fn split_excludes(dict: &mut Dict) -> Dict {
    let mut taken = Dict::new();
    if let Some(Value::Array(..)) = dict.get("exclude")
        && let Some(list) = dict.remove("exclude")
    {
        taken.insert("exclude".to_owned(), list);
    }
    for (key, value) in dict.iter_mut() {
        if let Value::Dict(tag, below) = value {
            let excludes = split_excludes(below);
            if !excludes.is_empty() {
                taken.insert(key.clone(), Value::Dict(*tag, excludes));
            }
        }
    }
    taken
}
