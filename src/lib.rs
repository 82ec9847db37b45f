//! Publishes the shared documents of many projects into one git repository, the codex: one clone, one commit per
//! project, one push, and no success told that the remote did not confirm.
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
//! let request = config::LoadRequest {
//!     cwd: root.join("workspace"),
//!     environment: Environment::from_iter(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))),
//!     state_home: Some(root.join("state")),
//!     ..config::LoadRequest::default()
//! };
//! let (configuration, workspace) = workspace::load(&request).expect("a workspace");
//! let request = SyncRequest::new(&configuration, &workspace, std::env::temp_dir(), 1_700_000_000);
//! let outcome = sync::sync(&request);
//! assert_eq!(outcome.pushed, Pushed::Verified);
//! assert_eq!(outcome.projects[0].plan.counts().added, 1);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Data flows one way; the small types below know nothing of it:
//!
//! > config layers → workspace → scan (parallel) → plan (pure) → commits → one push → verify → report
//!
//! The way back is shorter: workspace → what a project wants of the codex (`pull`) → the local cache (`cache`), with
//! `sync` as the orchestrator of both.
//!
//! Where to look, to find or to change something:
//!
//! | | |
//! |---|---|
//! | a glob becomes a path in the codex | `workspace::mapping`, below the project's `to` ([`plan::in_codex`]); and `codex://…` backwards in `pull` |
//! | what is added, modified, deleted or withheld | [`plan`] |
//! | a refused push is told from a moved branch | `sync::push`: by the tip, asked again, never by words; what follows from it in `sync::publish` |
//! | a token enters | `config` (`remote.token`, `remotes`; any layer, `.fractary/env/.env`), the remote's URL, `GITHUB_TOKEN`, `GH_TOKEN`; `codex::auth` chooses |
//! | where a token may go | `codex::transport::git`, `codex::remote::http` and `codex::transport::embedded::http` attach it; `codex::transport::bound` masks it in what others say, `config::origin` and `url` in what we say; SECURITY.md tells why |
//! | a new way to talk to a remote | `codex::transport`: the trait, what an implementation owes, and `open`, which chooses |
//! | git's protocol, spoken by the program itself | `codex::remote`: what is said (`protocol`), who carries it (`http`, `ssh`, `local`) |
//! | a new output format | a file in `report`; a `Format` in `cli::args::output`, and the compiler names the rest; its schema in `cli::commands::config` |
//! | an error's words, hint and exit status | the module's error type; `cli::failure`, for every command |
//! | a killed run's clone is removed | `codex::scratch` |
//! | a file of the cache was changed by hand, and stays | `cache::plan` |
//! | a default, or what a key means | `config/defaults.yaml`; `config::raw` |
//! | the page of `status --html` | `templates/`, `report::page` |
//!
//! What programs may build upon is documented here; modules that are not shown are open for benchmarks and fuzzing alone.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")
)]

// Small types that know nothing of the flow.
pub mod environment;
pub mod event;
pub mod glob;
pub mod interrupt;
#[doc(hidden)]
pub mod lock;
pub mod names;
pub mod object;
#[doc(hidden)]
pub mod paths;
#[doc(hidden)]
pub mod platform;
#[doc(hidden)]
pub mod record;
#[doc(hidden)]
pub mod secret;
#[doc(hidden)]
pub mod stat;
pub mod url;
#[doc(hidden)]
pub mod words;

// From the configuration to a plan.
pub mod config;
pub mod plan;
pub mod scan;
pub mod workspace;

// The codex, the local cache, and what is remembered of both.
#[doc(hidden)]
pub mod cache;
#[doc(hidden)]
pub mod codex;
#[doc(hidden)]
pub mod pull;
#[doc(hidden)]
pub mod state;

// A run, and what is told of it.
#[doc(hidden)]
pub mod cli;
pub mod outcome;
#[doc(hidden)]
pub mod report;
pub mod sync;
