//! The keys of `sync` as they hold for one project: specific beats general, and a flag beats both.

use figment::value::{Dict, Value};

use super::Configuration;
use super::layers::{self, LayerKind};
use super::raw::RawSync;

/// Prepared once for all projects.
pub struct PerProject {
    layers: Dict,
    flags: Dict,
}

impl PerProject {
    /// Merges the layers below the flags, and the flags.
    pub fn new(configuration: &Configuration) -> Self {
        let merged = |flags: bool| {
            let chosen = configuration.layers.iter().filter(|layer| (layer.kind == LayerKind::Flags) == flags);
            layers::stack(chosen.map(|layer| ("", layers::dict(&layer.node)))).extract().unwrap_or_default()
        };
        Self { layers: merged(false), flags: merged(true) }
    }

    /// `sync` for the project: the workspace's, then its own, then what flags say of both.
    pub fn sync(&self, name: &str) -> RawSync {
        let own = ["projects", name, "sync"];
        let parts = [
            below(&self.layers, &["sync"]),
            below(&self.layers, &own),
            below(&self.flags, &["sync"]),
            below(&self.flags, &own),
        ];
        let dicts = parts.into_iter().flatten().filter_map(Value::as_dict).map(|dict| ("sync", dict.clone()));
        // Each layer was checked against the same shape.
        layers::stack(dicts).extract().unwrap_or_default()
    }

    /// Whether the project, or a flag, says for itself what is published.
    pub fn has_own_include(&self, name: &str) -> bool {
        let own = ["projects", name, "sync", "to_codex", "include"];
        below(&self.layers, &own).is_some()
            || below(&self.flags, &own).is_some()
            || below(&self.flags, &own[2..]).is_some()
    }
}

fn below<'d>(dict: &'d Dict, path: &[&str]) -> Option<&'d Value> {
    let (first, rest) = path.split_first()?;
    let value = dict.get(*first)?;
    if rest.is_empty() { Some(value) } else { below(value.as_dict()?, rest) }
}
