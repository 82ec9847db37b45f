//! Configuration: seven layers, merged key by key. Each value has an origin.
//!
//! | layer, lowest first | source |
//! |---|---|
//! | defaults | `defaults.yaml`, built in |
//! | user | `fractary/config.*` in the user's configuration directory |
//! | workspace | `.fractary/config.*`, found upwards from the current directory |
//! | local | `.fractary/config.local.*` beside the workspace's file |
//! | member | `.fractary/config.*` in the projects' own directories |
//! | environment | `FRACTARY_CODEX_*` |
//! | flags | command line options, `--config KEY=VALUE` included |
//!
//! `Layers::candidates` defines the order of precedence. The modules here know the type of a key,
//! and [`crate::workspace`] knows its meaning.
//!
//! All problems of a load are reported together. A layer with an invalid value is used without that
//! value.

mod assign;
pub(crate) mod check;
pub(crate) mod comparison;
pub(crate) mod compat;
mod configuration;
mod configured_secrets;
mod diagnostics;
mod discover;
mod dotenv;
mod enums;
mod env;
mod explain;
mod file;
mod flags;
pub(crate) mod layers;
mod load;
mod loader;
pub(crate) mod location;
pub(crate) mod member_search;
mod members;
pub(crate) mod model;
mod ownership;
pub(crate) mod problem;
mod request;
pub(crate) mod scalar;
pub(crate) mod schema;
mod schema_fragments;
pub(crate) mod source_line;
mod token_shape;
mod toml;
pub(crate) mod tree;
pub(crate) mod values;
pub(crate) mod variables;
mod yaml;
pub(crate) mod yaml_edit;
pub(crate) mod yaml_section;

pub use configuration::Configuration;
pub(crate) use configured_secrets::ConfiguredSecrets;
pub use enums::Direction;
pub(crate) use enums::{
    AutoMerge, CheckMode, CloneStrategy, DirtyMode, ForgeChoice, OnDeclined, OnDrift, PushMode,
    SignMode, SourceState, Symlinks, TransportChoice,
};
pub use explain::{Explanation, Given};
pub(crate) use file::{ENDINGS, section_of_directory};
pub use load::load;
pub(crate) use load::{gather, unusable_root};
pub use location::{LayerKind, Location, Origin, Source};
pub use problem::{Problem, Problems};
pub use request::{DetectOrganization, FlagValue, LoadRequest};
pub use schema::{Meaning, schema};
pub(crate) use token_shape::can_contain_token;

#[cfg(test)]
mod tests;
