//! The types of the section `codex` of a configuration file. Every key is optional.
//!
//! The same types are used for each layer and for the merged result. The JSON Schema is generated
//! from them, so the comments on the fields are the descriptions that an editor shows. Defaults are
//! in `defaults.yaml`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::enums::{
    AutoMerge, CheckMode, CloneStrategy, Direction, DirtyMode, ForgeChoice, OnDeclined, OnDrift,
    PushMode, SignMode, SourceState, Symlinks, TransportChoice,
};
use super::scalar::{ByteSize, CacheSwitch, Jobs, Percent, read};
use super::schema_fragments as fragment;
use crate::secret::Secret;
use crate::token_host::TokenHost;

/// The documents of many projects, published into one git repository, the codex.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawConfig {
    /// The owner of the codex, for the default remote and for `{org}`. By default, it is detected
    /// from the git remote of the workspace.
    #[schemars(example = &"acme")]
    pub organization: Option<String>,
    /// The name of the codex repository, for the default remote
    /// `https://github.com/{organization}/{codex_repo}.git`.
    #[schemars(example = &"codex.acme.com")]
    pub codex_repo: Option<String>,
    /// The name of the project, in a repository that is one project. Its root is the root of the
    /// workspace.
    #[schemars(schema_with = "fragment::project_name", example = &"billing")]
    pub project: Option<String>,
    /// The location of the codex, and how to connect to it.
    pub remote: RawRemote,
    /// Directories that are one project each.
    pub workspace: RawMembers,
    /// Named projects. The settings of a project with the name of a member apply to that member.
    #[schemars(example = fragment::projects_example(), extend("propertyNames" = fragment::project_names()))]
    pub projects: BTreeMap<String, RawProject>,
    /// Sync settings for every project that does not override them.
    pub sync: RawSync,
    /// Commit settings.
    pub commit: RawCommit,
    /// Push settings.
    pub push: RawPush,
    /// The forge that hosts the codex, for pull requests.
    pub forge: RawForge,
    /// Settings of the clone of the codex.
    pub clone: RawClone,
    /// The local cache, which holds the files that are pulled from the codex.
    pub cache: RawCache,
    /// Settings of recorded state and locks.
    pub state: RawState,
    /// The number of threads. 0 means one per core.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::jobs")]
    pub jobs: Option<Jobs>,
    /// A key of the older tool. Only `token` and `host` are used, for the repository in the name:
    /// `ORG/REPO`, or `HOST/ORG/REPO`.
    #[schemars(example = fragment::remotes_example())]
    pub remotes: BTreeMap<String, RawOlderRemote>,
}

/// The keys below `remote`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawRemote {
    /// Any URL that git accepts (https, http, ssh, `host:path`, git, file), or a path. It takes
    /// precedence over the URL that is made from `organization` and `codex_repo`.
    #[schemars(schema_with = "fragment::url", example = &"https://git.acme.com/docs/codex.git")]
    pub url: Option<String>,
    /// The branch to publish to. `--env NAME` selects one of `sync.environments` instead. The
    /// default is the remote's HEAD.
    #[schemars(schema_with = "fragment::branch", example = &"main")]
    pub branch: Option<String>,
    /// The token for the remote's host. Write a reference to a variable, never the token itself.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::plain_text", example = &"${GITHUB_TOKEN}")]
    pub token: Option<Secret>,
    /// The only host that `token` is sent to, as in `git.acme.com` or `git.acme.com:8443`. A remote
    /// on another host is an error. It is required for a token in the user's own file, unless that
    /// file also sets `remote.url`.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::host", example = &"git.acme.com")]
    pub token_host: Option<TokenHost>,
    /// The user name that is sent with a token.
    pub username: Option<String>,
    /// Create a missing local repository, and start a missing branch from the remote's HEAD.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::switch")]
    pub create: Option<bool>,
    /// The implementation that exchanges objects with the remote.
    pub transport: Option<TransportChoice>,
    /// Allow sending a token over plain http to other machines.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::switch")]
    pub allow_insecure: Option<bool>,
    /// Time limits, of at most 24h each.
    pub timeout: RawTimeout,
}

/// The keys below `remote.timeout`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawTimeout {
    /// The limit for establishing a connection.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::duration")]
    pub connect: Option<Duration>,
    /// The limit for a time without any byte transferred.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::duration")]
    pub idle: Option<Duration>,
    /// The limit for the server's response to a push. Hooks of the server can be slow.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::duration")]
    pub push_verdict: Option<Duration>,
}

/// The keys below `workspace`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawMembers {
    /// Globs of directories. Each matching directory is a project, named by `codex.project` in its
    /// own file, or else after the directory.
    #[schemars(schema_with = "fragment::globs", example = ["services/*", "libs/*"])]
    pub members: Option<Vec<String>>,
    /// Globs of directories to leave out, with everything below.
    #[schemars(schema_with = "fragment::globs", example = ["libs/old-*"])]
    pub exclude: Option<Vec<String>>,
}

/// The keys below `projects.NAME`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawProject {
    /// The project's directory. The default is a directory of the project's name beside
    /// `.fractary/`.
    #[schemars(example = &"services/billing", length(min = 1))]
    pub root: Option<String>,
    /// The project's directory in the codex. `{project}`, `{org}`, `{codex_repo}`, `{env}` and
    /// `{branch}` are replaced.
    #[schemars(schema_with = "fragment::codex_path", example = &"projects/{project}")]
    pub to: Option<String>,
    /// The same keys as `codex.sync`, for this project.
    pub sync: RawSync,
    /// Files with their own destination. If the project has no `include` of its own, only these are
    /// published.
    pub mappings: Option<Vec<RawMapping>>,
}

/// An entry of `projects.NAME.mappings`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawMapping {
    /// A glob below the project's root. The path after its literal directories is kept. A literal
    /// name includes everything below a directory of that name.
    #[schemars(schema_with = "fragment::glob", example = &"docs/**/*.md")]
    pub from: String,
    /// The destination below the project's `to`: a directory if it ends in `/`, otherwise a file.
    #[schemars(schema_with = "fragment::codex_path", example = &"guides/")]
    pub to: String,
    /// Globs of files, or of directories with everything below, that this mapping leaves out.
    #[serde(default)]
    #[schemars(schema_with = "fragment::globs", example = ["**/draft-*"])]
    pub exclude: Vec<String>,
}

/// The keys below `sync` and `projects.NAME.sync`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawSync {
    /// The direction in which projects are synced.
    pub direction: Option<Direction>,
    /// The branch for each `--env NAME`.
    #[schemars(schema_with = "fragment::branch_map")]
    pub environments: Option<BTreeMap<String, String>>,
    /// The files to publish.
    pub to_codex: RawToCodex,
    /// The files to pull, as `codex://ORGANIZATION/PROJECT/PATH`.
    #[schemars(example = fragment::from_codex_example())]
    pub from_codex: RawPatterns,
    /// Leave out `node_modules`, `.git`, `.DS_Store`, `Thumbs.db`, `*.log`, `.env*`, `dist`, `build`
    /// and `coverage`, at any depth of a project, in both directions.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::switch")]
    pub default_excludes: Option<bool>,
    /// Leave out files that git ignores.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::switch")]
    pub respect_gitignore: Option<bool>,
    /// How projects receive files.
    pub routing: RawRouting,
    /// The treatment of symbolic links. A link to a target outside the root is never followed.
    pub symlinks: Option<Symlinks>,
    /// The greatest size of a file. A larger file is not published, and its copy in the codex is
    /// kept.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::size")]
    pub max_file_size: Option<ByteSize>,
    /// Also delete files in the project's directory of the codex that no pattern matches.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::switch")]
    pub prune: Option<bool>,
    /// Limits for deletions, from the codex and from the cache. A project that exceeds both is
    /// withheld.
    pub delete_guard: RawDeleteGuard,
    /// The treatment of files that others have changed in the codex since the project's last sync,
    /// and that this sync would overwrite or delete.
    pub on_drift: Option<OnDrift>,
    /// Checks of the files that a sync adds or modifies.
    pub checks: RawChecks,
}

/// The keys below `sync.to_codex`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawToCodex {
    /// Globs: `*`, `?`, `[a-z]`, `[!a]` and `{a,b}` match within a name, and `**` as a whole
    /// segment matches any number of directories. A glob without `/` matches at the root only. A
    /// literal name includes everything below a directory of that name.
    #[schemars(schema_with = "fragment::globs", example = ["docs/**", "README.md"])]
    pub include: Option<Vec<String>>,
    /// Globs of files, or of directories with everything below, to leave out. The lists of all
    /// layers are combined.
    #[schemars(schema_with = "fragment::globs", example = ["**/*.tmp"])]
    pub exclude: Option<Vec<String>>,
    /// The version of the files to publish: `worktree` for the files on disk, `committed` for the
    /// files as git has them in the commit that is checked out.
    pub source: Option<SourceState>,
    /// If files to publish differ from the commit that is checked out, or are not committed.
    pub dirty: Option<DirtyMode>,
    /// Globs of the branches that are published from. From any other source branch, the project is
    /// withheld. None: from every branch.
    #[schemars(schema_with = "fragment::globs", example = ["main", "release/*"])]
    pub branches: Option<Vec<String>>,
}

/// The keys below `sync.from_codex`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPatterns {
    /// Globs: `*`, `?`, `[a-z]`, `[!a]` and `{a,b}` match within a name, and `**` as a whole
    /// segment matches any number of directories. A glob without `/` matches at the root only. A
    /// literal name includes everything below a directory of that name.
    #[schemars(schema_with = "fragment::globs", example = ["docs/**", "README.md"])]
    pub include: Option<Vec<String>>,
    /// Globs of files, or of directories with everything below, to leave out. The lists of all
    /// layers are combined.
    #[schemars(schema_with = "fragment::globs", example = ["**/*.tmp"])]
    pub exclude: Option<Vec<String>>,
}

/// The keys below `sync.routing`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawRouting {
    /// If `sync.from_codex.include` is empty, pull the documents whose frontmatter names the
    /// project. Deprecated.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::switch")]
    pub use_frontmatter: Option<bool>,
}

/// The keys below `sync.delete_guard`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawDeleteGuard {
    /// The limit as a number of files.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::large_number")]
    pub files: Option<u64>,
    /// The limit as a percentage of the project's files in the codex, or in the cache for a pull.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::percent")]
    pub percent: Option<Percent>,
}

/// The keys below `sync.checks`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawChecks {
    /// Tokens, keys and passwords. The markers `codex:allow-secret` and `gitleaks:allow` allow one.
    pub secrets: Option<CheckMode>,
    /// Unresolved merge conflicts: the lines `<<<<<<<`, `=======` and `>>>>>>>`. The
    /// marker `codex:allow-conflict` allows one.
    pub conflict_markers: Option<CheckMode>,
    /// Pointers of git LFS whose files are not in the checkout.
    pub lfs_pointers: Option<CheckMode>,
    /// Files of 1 MB or more.
    pub large_files: Option<CheckMode>,
    /// New files whose path in the codex differs from that of another file only in case or Unicode
    /// form.
    pub case_collisions: Option<CheckMode>,
    /// Relative links, images and anchors in Markdown and HTML that will not work in the codex. The
    /// marker `codex:allow-link` allows one.
    pub links: Option<CheckMode>,
    /// The digests of findings that are known and not reported.
    #[schemars(example = ["1f6ba2d4c8e09375"])]
    pub allow: Option<Vec<String>>,
}

/// The keys below `commit`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawCommit {
    /// The commit message. `{count}`, `{project}`, `{org}`, `{codex_repo}`, `{env}`, `{branch}` and
    /// `{subject}` are replaced. `{subject}` is the subject of the newest source commit; if none is
    /// known, it is `Sync N files from PROJECT`.
    #[schemars(schema_with = "fragment::message")]
    pub message: Option<String>,
    /// The author of the commits. By default, it is chosen as git does.
    pub author: RawAuthor,
    /// Add trailers that record the project and its source revision.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::switch")]
    pub trailers: Option<bool>,
    /// Add a `Co-authored-by` trailer for each author of the source commits: for each changed file,
    /// the newest commit that changed it.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::switch")]
    pub credit: Option<bool>,
    /// Whether commits are signed, with the format, key and program of the user's git
    /// configuration.
    pub sign: Option<SignMode>,
}

/// The keys below `commit.author`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawAuthor {
    /// The author's name.
    #[schemars(schema_with = "fragment::filled_text", example = &"Docs Bot")]
    pub name: Option<String>,
    /// The author's e-mail address.
    #[schemars(schema_with = "fragment::filled_text", example = &"docs@acme.com")]
    pub email: Option<String>,
}

/// The keys below `push`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPush {
    /// The maximum number of retries of a push if the branch moved.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::number")]
    pub retries: Option<u32>,
    /// The destination of commits: the branch of the codex, or a sync branch that is reviewed and
    /// merged on the server.
    pub mode: Option<PushMode>,
    /// The sync branch. `{workspace}`, `{org}`, `{codex_repo}`, `{env}` and `{branch}` are replaced.
    /// With `{project}`, each project has a branch of its own.
    #[schemars(schema_with = "fragment::plain_text", example = &"codex-sync/{project}")]
    pub branch: Option<String>,
    /// The greatest number of branches in one push. 0 means as many as the server allows.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::number")]
    pub max_refs: Option<u32>,
    /// If the server rejects a push: `isolate` withholds the projects that it rejects and pushes the
    /// others; `fail` pushes nothing.
    pub on_declined: Option<OnDeclined>,
    /// Settings of pull requests, for mode `pull-request`.
    pub pull_request: RawPullRequest,
}

/// The keys below `push.pull_request`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPullRequest {
    /// The title. `{count}`, `{projects}`, `{workspace}`, `{org}`, `{codex_repo}`, `{env}` and
    /// `{branch}` are replaced.
    #[schemars(schema_with = "fragment::pull_request_text")]
    pub title: Option<String>,
    /// The first lines of the body, with the same placeholders. A list of the projects follows.
    #[schemars(schema_with = "fragment::pull_request_text")]
    pub body: Option<String>,
    /// Labels of a new pull request.
    #[schemars(example = ["documentation"])]
    pub labels: Option<Vec<String>>,
    /// Reviewers of a new pull request: names of users, and teams as `ORG/TEAM`.
    #[schemars(example = ["ada", "acme/docs"])]
    pub reviewers: Option<Vec<String>>,
    /// Open pull requests as drafts.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::switch")]
    pub draft: Option<bool>,
    /// Let the forge merge pull requests once their requirements are met, and how.
    pub auto_merge: Option<AutoMerge>,
}

/// The keys below `forge`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawForge {
    /// The kind of forge. `auto`: known from the host, the CI system or the server's responses.
    pub kind: Option<ForgeChoice>,
    /// The URL of the API, if it is not on the remote's host. In a file of the workspace, it
    /// receives no tokens of the user or of the run.
    #[schemars(schema_with = "fragment::api_url", example = &"https://git.acme.com/api/v4")]
    pub api: Option<String>,
    /// The repository on the forge, `OWNER/NAME`. By default, it is known from the remote's URL.
    #[schemars(schema_with = "fragment::repository_name", example = &"acme/codex")]
    pub repository: Option<String>,
    /// The token for the API. The default is the remote's token. Write a reference to a variable,
    /// never the token itself.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::plain_text", example = &"${FORGE_TOKEN}")]
    pub token: Option<Secret>,
}

/// The keys below `clone`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawClone {
    /// `temp`: deleted after the run. `cached`: reused by later runs.
    pub strategy: Option<CloneStrategy>,
}

/// The keys below `cache`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawCache {
    /// Whether published files are also written to the cache. `auto` is off if `CI=true`.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::cache_switch")]
    pub enabled: Option<CacheSwitch>,
    /// The directory of the cache. A project without a `.fractary/` of its own uses the
    /// workspace's.
    #[schemars(length(min = 1))]
    pub dir: Option<String>,
}

/// The keys below `state`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawState {
    /// The directory of recorded state. The default is below the user's state directory.
    #[schemars(example = &".fractary/codex/state", length(min = 1))]
    pub dir: Option<String>,
}

/// An entry of `remotes`, which is a key of the older tool.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RawOlderRemote {
    /// The token for the repository.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::plain_text", example = &"${GITHUB_TOKEN}")]
    pub token: Option<Secret>,
    /// The host of the repository. In the user's own file, the default is `github.com`.
    #[serde(deserialize_with = "read")]
    #[schemars(schema_with = "fragment::host", example = &"git.acme.com")]
    pub host: Option<TokenHost>,
}
