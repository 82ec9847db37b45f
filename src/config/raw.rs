//! The shape of section `codex`, as files, variables and flags may give it. The JSON Schema is made from these types.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Visitor};

use crate::workspace::project::{Direction, Symlinks};
use crate::workspace::{CloneStrategy, TransportChoice};

/// The section `codex` of a configuration file.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// The organization that owns the codex. Detected from the workspace's git remote where it is not given.
    pub organization: Option<String>,
    /// Names the default remote: `https://github.com/{organization}/{codex_repo}.git`.
    pub codex_repo: Option<String>,
    /// The name of a workspace that is one project; its root is the workspace's.
    pub project: Option<String>,
    /// Where the codex is and how to get there.
    pub remote: RawRemote,
    /// Which directories are projects.
    pub workspace: RawWorkspace,
    /// Named projects. A name that is also a member adds to it.
    pub projects: BTreeMap<String, RawProject>,
    /// What is synced and how, for every project that does not say otherwise.
    pub sync: RawSync,
    /// How commits are written.
    pub commit: RawCommit,
    /// How the push is made.
    pub push: RawPush,
    /// Where the clone of the codex lives.
    pub clone: RawClone,
    /// The local cache.
    pub cache: RawCache,
    /// Recorded state.
    pub state: RawState,
    /// Threads; 0 is one a core.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<usize>")]
    pub jobs: Option<usize>,
    /// The older tool's, by `ORG/REPO`: only `token` is used.
    pub remotes: BTreeMap<String, RawOlderRemote>,
    /// The older tool's; left alone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub schema_version: Option<Ignored>,
    /// The older tool's; left alone.
    #[serde(rename = "organizationSlug")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub organization_slug: Option<Ignored>,
    /// The older tool's; left alone.
    #[serde(rename = "cacheDir")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub cache_dir: Option<Ignored>,
    /// The older tool's; left alone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub storage: Option<Ignored>,
    /// The older tool's; left alone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub types: Option<Ignored>,
    /// The older tool's; left alone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub permissions: Option<Ignored>,
    /// The older tool's; left alone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub mcp: Option<Ignored>,
    /// The older tool's; left alone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub archive: Option<Ignored>,
    /// The older tool's; left alone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub auth: Option<Ignored>,
    /// The older tool's; left alone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub rules: Option<Ignored>,
    /// The older tool's; left alone.
    #[schemars(with = "Option<serde_json::Value>")]
    pub directories: Option<Ignored>,
}

/// `remote`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRemote {
    /// Any git URL (https, http, ssh, scp-like, git, file) or path. Wins over the default.
    #[schemars(extend("examples" = ["https://git.acme.com/docs/codex.git", "git@git.acme.com:docs/codex.git"]))]
    pub url: Option<String>,
    /// The branch. Without it `--env` picks one, else the remote's HEAD decides.
    pub branch: Option<String>,
    /// A token for http(s), usually `${VARIABLE}`.
    #[schemars(extend("examples" = ["${GITHUB_TOKEN}"]))]
    pub token: Option<String>,
    /// The user name sent with the token.
    pub username: Option<String>,
    /// Make a missing local repository, or start a missing branch from the remote's HEAD.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<bool>")]
    pub create: Option<bool>,
    /// What moves objects.
    pub transport: Option<TransportChoice>,
    /// Allow a token over plain http beyond loopback.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<bool>")]
    pub allow_insecure: Option<bool>,
    /// Time limits.
    pub timeout: RawTimeouts,
}

/// `remote.timeout`: a number and a unit, such as `30s` or `5m`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawTimeouts {
    /// Until a connection stands.
    #[schemars(with = "Option<String>", extend("examples" = ["30s"]))]
    pub connect: Option<Span>,
    /// Without a byte moving.
    #[schemars(with = "Option<String>", extend("examples" = ["30s"]))]
    pub idle: Option<Span>,
    /// For the server's verdict on a push; its hooks may take their time.
    #[schemars(with = "Option<String>", extend("examples" = ["5m"]))]
    pub push_verdict: Option<Span>,
}

/// `workspace`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawWorkspace {
    /// Globs; each matching directory is a project, named after its own `codex.project` or its directory.
    #[schemars(extend("examples" = [["services/*", "libs/*"]]))]
    pub members: Vec<String>,
    /// Globs of directories that are none.
    pub exclude: Vec<String>,
}

/// One entry of `projects`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawProject {
    /// Its directory; by default one of its name beside `.fractary/`.
    pub root: Option<String>,
    /// Its place in the codex; by default `projects/{project}`.
    #[schemars(extend("default" = "projects/{project}"))]
    pub to: Option<String>,
    /// What differs from `sync` for this project.
    pub sync: RawSync,
    /// Globs with a place of their own, instead of `include` or beside it.
    pub mappings: Option<Vec<RawMapping>>,
}

/// One entry of `mappings`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMapping {
    /// A glob under the root. What follows its literal lead is kept.
    pub from: String,
    /// A directory under the project's place, if it ends in `/`; else the file itself.
    pub to: String,
    /// Globs that keep a file out of this mapping.
    #[serde(default)]
    pub exclude: Vec<String>,
}

/// `sync`, of the workspace or of a project.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawSync {
    /// Which way.
    pub direction: Option<Direction>,
    /// Branches by environment: `--env NAME` picks one.
    pub environments: BTreeMap<String, String>,
    /// What is published.
    pub to_codex: RawPatterns,
    /// What is brought back.
    pub from_codex: RawPatterns,
    /// Leave out node_modules, .git, .DS_Store, Thumbs.db, *.log and .env* at any depth.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<bool>")]
    pub default_excludes: Option<bool>,
    /// Leave out what `.gitignore` files ignore.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<bool>")]
    pub respect_gitignore: Option<bool>,
    /// How files are routed beside the patterns.
    pub routing: RawRouting,
    /// What becomes of symlinks. One that leaves the root is never followed.
    pub symlinks: Option<Symlinks>,
    /// A larger file is skipped with a warning; a number and a unit, such as `50MB`.
    #[schemars(with = "Option<String>", extend("examples" = ["50MB"]))]
    pub max_file_size: Option<Size>,
    /// Also delete what stands under the project's place and no pattern claims.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<bool>")]
    pub prune: Option<bool>,
    /// A project is withheld when its deletions exceed both limits.
    pub delete_guard: RawDeleteGuard,
}

/// Globs.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPatterns {
    /// What is taken.
    pub include: Option<Vec<String>>,
    /// What is left out; adds to the excludes of lower layers.
    pub exclude: Vec<String>,
}

/// `sync.routing`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRouting {
    /// Let the frontmatter of Markdown files say where they go.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<bool>")]
    pub use_frontmatter: Option<bool>,
}

/// `sync.delete_guard`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawDeleteGuard {
    /// A number of files.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<u64>")]
    pub files: Option<u64>,
    /// A share of the claimed files in the codex.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<u8>", range(max = 100))]
    pub percent: Option<u8>,
}

/// `commit`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawCommit {
    /// The message; `{count}`, `{project}`, `{org}`, `{codex_repo}`, `{env}` and `{branch}` are replaced.
    pub message: Option<String>,
    /// Who commits; else git's variables, else git's own configuration.
    pub author: Option<RawAuthor>,
    /// Record project and source revision in the message.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<bool>")]
    pub trailers: Option<bool>,
}

/// `commit.author`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAuthor {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

/// `push`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPush {
    /// How often to try again when the branch moved.
    #[serde(deserialize_with = "from_text")]
    #[schemars(with = "Option<u32>")]
    pub retries: Option<u32>,
}

/// `clone`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawClone {
    /// A temporary clone, or one that is kept.
    pub strategy: Option<CloneStrategy>,
}

/// `cache`. Keys that are not known here are the older tool's and left alone, with a warning.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawCache {
    /// `auto`: not where CI=true.
    pub enabled: Option<CacheSwitch>,
    /// Where it lies.
    pub dir: Option<String>,
}

/// `cache.enabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CacheSwitch {
    /// Not where CI=true.
    Auto,
    /// On.
    True,
    /// Off.
    False,
}

/// `state`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawState {
    /// Where recorded state lies; by default the user's state directory.
    pub dir: Option<String>,
}

/// An entry of the older tool's `remotes`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawOlderRemote {
    /// Its token.
    pub token: Option<String>,
}

/// A value that is nobody's business here.
#[derive(Debug, Clone)]
pub struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// A duration such as `30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = humantime::parse_duration(&text).ok().filter(|duration| !duration.is_zero());
        parsed.map(Self).ok_or_else(|| de::Error::custom(format!("`{text}` is not a duration such as `30s` or `5m`")))
    }
}

/// A number of bytes such as `50MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text.parse::<bytesize::ByteSize>().map(|size| Self(size.as_u64()));
        parsed.map_err(|_| de::Error::custom(format!("`{text}` is not a size such as `500KB`, `50MB` or `1GiB`")))
    }
}

/// Reads a number or a truth value from the text that it was written as.
fn from_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: de::Deserializer<'de>,
    T: FromStr,
{
    struct Text<T>(std::marker::PhantomData<T>);

    impl<T: FromStr> Visitor<'_> for Text<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if std::any::type_name::<T>() == "bool" { "`true` or `false`" } else { "a whole number" })
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            text.parse().map(Some).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_str(Text(std::marker::PhantomData))
}
