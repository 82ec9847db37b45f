//! The shapes of the configuration file, section `codex`: what can be written, key by key, all of it optional.
//!
//! One set of types serves every layer and the merged result, and the JSON Schema is made from it: the comments on the
//! fields are what an editor shows. Defaults are not here but in `defaults.yaml`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::enums::{CloneStrategy, Direction, SignMode, Symlinks, TransportChoice};
use super::scalar::{ByteSize, CacheSwitch, Jobs, Percent, read};
use super::schema as shown;
use crate::secret::Secret;
use crate::token_host::TokenHost;

/// The documents of many projects, published into one git repository, the codex.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {
    /// The owner of the codex, for the default remote and for `{org}`. Detected from the git remote of the workspace
    /// where it is not given.
    #[schemars(example = &"acme")]
    pub organization: Option<String>,
    /// The repository of the codex. Names the default remote,
    /// `https://github.com/{organization}/{codex_repo}.git`.
    #[schemars(example = &"codex.acme.com")]
    pub codex_repo: Option<String>,
    /// For a repository that is one project: its name. Its root is the root of the workspace.
    #[schemars(schema_with = "shown::project_name", example = &"billing")]
    pub project: Option<String>,
    /// Where the codex is and how it is reached.
    pub remote: RawRemote,
    /// Directories that are a project each.
    pub workspace: RawMembers,
    /// Named projects. A name that is also a member's adds to that member.
    #[schemars(example = shown::projects_example(), extend("propertyNames" = shown::project_names()))]
    pub projects: BTreeMap<String, RawProject>,
    /// What is synced and how, for every project that does not say otherwise.
    pub sync: RawSync,
    /// How commits are written.
    pub commit: RawCommit,
    /// How the codex is pushed.
    pub push: RawPush,
    /// Where the clone of the codex lives.
    pub clone: RawClone,
    /// The local copy of what is brought back from the codex.
    pub cache: RawCache,
    /// Recorded state and locks.
    pub state: RawState,
    /// How many threads work; 0 is one a core.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::jobs")]
    pub jobs: Option<Jobs>,
    /// Of the older tool. Only `token` and `host` are used, for the repository that the key names: `ORG/REPO`, or
    /// `HOST/ORG/REPO`.
    #[schemars(example = shown::remotes_example())]
    pub remotes: BTreeMap<String, RawOlderRemote>,
}

/// `remote`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRemote {
    /// Any URL that git reads (https, http, ssh, `host:path`, git, file) or a path. Wins over the URL made from
    /// `organization` and `codex_repo`.
    #[schemars(schema_with = "shown::url", example = &"https://git.acme.com/docs/codex.git")]
    pub url: Option<String>,
    /// The branch to publish to. `--env NAME` picks one of `sync.environments` instead; without either it is the
    /// remote's own HEAD.
    #[schemars(schema_with = "shown::plain_text", example = &"main")]
    pub branch: Option<String>,
    /// The token for the remote's host. Name a variable here, never the token itself.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::plain_text", example = &"${GITHUB_TOKEN}")]
    pub token: Option<Secret>,
    /// The only host that `token` is sent to, as in `git.acme.com` or `git.acme.com:8443`. A remote on another host is an
    /// error. Required beside a token in the user's own file, unless that file gives `remote.url` as well.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::host", example = &"git.acme.com")]
    pub token_host: Option<TokenHost>,
    /// The user name that is sent with a token.
    pub username: Option<String>,
    /// Make a missing local repository, and start a missing branch from the remote's HEAD.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::switch")]
    pub create: Option<bool>,
    /// Which implementation exchanges objects with the remote.
    pub transport: Option<TransportChoice>,
    /// Allow a token over plain http beyond this machine.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::switch")]
    pub allow_insecure: Option<bool>,
    /// Time limits, of at most 24h each.
    pub timeout: RawTimeout,
}

/// `remote.timeout`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawTimeout {
    /// Until a connection stands.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::duration")]
    pub connect: Option<Duration>,
    /// Without a byte moving.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::duration")]
    pub idle: Option<Duration>,
    /// For the server's answer to a push; its hooks may take their time.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::duration")]
    pub push_verdict: Option<Duration>,
}

/// `workspace`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawMembers {
    /// Globs of directories. Each one that matches is a project, named after its own `codex.project` or else after
    /// the directory.
    #[schemars(schema_with = "shown::globs", example = ["services/*", "libs/*"])]
    pub members: Option<Vec<String>>,
    /// Globs of directories that are not projects, nor is anything below them.
    #[schemars(schema_with = "shown::globs", example = ["libs/old-*"])]
    pub exclude: Option<Vec<String>>,
}

/// `projects.NAME`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawProject {
    /// The project's directory. Without it: a directory of the project's name beside `.fractary/`.
    #[schemars(example = &"services/billing", length(min = 1))]
    pub root: Option<String>,
    /// The project's place in the codex. `{project}`, `{org}`, `{codex_repo}`, `{env}` and `{branch}` are replaced.
    #[schemars(schema_with = "shown::place", example = &"projects/{project}")]
    pub to: Option<String>,
    /// The same keys as `codex.sync`, for this project.
    pub sync: RawSync,
    /// Files with a place of their own. Without an `include` of the project's own, only these are published.
    pub mappings: Option<Vec<RawMapping>>,
}

/// An entry of `projects.NAME.mappings`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMapping {
    /// A glob under the project's root. The path after its literal directories is kept. A literal name also means everything
    /// below a directory of that name.
    #[schemars(schema_with = "shown::glob", example = &"docs/**/*.md")]
    pub from: String,
    /// A place under the project's own: a directory if it ends in `/`, else the file itself.
    #[schemars(schema_with = "shown::place", example = &"guides/")]
    pub to: String,
    /// Globs that keep files, or directories with everything below, out of this mapping.
    #[serde(default)]
    #[schemars(schema_with = "shown::globs", example = ["**/draft-*"])]
    pub exclude: Vec<String>,
}

/// `sync`, and `projects.NAME.sync`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawSync {
    /// Which way projects are synced.
    pub direction: Option<Direction>,
    /// The branch that `--env NAME` stands for.
    #[schemars(schema_with = "shown::text_map")]
    pub environments: Option<BTreeMap<String, String>>,
    /// What is published.
    pub to_codex: RawPatterns,
    /// What is brought back, as `codex://ORGANIZATION/PROJECT/PATH`.
    #[schemars(example = shown::from_codex_example())]
    pub from_codex: RawPatterns,
    /// Leave out `node_modules`, `.git`, `.DS_Store`, `Thumbs.db`, `*.log` and `.env*`, at any depth.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::switch")]
    pub default_excludes: Option<bool>,
    /// Leave out what git ignores.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::switch")]
    pub respect_gitignore: Option<bool>,
    /// How files find their place.
    pub routing: RawRouting,
    /// What becomes of symbolic links. One that leads out of the root is never followed.
    pub symlinks: Option<Symlinks>,
    /// A larger file is not published; what the codex holds of it stays.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::size")]
    pub max_file_size: Option<ByteSize>,
    /// Also delete what stands under the project's place in the codex and no pattern claims.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::switch")]
    pub prune: Option<bool>,
    /// A project whose deletions exceed both limits is withheld.
    pub delete_guard: RawDeleteGuard,
}

/// `sync.to_codex` and `sync.from_codex`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPatterns {
    /// Globs: `*`, `?`, `[a-z]`, `[!a]` and `{a,b}` match within a name, `**` as a whole segment matches any number of
    /// directories. A glob without `/` matches at the root only. A literal name also means everything below a directory of
    /// that name.
    #[schemars(schema_with = "shown::globs", example = ["docs/**", "README.md"])]
    pub include: Option<Vec<String>>,
    /// Globs that leave out files, or directories with everything below. The lists of all layers add up.
    #[schemars(schema_with = "shown::globs", example = ["**/*.tmp"])]
    pub exclude: Option<Vec<String>>,
}

/// `sync.routing`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRouting {
    /// Let a document's front matter say where else it belongs.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::switch")]
    pub use_frontmatter: Option<bool>,
}

/// `sync.delete_guard`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawDeleteGuard {
    /// A number of files.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::number")]
    pub files: Option<u64>,
    /// A share of the project's files in the codex.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::percent")]
    pub percent: Option<Percent>,
}

/// `commit`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawCommit {
    /// The message. `{count}`, `{project}`, `{org}`, `{codex_repo}`, `{env}` and `{branch}` are replaced.
    #[schemars(schema_with = "shown::message")]
    pub message: Option<String>,
    /// Who the commits are by. Without it, as git itself would choose.
    pub author: RawAuthor,
    /// Write trailers that say where a commit came from.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::switch")]
    pub trailers: Option<bool>,
    /// Sign commits, with the format, key and program that git's configuration of the user names.
    pub sign: Option<SignMode>,
}

/// `commit.author`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAuthor {
    /// The name.
    #[schemars(example = &"Docs Bot")]
    pub name: Option<String>,
    /// The e-mail address.
    #[schemars(example = &"docs@acme.com")]
    pub email: Option<String>,
}

/// `push`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawPush {
    /// How often a push is tried again when the branch has moved.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::number")]
    pub retries: Option<u32>,
}

/// `clone`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawClone {
    /// `temp`: gone afterwards. `cached`: kept between runs.
    pub strategy: Option<CloneStrategy>,
}

/// `cache`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawCache {
    /// `auto` is off where `CI=true`.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::cache_switch")]
    pub enabled: Option<CacheSwitch>,
    /// The directory. A project without a `.fractary/` of its own uses the workspace's.
    #[schemars(length(min = 1))]
    pub dir: Option<String>,
}

/// `state`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawState {
    /// The directory. Without it, one below the user's state directory.
    #[schemars(example = &".fractary/codex/state", length(min = 1))]
    pub dir: Option<String>,
}

/// An entry of the older tool's `remotes`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawOlderRemote {
    /// The token for this repository.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::plain_text", example = &"${GITHUB_TOKEN}")]
    pub token: Option<Secret>,
    /// The host that the repository is on. In the user's own file it is `github.com` where none is named.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "shown::host", example = &"git.acme.com")]
    pub host: Option<TokenHost>,
}

impl RawSync {
    /// This section where it says something, `lower` elsewhere; `exclude` lists add up.
    #[must_use]
    pub(crate) fn over(self, lower: RawSync) -> Self {
        Self {
            direction: self.direction.or(lower.direction),
            environments: match (self.environments, lower.environments) {
                (Some(own), Some(mut environments)) => {
                    environments.extend(own);
                    Some(environments)
                }
                (own, environments) => own.or(environments),
            },
            to_codex: self.to_codex.over(lower.to_codex),
            from_codex: self.from_codex.over(lower.from_codex),
            default_excludes: self.default_excludes.or(lower.default_excludes),
            respect_gitignore: self.respect_gitignore.or(lower.respect_gitignore),
            routing: RawRouting {
                use_frontmatter: self
                    .routing
                    .use_frontmatter
                    .or(lower.routing.use_frontmatter),
            },
            symlinks: self.symlinks.or(lower.symlinks),
            max_file_size: self.max_file_size.or(lower.max_file_size),
            prune: self.prune.or(lower.prune),
            delete_guard: RawDeleteGuard {
                files: self.delete_guard.files.or(lower.delete_guard.files),
                percent: self.delete_guard.percent.or(lower.delete_guard.percent),
            },
        }
    }
}

impl RawPatterns {
    fn over(self, lower: RawPatterns) -> Self {
        Self {
            include: self.include.or(lower.include),
            exclude: match (self.exclude, lower.exclude) {
                (Some(own), Some(mut exclude)) => {
                    exclude.extend(own);
                    Some(exclude)
                }
                (own, exclude) => own.or(exclude),
            },
        }
    }
}
