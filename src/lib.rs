//! Publishes the shared documents of many projects into one git repository, the codex: one clone,
//! one commit per project, and one push. Success is reported only after the remote confirms it.
//!
//! A sync from end to end, as the command line does it:
//!
//! ```
//! use fractary_codex::{config, environment::Environment, outcome::Pushed, sync::{self, SyncRequest}, workspace};
//!
//! # let directory = tempfile::tempdir()?;
//! # let root = directory.path().canonicalize()?;
//! # std::fs::create_dir_all(root.join("workspace/billing/docs"))?;
//! # std::fs::write(root.join("workspace/billing/docs/ledger.md"), "# Ledger\n")?;
//! let variables = [
//!     ("FRACTARY_CODEX_WORKSPACE__MEMBERS", "['*']"),
//!     ("FRACTARY_CODEX_REMOTE__URL", "../codex.git"),
//!     ("FRACTARY_CODEX_REMOTE__CREATE", "true"),
//!     ("GIT_AUTHOR_NAME", "Ada"),
//!     ("GIT_AUTHOR_EMAIL", "ada@acme.example"),
//! ];
//! let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
//! let mut request = config::LoadRequest::new(root.join("workspace"), Environment::from_iter(variables));
//! request.state_home = Some(root.join("state"));
//! let (configuration, workspace) = workspace::load(&request).expect("a workspace");
//! let request = SyncRequest::new(&configuration, &workspace, std::env::temp_dir(), 1_700_000_000);
//! let outcome = sync::sync(&request);
//! assert_eq!(outcome.pushed, Pushed::Verified);
//! let plan = outcome.projects[0].plan.as_ref().expect("a plan");
//! assert_eq!(plan.counts().added, 1);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Data flows in one direction, and the small types do not depend on it:
//!
//! > config layers → workspace → scan (parallel) → plan (pure) → commits → one push → verify → report
//!
//! The opposite direction is shorter: workspace → the files of the codex that a project selects
//! (`workspace::codex_selector`) → the local cache (`cache`). `sync` runs both.
//!
//! The places to find or change something:
//!
//! | | |
//! |---|---|
//! | **configuration and patterns** | |
//! | what a pattern matches | `glob`, for every pattern of the program; `tests/it/model` specifies it independently |
//! | a glob becomes a path in the codex | `Claims::claim` in `workspace::claims`, below the project's `to` (`CodexPath::join` in `paths`); and `codex://…` backwards in `workspace::codex_selector` |
//! | which layer of the configuration a value comes from | `candidates` in `config::layers`, for every reader of values; the rank of a layer is its position in `LayerKind` of `config::location`; `config explain` is `config::explain` |
//! | a default, or the meaning of a key | `config/defaults.yaml`; `config::model` |
//! | the projects, the organization and the codex that `init` finds | `cli::commands::init`: a layout is in its `layout`, the lists of a build tool are in a file of `member_lists` each, and `codex_names` has the names |
//! | **sources, plan and checks** | |
//! | what is added, modified, deleted or withheld | `plan` |
//! | a plan is saved, shown, or carried out later (`--plan-out`, `plan show`, `--plan`, `--expect`) | `saved_plan` has the file, and compares two plans; the stage `sync::publish::compare` stops a run whose plan differs; `workspace::settings_digests` lists the settings that matter; `cli::args::given_options` the options |
//! | a plan as a comment on a pull request | `report::plan_comment`; `markdown` has what it shares with the texts of pull requests |
//! | a path is never published | `workspace::resolve::deny_list` collects paths, `workspace::project` has the private names; `scan::boundary` applies both, and `scan::walk` skips `.git` |
//! | which entries of a project are published, on disk or in a commit | `scan::entry_rules`; `scan::walk` finds those on disk, `scan::committed` those of a commit (`sync.to_codex.source`) |
//! | the contents of a source file, from the disk or from a commit | `sync::sources` selects; `scan::read` and `scan::committed` read; `codex::source_repository` has the objects |
//! | a project is withheld because of uncommitted files or its branch | `sync::publish::source_guards`, with `codex::uncommitted` and `sync::source_branch` |
//! | the projects that `--changed-since` selects | `sync::changed_since`; the base of a build is in its `ci_base`, and the changes of a repository are in `codex::source_changes` and `codex::source_index`; `codex::source_commits` finds commits by revisions |
//! | the projects of a shard (`--shard`), and the matrix of a pipeline (`projects --matrix`) | `workspace::shards` divides them by the numbers of files of `sync::shard_weights`; `report::matrix` has the forms |
//! | a check of the planned files before they are published | `checks` has the checks and their findings; `sync::publish::check` runs them between plan and commit, and withholds projects; `sync::publish::checked_file` selects the files |
//! | a link of a document, and its target in the codex | `LinkTarget` in `checks::links::target`; `checks::links::broken_link` says why it is broken, and `sync::publish::planned_codex` is the codex after a plan |
//! | a path that differs only in case or Unicode form from another one | `checks::case_collisions`; `codex::objects::spellings` finds such directories in the codex |
//! | a secret in a document | `checks::secrets`: the formats are in `rules` and `named_rules`, and what distinguishes a placeholder in `proof` |
//! | **commits** | |
//! | the message of a commit, and its trailers | `codex::objects::commit_message` writes and parses them |
//! | a secret in a text beside the documents: a commit message, a pull request | `SyncRequest::finds_secret` in `sync::request`; `sync::publish::commit` and `proposal_text` leave the text out |
//! | the source commits of a project's changes, and their authors (`commit.credit`, `{subject}`) | `codex::source_authors` reads the history; `sync::publish::credits` holds them for a run |
//! | author and committer of a commit | `codex::identity`; `sync::authorship` holds them for a run |
//! | a commit is signed | `codex::signing` has the key and makes the signature; `with_signature` in `codex::objects::commit_builder` puts it into the commit |
//! | the commit and the author of a file's version, also through renames of its project | `codex::objects::path_history` |
//! | commits are read newest first, and fetched only as deep as needed | `codex::objects::commit_walk`; `sync::commit_search`, with the depths of `sync::search_depths` |
//! | the syncs that `log` lists | `sync::sync_log`; the trailers are those of `codex::objects::commit_message` |
//! | the origin of a file (`trace`) | `sync::trace`; what a path on the command line means is in its `trace_target`, the source file in its `source_file` |
//! | **pushes** | |
//! | whether a push was verified, was rejected, or met a moved branch | `judge` in `sync::publish::push`, after the tip was queried again; the kinds of rejections are in `codex::remote::rejection` |
//! | when a push is tried again, and after which delay | the loop `land` in `sync::publish` lists the cases; the delay is in `sync::publish::retry` |
//! | the projects that are withheld because the server rejects them | `sync::publish::rejection` reads its message, `sync::publish::isolation` selects the parts to push |
//! | the number of branches in a push | `max_refs` in `sync::publish::publish_run` |
//! | file contents on their way into a push: read, sent, kept for another attempt | `codex::push_contents`; the pack around them in `codex::remote::native::outgoing_pack` |
//! | commits that are pushed to another branch than the one below them, as for a pull request | `workspace::resolve::push_branches` names the sync branches; `Base` and `PushTarget` in `sync::remote_session`; `sync::parting` compares them; a lane of `sync::publish::lane` for each |
//! | the branch of the codex is merged into a sync branch | `sync::publish::merge` decides; `codex::objects::tree_merge` compares and merges the trees |
//! | when a project was last synced, and since when the codex lacks its changes (`status --html`) | `sync::history`, `sync::staleness` |
//! | drift: files that others have changed in the codex since the last sync | `sync::publish::drift`; `ProjectPlan::drifted` compares, and `state` keeps what is not overwritten yet |
//! | **pull requests and forges** | |
//! | a pull request is opened instead of a push to the branch of the codex (`push.mode`) | `workspace::resolve::{push_branches, pull_requests}` decide; `LaneBranch::open` in `sync::publish::lane_branch` opens it, and `sync::publish::propose` calls that for each sync branch of a run |
//! | the texts of a pull request | `sync::publish::proposal_text`; foreign text loses its meaning in `forge::pull_request_text` |
//! | projects are withheld because a person closed the pull request; a branch that was merged by a squash is deleted | `read_pull_requests` in `sync::publish::propose`, before the push |
//! | a new forge | the steps are in `forge`; the trait, with what each method must guarantee, is in `forge::pull_request` |
//! | the address of the page of a commit or a file | `forge::web_page` |
//! | a request to the API of a forge, and its errors | `forge::api`; `forge::detection` finds the forge and its API |
//! | **projects that leave the codex** | |
//! | a project is removed or renamed in the codex (`retire`, `rename`) | `sync::retire`; the plans are in `sync::publish::task_planner`, the former directory in `sync::former_directory` |
//! | a directory that a project has left in the codex | `sync::orphans`, from the recorded state and the history |
//! | **tokens** | |
//! | a token enters, and the hosts that it may be sent to | `workspace::resolve::tokens`, for all keys (`remote.token`, `remotes`, `forge.token`); SECURITY.md has the table |
//! | the token of a request | `codex::remote::credential` selects it among those, that of the URL and that of the job (`GITHUB_TOKEN`), for the API too; logins of `.netrc` and of git's helpers are in `codex::remote::native::http::logins` |
//! | a connection is not safe for a token | plain http or a rewritten URL: `codex::remote::context`; a redirect: each client of http, `codex::remote::native::http`, `codex::remote::git_process` and `forge::api` |
//! | a token is attached to a request | `codex::remote::native::http`, `codex::remote::git_process`, `forge::api` |
//! | a token is masked in output | `codex::remote::context` masks it in messages of others; `config::values` and `url` (with `url_query`) in values, `config::configured_secrets` and `masked_urls` in messages about the configuration and in errors that repeat arguments |
//! | **the remote and the clone** | |
//! | a new transport for remotes | `codex::remote`: the trait, its requirements, and `open`, which selects the implementation |
//! | the URL that is used, after git's configuration has rewritten it | `codex::git_config` reads the rules, `codex::remote::context` applies them once; `Transport::url` is the one that is printed |
//! | git's protocol, spoken by the program itself | `codex::remote::native`: the messages (`protocol`) and their carriers (`http`, `ssh`, `local`) |
//! | a request is repeated | `sync::repeater`, for requests that only read; after a login or a surprise, in `codex::remote::native::{conversation, http}` |
//! | damage in a persistent clone | `codex::clone_check`, before git uses it; `sync::remote_session` fetches it again |
//! | the clone of a killed run is removed | `codex::temp_clone` |
//! | **the local cache** | |
//! | the files that a project pulls, and those that are skipped | `sync::pull::selection` |
//! | the order in which a pull reads contents, and the files of one thread | `write_files` in `cache::apply`; `codex::packed_objects` reads the packs |
//! | a file of the cache was modified locally, and is kept | `cache::cache_plan`; the warning is in `sync::caches` |
//! | a pull would delete too many files of the cache | the guard is `plan::delete_guard`, as for a publish; `sync::pull::withheld_pulls` applies it |
//! | a pattern selects files of the cache (`cache list --pattern`) | `workspace::covering_pattern` |
//! | the errors that a dry run predicts for a cache | `cache::simulate` |
//! | **single documents** | |
//! | the documents that a URI names (`fetch`) | `workspace::document_uri`; its globs are those of `workspace::codex_selector` |
//! | the requests for a single document, and when a cache replaces them | `sync::fetch`; the filters are in `TreeLevels::filter` in `codex::remote::transport` and `Store::filter` in `codex::store` |
//! | **agents** | |
//! | a tool of the server for agents (`mcp`) | a file of `cli::commands::mcp` each; `mcp_tool` has the trait, `tools` the list, and `server` the protocol |
//! | the documents that a tool lists or searches | `sync::fetch::{listing, text_search}` |
//! | **output and errors** | |
//! | a new output format | `cli::args::output`: `Format`, for commands that report events while they run, and `DocumentFormat`, for all others; the compiler then names the functions that distinguish formats; check the users of `DocumentArgs::is_json` and `Format::is_for_people` by hand; its text is a file in `report` |
//! | the message, hints and exit status of an error | the message is in the error type of the module, hints in `cli::error_report`, exit statuses in `cli::exit` |
//! | the progress on a terminal, and what a push waits for | `report::progress`; the events are in `event`, and `RemoteContext::report_awaited` in `codex::remote::context` reports the lines of the server |
//! | what `-v` says of a run and of each project | `sync::decisions` and `log_base` in `sync::remote_session`; `cli::log_lines` writes the log as text, with the names of the stages |
//! | a message is wrapped at the width of the terminal | `report::wrap` |
//! | the page of `status --html` | `templates/`, `report::page` |
//! | the output for CI systems | `report::step_summary` (GitHub's summary), `report::github` (annotations and outputs), `report::code_quality` (GitLab); `cli::workflow_step` writes the files of a step |
//! | a name, a path or a message of others is printed safely | `escaped` and `shown` in `paths`; `report::harmless` in JSON documents |
//!
//! Programs can use the modules that are documented here; `examples/publish.rs` is one with its own
//! reporter. The rest is private to the crate, except `cli::run` for the program and `internals`
//! for benchmarks, fuzz targets and tests; both are hidden.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")
)]

// Small types, which do not depend on the flow.
pub mod environment;
pub mod event;
pub(crate) mod glob;
pub mod interrupt;
pub(crate) mod lock;
pub(crate) mod markdown;
pub(crate) mod masked_urls;
pub mod names;
pub mod object;
pub(crate) mod paths;
pub(crate) mod platform;
pub(crate) mod record;
pub(crate) mod secret;
pub(crate) mod stat;
pub(crate) mod text;
pub(crate) mod token_host;
pub mod url;
mod url_query;

// From the configuration to a checked plan.
pub(crate) mod checks;
pub mod config;
pub(crate) mod plan;
pub(crate) mod scan;
pub mod workspace;

// The codex (with all use of git), its forge, the local cache, and the recorded state.
pub(crate) mod cache;
pub(crate) mod codex;
pub(crate) mod forge;
pub(crate) mod state;

// A run and its output. The program is a separate crate, which calls `cli::run`.
#[doc(hidden)]
pub mod cli;
pub mod outcome;
pub(crate) mod report;
pub(crate) mod saved_plan;
pub mod sync;

/// Internals for benchmarks, fuzz targets and tests. They are not a part of the API.
#[doc(hidden)]
pub mod internals {
    pub use crate::codex::objects::listing;
    pub use crate::codex::objects::pack::{Encoded, PackWriter, Written, whole};
    pub use crate::codex::objects::tree::{Edit, TreeEntry, TreeStore, decode, edit, encode};
    pub use crate::event::Counter;
    pub use crate::paths::{check_segment, resolved};
    pub use crate::plan::{Decision, Entry, Listing, plan};
    pub use crate::platform::ignores;
    pub use crate::scan::{
        SkipReason, Skipped, Snapshot, StatCache, StatCachePolicy, Survey, count, scan,
    };
    pub use crate::sync::sources::Sources;
    pub use crate::workspace::claims::{
        Claim, ClaimPatterns, Claims, IncludeOrigin, MappingPatterns,
    };
}
