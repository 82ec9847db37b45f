//! The definition of the command line. Flags that set a configuration key become values of the
//! highest layer. Nothing here reads a file or makes a decision.

mod given_options;
mod known_values;
mod output;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};

use crate::names::{CodexPath, InvalidPath, InvalidProjectName, ProjectName};
use crate::object::ObjectId;
use crate::workspace::shards::Shard;

pub(crate) use super::sync_preset::SyncPreset;
pub(crate) use given_options::{GivenOption, OptionRole, accepted_by, shown_word};
pub(crate) use known_values::KnownValues;
pub(crate) use output::{
    DocumentArgs, Format, LogFormat, OutputArgs, PlanFormat, PlanOutputArgs, When,
};

/// Publish the documentation of many projects into one git repository, the codex.
#[derive(Debug, Parser)]
#[command(name = "fractary-codex", version, max_term_width = 100)]
#[command(
    after_help = "Exit status: 0 done · 1 some projects failed or were withheld · 2 usage · 3 configuration · \
    4 remote · 5 push rejected, or the plan no longer applies · 6 out of date (`--check`) · 70 internal error"
)]
#[command(after_long_help = "Examples:
  fractary-codex init                  create a configuration for this directory
  fractary-codex doctor                check configuration, credentials and remote
  fractary-codex sync --all --dry-run  show what would be published
  fractary-codex sync --all            publish all projects
  fractary-codex status --check        exit with 6 if anything is out of date

Exit status:
    0  done, or nothing to do
    1  some projects failed or were withheld; the others are done
    2  usage
    3  configuration
    4  remote: cannot be reached, found, read, or authenticated to
    5  push rejected, retries used up, or the plan no longer applies
    6  `--check`: out of date
   70  internal error, please report it
128+n  ended by signal n, cleaned up

Environment:
  FRACTARY_CODEX_CONFIG          use this configuration file, as --config-file
  FRACTARY_CODEX_ENV             use the branch of this environment, as --env
  FRACTARY_CODEX_LOG             filter the log lines, e.g. `debug`
  FRACTARY_CODEX_SAFE_DIRECTORY  read the files in these directories, whoever owns them
  FRACTARY_CODEX_SECTION__KEY    set the configuration key `section.key`
  NO_COLOR, CLICOLOR_FORCE       never or always use color
  XDG_CONFIG_HOME                use this directory instead of ~/.config
  XDG_STATE_HOME                 use this directory instead of ~/.local/state
  XDG_CACHE_HOME                 use this directory instead of ~/.cache

Files:
  .fractary/config.yaml           configuration of the workspace (or .yml, .toml, .json)
  .fractary/config.local.yaml     configuration of this machine, which is not shared
  .fractary/env/.env              variables of the workspace
  .fractary/codex/cache/          files that a sync has pulled (`cache.dir`)
  ~/.config/fractary/config.yaml  your own configuration
  ~/.local/state/fractary-codex/  recorded state and locks (`state.dir`)
  ~/.cache/fractary-codex/        clones that later runs use again (`clone.strategy`)")]
pub(crate) struct Cli {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Options that every command accepts.
    #[command(flatten)]
    pub(crate) global: Global,
}

impl Cli {
    /// Reads the arguments, the first of which is the name of the program.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let mut matches = command.try_get_matches_from_mut(arguments)?;
        let given = given_options::of_sync(&command, &matches);
        let target = given_options::of_target(&command, &matches);
        let mut cli =
            Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
        if let Command::Sync(arguments) = &mut cli.command {
            arguments.given = given;
        }
        cli.global.target = target;
        Ok(cli)
    }
}

/// Options that every command accepts.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Run as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub(crate) directory: Option<PathBuf>,
    /// Override a configuration key, e.g. `remote.branch=main` (repeatable)
    #[arg(long = "config", value_name = "KEY=VALUE", global = true)]
    #[arg(add = KnownValues::KeyAssignments)]
    pub(crate) config: Vec<String>,
    /// Use this configuration file instead of searching for one [env: FRACTARY_CODEX_CONFIG]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub(crate) config_file: Option<PathBuf>,
    /// Use verbose output (-vv for debug output)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// Suppress progress and warnings
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// When to use color
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        global = true,
        hide_short_help = true
    )]
    pub(crate) color: When,
    /// Do not show progress bars
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) no_progress: bool,
    /// Format of log lines (`FRACTARY_CODEX_LOG` filters them)
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        global = true,
        hide_short_help = true
    )]
    pub(crate) log_format: LogFormat,
    /// The given options that a suggested `sync` repeats, as words for a shell.
    #[arg(skip)]
    pub(crate) target: Vec<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish projects to the codex: one commit per project, a single verified push
    Sync(Box<SyncArgs>),
    /// Show what a sync would change, one line per project
    Status(StatusArgs),
    /// Show a saved plan
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Remove a project that the configuration no longer has from the codex
    Retire(RetireArgs),
    /// Move the directory of a renamed project in the codex
    Rename(RenameArgs),
    /// Print or save documents of the codex by their URIs, without a clone
    #[command(visible_alias = "document-fetch")]
    Fetch(FetchArgs),
    /// List the syncs in the history of the codex, newest first
    Log(LogArgs),
    /// Show where files of the codex come from: project, source revision, commit and author
    Trace(TraceArgs),
    /// List the projects: root, path in the codex, number of matching files
    Projects(ProjectsArgs),
    /// Inspect or clear the local cache
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Older name of `cache list`
    #[command(name = "cache-list", hide = true)]
    CacheList(CacheListArgs),
    /// Older name of `cache clear`, which needs a selection
    #[command(name = "cache-clear", hide = true)]
    #[command(group = clap::ArgGroup::new("cleared").args(["all", "pattern", "project"]).multiple(true).required(true))]
    CacheClear(CacheClearArgs),
    /// Older names of `cache status`
    #[command(name = "cache-stats", alias = "cache-health", hide = true)]
    CacheStatus(CacheArgs),
    /// Show, explain and validate the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Older name of `config validate`
    #[command(name = "config-validate", hide = true)]
    ConfigValidate(DocumentArgs),
    /// Older name of `config update`
    #[command(name = "config-update", hide = true)]
    ConfigUpdate(ConfigUpdateArgs),
    /// Check configuration, roots, remote, credentials and push permission, without pushing
    #[command(alias = "health")]
    Doctor(DoctorArgs),
    /// Create a commented `.fractary/config.yaml` for the current directory
    #[command(visible_alias = "config-init", alias = "configure")]
    Init(InitArgs),
    /// Serve documents of the codex to agents, with the Model Context Protocol on standard input and
    /// output
    Mcp(McpArgs),
    /// Print a completion script for a shell
    ///
    /// The script is for `fractary-codex` and `fractary codex`. In bash, zsh and fish, it also suggests
    /// the names of projects, environments and configuration keys.
    #[command(after_long_help = "Examples:
  source <(fractary-codex completions bash)  in ~/.bashrc
  source <(fractary-codex completions zsh)   in ~/.zshrc, below compinit
  fractary-codex completions fish | source   in ~/.config/fish/config.fish")]
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// Print the words that can complete the last WORD, for the scripts of `completions`
    #[command(hide = true)]
    Complete {
        /// The words of the command line up to the cursor, the program included
        #[arg(value_name = "WORD", last = true, required = true)]
        words: Vec<OsString>,
    },
    /// Print the man page, or write one man page per command to DIR
    Man {
        /// Output directory
        #[arg(value_name = "DIR")]
        pages: Option<PathBuf>,
    },
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Project selection.
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Exit with 6 if anything is out of date
    #[arg(long)]
    pub(crate) check: bool,
    /// Run the checks (`sync.checks`) on all files, not only on those that a sync would publish
    ///
    /// In files that a sync would not change, every finding is a warning, and the exit status does not
    /// depend on it.
    #[arg(long)]
    pub(crate) check_content: bool,
    /// Also write a self-contained HTML report, including when and from which revision each project
    /// was last synced
    ///
    /// The report is a single file that loads nothing else, so it can be mailed, served by any web
    /// server or stored as a pipeline artifact. `-` writes it to standard output instead of the
    /// table. The last-sync information is read from the codex's history.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also write the findings of the checks as a code quality report of GitLab
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) code_quality: Option<PathBuf>,
    /// Do not contact the remote; compare with the last recorded state
    #[arg(long)]
    pub(crate) offline: bool,
    /// Use the branch configured for this environment in `sync.environments` [env:
    /// FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME")]
    #[arg(add = KnownValues::Environments)]
    pub(crate) env: Option<String>,
    /// Output options.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `plan`.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Print a saved plan (`sync --dry-run --plan-out FILE`) as the dry run printed it
    Show {
        /// The saved plan; `-` for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Output options.
        #[command(flatten)]
        output: PlanOutputArgs,
    },
}

/// `fetch`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  fractary-codex fetch codex://acme/billing/docs/ledger.md
  fractary-codex fetch 'codex://acme/*/README.md' --output documents/
  fractary-codex fetch codex://acme/billing/logo.png > logo.png")]
pub(crate) struct FetchArgs {
    /// `codex://ORGANIZATION/PROJECT/PATH`; project and path can be globs
    #[arg(value_name = "URI", required = true, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) uris: Vec<String>,
    /// Write the document to a file, or all documents to a directory as PROJECT/PATH (`-`: standard
    /// output)
    ///
    /// An existing file is replaced, as a whole. A path that ends with `/` is a directory, which is
    /// created if it does not exist.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Use a document in the local cache without a request, if it was synced no longer ago than this
    ///
    /// A number is in seconds. Without this option, a cached document is used if it is from the
    /// current tip of the codex, which takes one request.
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl)]
    pub(crate) ttl: Option<Duration>,
    /// Do not contact the remote; use the documents in the local cache, whatever their age
    #[arg(long, conflicts_with_all = ["ttl", "bypass_cache"])]
    pub(crate) offline: bool,
    /// Do not use the local cache
    #[arg(long, conflicts_with = "ttl")]
    pub(crate) bypass_cache: bool,
    /// Use the branch configured for this environment in `sync.environments` [env:
    /// FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME")]
    #[arg(add = KnownValues::Environments)]
    pub(crate) env: Option<String>,
    /// Output options.
    #[command(flatten)]
    pub(crate) format: DocumentArgs,
}

/// `log`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  fractary-codex log                       the last 20 syncs
  fractary-codex log -p 'billing-*' -n 100 those of some projects
  fractary-codex log --json | jq -r '.syncs[] | [.project, .commit.id] | @tsv'")]
pub(crate) struct LogArgs {
    /// Only these projects (name or glob, repeatable), which need not be configured any more
    #[arg(short, long = "project", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    #[arg(add = KnownValues::Projects)]
    pub(crate) project: Vec<String>,
    /// List at most N syncs
    #[arg(short = 'n', long, value_name = "N", default_value = "20", value_parser = parse_limit)]
    pub(crate) limit: usize,
    /// Use the branch configured for this environment in `sync.environments` [env:
    /// FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME")]
    #[arg(add = KnownValues::Environments)]
    pub(crate) env: Option<String>,
    /// Output options.
    #[command(flatten)]
    pub(crate) output: DocumentArgs,
}

/// `trace`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  fractary-codex trace projects/billing/docs/ledger.md   a path of the codex
  fractary-codex trace billing/docs/ledger.md            its source file
  fractary-codex trace --json 'codex://acme/billing/**'  all files of a project")]
pub(crate) struct TraceArgs {
    /// A path of the codex, a `codex://` URI (project and path can be globs), a source file, or a file
    /// of a local cache
    ///
    /// An existing file of this machine comes before a file of the codex with the same path.
    #[arg(value_name = "PATH", required = true, value_parser = NonEmptyStringValueParser::new())]
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<String>,
    /// Use the branch configured for this environment in `sync.environments` [env:
    /// FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME")]
    #[arg(add = KnownValues::Environments)]
    pub(crate) env: Option<String>,
    /// Output options.
    #[command(flatten)]
    pub(crate) output: DocumentArgs,
}

fn parse_limit(text: &str) -> Result<usize, &'static str> {
    let limit = text.parse().ok().filter(|limit| *limit > 0);
    limit.ok_or("expected a number of at least 1")
}

/// Parses a duration, or a number of seconds.
fn parse_ttl(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    let parsed = seconds.or_else(|| humantime::parse_duration(text).ok());
    parsed.ok_or_else(|| "expected a duration, such as `300`, `5m` or `1h`".to_owned())
}

/// `mcp`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The client starts the server, which reads the configuration of its directory for each call and
changes nothing. An entry in the configuration of a client:
  {\"mcpServers\": {\"codex\": {\"command\": \"fractary-codex\", \"args\": [\"-C\", \"/path/to/workspace\", \"mcp\"]}}}"
)]
pub(crate) struct McpArgs {
    /// Use the branch configured for this environment in `sync.environments` [env:
    /// FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME")]
    #[arg(add = KnownValues::Environments)]
    pub(crate) env: Option<String>,
}

/// `retire`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  fractary-codex retire billing --dry-run  list the files that would be deleted
  fractary-codex retire billing            delete them, after a confirmation")]
pub(crate) struct RetireArgs {
    /// Name of the project
    #[arg(value_name = "NAME", value_parser = parse_name)]
    pub(crate) name: ProjectName,
    /// Also delete files whose last change is not from a sync of the project
    #[arg(long)]
    pub(crate) include_others: bool,
    /// Options of commands that change one project in the codex.
    #[command(flatten)]
    pub(crate) common: ChangeArgs,
}

/// `rename`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  fractary-codex rename billing payments   after its name was changed
  fractary-codex rename billing billing    after its `to` was changed")]
pub(crate) struct RenameArgs {
    /// Former name of the project
    #[arg(value_name = "OLD", value_parser = parse_name)]
    pub(crate) old: ProjectName,
    /// Present name of the project; its directory is that of the configuration
    #[arg(value_name = "NEW", value_parser = parse_name, add = KnownValues::Projects)]
    pub(crate) new: ProjectName,
    /// Options of commands that change one project in the codex.
    #[command(flatten)]
    pub(crate) common: ChangeArgs,
}

/// Options of `retire` and `rename`.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Former directory in the codex, if it is neither recorded nor the default one
    #[arg(long = "directory", value_name = "DIR", value_parser = parse_directory)]
    pub(crate) former_directory: Option<CodexPath>,
    /// Do not ask for a confirmation
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Show what would change without changing anything
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Push to the codex's branch, or to a sync branch for a review [env:
    /// FRACTARY_CODEX_PUSH__MODE]
    #[arg(long, value_name = "MODE", value_parser = ["direct", "branch", "pull-request"])]
    pub(crate) push_mode: Option<String>,
    /// Use the branch configured for this environment in `sync.environments` [env:
    /// FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME")]
    #[arg(add = KnownValues::Environments)]
    pub(crate) env: Option<String>,
    /// Add a `Codex-Work-Id` trailer to the commit
    #[arg(long, value_name = "ID", hide_short_help = true)]
    pub(crate) work_id: Option<String>,
    /// Output options.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

fn parse_name(text: &str) -> Result<ProjectName, InvalidProjectName> {
    text.parse()
}

fn parse_directory(text: &str) -> Result<CodexPath, InvalidPath> {
    CodexPath::new(text.as_bytes())
}

/// `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the keys that have a value, with the values that are in effect
    Show {
        /// Also show the layer, file and line of each value, and what it overrides
        #[arg(long)]
        origin: bool,
        /// Output options.
        #[command(flatten)]
        output: DocumentArgs,
    },
    /// Show where a key's value comes from and what it overrides
    Explain {
        /// Dotted key, e.g. `sync.to_codex.include`
        #[arg(add = KnownValues::Keys)]
        key: String,
        /// Output options.
        #[command(flatten)]
        output: DocumentArgs,
    },
    /// Validate the configuration and report all errors
    Validate(DocumentArgs),
    /// Change keys of the section `codex` in the configuration of the current directory
    Update(ConfigUpdateArgs),
    /// Print a JSON Schema (the files in `schemas/`)
    Schema {
        /// Which schema to print
        #[arg(default_value = "config")]
        of: SchemaOf,
    },
    /// List the configuration files in use, lowest precedence first
    Path(DocumentArgs),
}

/// `config update`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("updated").args(["organization", "project", "codex_repo", "sync_preset"]).multiple(true).required(true))]
#[command(
    after_long_help = "Only these keys change: comments, other keys and sections of other tools are kept."
)]
pub(crate) struct ConfigUpdateArgs {
    /// Set `organization`
    #[arg(long, alias = "org", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) organization: Option<String>,
    /// Set `project`
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(crate) project: Option<ProjectName>,
    /// Set `codex_repo`
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) codex_repo: Option<String>,
    /// Set the patterns of `sync.to_codex` and `sync.from_codex`
    #[arg(long, value_name = "PRESET")]
    pub(crate) sync_preset: Option<SyncPreset>,
    /// An option of the older tool without an effect.
    #[arg(long, hide = true)]
    pub(crate) no_mcp: bool,
    /// Output options.
    #[command(flatten)]
    pub(crate) output: DocumentArgs,
}

/// `cache`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List the files in the cache
    List(CacheListArgs),
    /// Show which codex commit the cache is from, its age, and local edits
    #[command(aliases = ["stats", "health"])]
    Status(CacheArgs),
    /// Remove the files that syncs wrote to the cache
    Clear(CacheClearArgs),
}

/// `cache list`.
#[derive(Debug, Args)]
pub(crate) struct CacheListArgs {
    /// Only files that this pattern covers: `codex://ORG/PROJECT/PATH`, or a glob
    #[arg(long, value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) pattern: Option<String>,
    /// Only files with this status
    #[arg(long, value_name = "STATUS", default_value = "all")]
    pub(crate) status: CachedStatus,
    /// Sort by this field
    #[arg(long, value_name = "FIELD", default_value = "path")]
    pub(crate) sort: CacheSort,
    /// Sort in descending order
    #[arg(long)]
    pub(crate) desc: bool,
    /// List at most N files
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Which part of the cache.
    #[command(flatten)]
    pub(crate) common: CacheArgs,
}

/// `cache clear`.
#[derive(Debug, Args)]
pub(crate) struct CacheClearArgs {
    /// Also remove files with local edits
    #[arg(long)]
    pub(crate) force: bool,
    /// Only files that this pattern covers: `codex://ORG/PROJECT/PATH`, or a glob
    #[arg(long, value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) pattern: Option<String>,
    /// All files, which is the default of `cache clear`
    #[arg(long, conflicts_with_all = ["pattern", "project"])]
    pub(crate) all: bool,
    /// Show what would be removed without removing anything
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Which part of the cache.
    #[command(flatten)]
    pub(crate) common: CacheArgs,
}

/// `cache list --status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CachedStatus {
    /// All files.
    All,
    /// As a sync wrote it.
    Fresh,
    /// Modified locally.
    Modified,
    /// Deleted locally.
    Missing,
    /// Modified or deleted locally. A name of the older tool.
    #[value(hide = true)]
    Stale,
    /// No file, because files of the cache do not expire. A name of the older tool.
    #[value(hide = true)]
    Expired,
}

/// `cache list --sort`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CacheSort {
    /// The path in the codex.
    #[value(alias = "uri")]
    Path,
    /// The size in bytes.
    Size,
    /// The time of the last sync that requested the file.
    #[value(aliases = ["createdAt", "expiresAt"])]
    Time,
}

/// Arguments of the `cache` commands.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// Only these projects (name or glob, repeatable)
    #[arg(short, long = "project", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    #[arg(add = KnownValues::Projects)]
    pub(crate) project: Vec<String>,
    /// Output options.
    #[command(flatten)]
    pub(crate) output: DocumentArgs,
}

/// The documents that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The configuration file.
    Config,
    /// The document of `sync --json`.
    Sync,
    /// A line of `sync --format ndjson`.
    Events,
    /// The matrix of `projects --matrix`.
    Matrix,
    /// The file of `sync --dry-run --plan-out FILE`.
    Plan,
    /// The document of `fetch --json`.
    Fetch,
    /// The document of `init --json`.
    Init,
    /// The document of `config update --json`.
    Update,
    /// The document of `config validate --json`.
    Validate,
    /// The document of `config show --json` and `config explain --json`.
    Keys,
    /// The document of `config path --json`.
    Path,
    /// The document of `projects --json`.
    Projects,
    /// The document of `doctor --json`.
    Doctor,
    /// The document of a failure, for commands whose own document does not contain the error.
    Error,
    /// The document of `cache list --json`.
    CacheList,
    /// The document of `cache status --json`.
    CacheStatus,
    /// The document of `cache clear --json`.
    CacheClear,
    /// The document of `log --json`.
    Log,
    /// The document of `trace --json`.
    Trace,
}

/// `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Use the branch configured for this environment in `sync.environments` [env:
    /// FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME")]
    #[arg(add = KnownValues::Environments)]
    pub(crate) env: Option<String>,
    /// Output options.
    #[command(flatten)]
    pub(crate) output: DocumentArgs,
}

/// `init`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Projects are the checkouts side by side in this directory; or the packages that Cargo, npm, yarn, pnpm, \
Bun, Lerna, Go, Python (uv, Hatch, Poetry), Maven or Gradle list, or the directories below `services`, \
`packages` and the like, together with the documents of the root; or this directory alone. If several of these are possible, \
`init` asks on a terminal, and otherwise uses the first.

Examples:
  fractary-codex init --dry-run
  fractary-codex init --yes --organization acme
  fractary-codex init --project billing"
)]
pub(crate) struct InitArgs {
    /// Overwrite an existing configuration
    #[arg(long)]
    pub(crate) force: bool,
    /// Print what was found and the file, without writing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask; use the most likely projects
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Organization name (default: detected from the checkouts' own files and git remotes)
    #[arg(long, alias = "org", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) organization: Option<String>,
    /// Repository name of the codex (default: codex.ORGANIZATION.com)
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) codex_repo: Option<String>,
    /// URL of the codex, if it is not on github.com
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) url: Option<String>,
    /// Name of the project, if this directory is a single one (default: name of the directory)
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(crate) project: Option<ProjectName>,
    /// Use these patterns (default: patterns for the documentation that exists)
    #[arg(long, value_name = "PRESET")]
    pub(crate) sync_preset: Option<SyncPreset>,
    /// An option of the older tool without an effect.
    #[arg(long, hide = true)]
    pub(crate) no_mcp: bool,
    /// An option of the older tool without an effect.
    #[arg(long, hide = true, conflicts_with = "no_mcp")]
    pub(crate) mcp: bool,
    /// Output options.
    #[command(flatten)]
    pub(crate) output: DocumentArgs,
}

/// Project selection.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// All projects
    #[arg(long, conflicts_with = "project")]
    pub(crate) all: bool,
    /// Project name, glob or directory such as `./api` (repeatable)
    #[arg(short, long = "project", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    #[arg(add = KnownValues::Projects)]
    pub(crate) project: Vec<String>,
    /// Only projects that have changed since REV (`auto`: in this CI build)
    ///
    /// A project has changed if its files or its configuration have changed in the commits since REV,
    /// in the index, or in the working tree. The commits are those of `git diff REV...HEAD`. Each git repository
    /// resolves REV for itself. Projects outside of git repositories are always selected. `auto` is
    /// the base of the pull request or push, in builds of GitHub, GitLab, Buildkite and Jenkins.
    #[arg(long, value_name = "REV", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) changed_since: Option<String>,
    /// Only the projects of shard K of N, to sync with N machines
    ///
    /// Each project is in one shard, and the shards have similar numbers of files. Every machine
    /// computes the same shards if it has the same commits and options. `projects --matrix N` prints
    /// the shards as K/N:DIGEST. With the digest, a machine that computes other shards stops with an
    /// error.
    #[arg(long, value_name = "K/N")]
    pub(crate) shard: Option<Shard>,
}

/// `--matrix-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatrixFormat {
    /// `strategy.matrix` of GitHub Actions.
    #[value(name = "github")]
    GitHub,
    /// `parallel:matrix` of GitLab.
    #[value(name = "gitlab")]
    GitLab,
}

/// `projects`.
#[derive(Debug, Args)]
pub(crate) struct ProjectsArgs {
    /// Project selection.
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Print the matrix of a CI pipeline with up to N jobs, one per shard
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    #[arg(conflicts_with_all = ["shard", "json", "format"])]
    pub(crate) matrix: Option<u16>,
    /// CI system of the matrix
    #[arg(
        long,
        value_name = "SYSTEM",
        default_value = "github",
        requires = "matrix"
    )]
    pub(crate) matrix_format: MatrixFormat,
    /// Output options.
    #[command(flatten)]
    pub(crate) output: DocumentArgs,
}

/// `sync`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  fractary-codex sync                      the project that has this directory
  fractary-codex sync -p 'billing-*'       every project whose name matches
  fractary-codex sync --all --dry-run -v   list every file that would change
  fractary-codex sync --all --from-codex   pull shared documents into the cache
  fractary-codex sync --all --dry-run --plan-out plan.json
  fractary-codex sync --plan plan.json
  fractary-codex sync --all --json | jq -r '.projects[] | select(.error).name'
  fractary-codex sync -p old --max-delete 200")]
pub(crate) struct SyncArgs {
    /// Project name (same as `-p NAME`; kept for compatibility)
    #[arg(value_name = "NAME", num_args = 0..=2, conflicts_with_all = ["all", "project"])]
    #[arg(add = KnownValues::Projects)]
    pub(crate) names: Vec<String>,
    /// Project selection.
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Show what would change without changing anything
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With `--dry-run`: do not contact the remote; compare with the last recorded state
    #[arg(long, requires = "dry_run", hide_short_help = true)]
    pub(crate) offline: bool,
    /// With `--dry-run`: save the plan to FILE (`-` for standard output)
    ///
    /// The file has no contents and no secrets. `plan show FILE` prints it, and `sync --plan FILE`
    /// carries it out.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["offline", "plan"])]
    pub(crate) plan_out: Option<PathBuf>,
    /// Carry out exactly the saved plan in FILE, or exit with 5
    ///
    /// `-` stands for standard input. The projects and the options are those of the plan. If the
    /// sources, the files of the projects in the codex or the configuration differ from the plan,
    /// nothing is pushed, and the differences are listed. Other files of the codex may differ.
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    pub(crate) plan: Option<PathBuf>,
    /// Exit with 5 if the plan of this run does not have this id
    ///
    /// A dry run and `status` have the id in their JSON document (`plan_id`).
    #[arg(long, value_name = "PLAN_ID", value_parser = parse_plan_id)]
    #[arg(conflicts_with_all = ["offline", "plan"], hide_short_help = true)]
    pub(crate) expect: Option<ObjectId>,
    /// Read every file again, even if it appears unchanged
    #[arg(long, hide_short_help = true)]
    pub(crate) rescan: bool,
    /// Also write the findings of the checks as a code quality report of GitLab
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) code_quality: Option<PathBuf>,

    /// Publish to the codex (the default)
    #[arg(long, help_heading = "Direction", group = "way")]
    pub(crate) to_codex: bool,
    /// Pull the files selected by `sync.from_codex` into the local cache
    #[arg(long, help_heading = "Direction", group = "way")]
    pub(crate) from_codex: bool,
    /// Publish, then pull
    #[arg(long, help_heading = "Direction", group = "way")]
    pub(crate) bidirectional: bool,
    /// Sync direction [env: FRACTARY_CODEX_SYNC__DIRECTION]
    #[arg(long, value_name = "DIR", value_parser = ["to-codex", "from-codex", "bidirectional"])]
    #[arg(help_heading = "Direction", group = "way", hide_short_help = true)]
    pub(crate) direction: Option<String>,
    /// Do not update the local cache after publishing (`cache.enabled: false`)
    #[arg(long, conflicts_with_all = ["from_codex", "bidirectional"], help_heading = "Direction", hide_short_help = true)]
    pub(crate) no_cache: bool,
    /// Overwrite local edits in the cache (never force-pushes)
    #[arg(long, help_heading = "Direction")]
    pub(crate) force: bool,

    /// Use the branch configured for this environment in `sync.environments` [env:
    /// FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME", help_heading = "Configuration")]
    #[arg(add = KnownValues::Environments)]
    pub(crate) env: Option<String>,
    /// Replace the configured include patterns (repeatable) [env:
    /// FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE]
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Configuration",
        hide_short_help = true
    )]
    pub(crate) include: Vec<String>,
    /// Add exclude patterns (repeatable) [env: FRACTARY_CODEX_SYNC__TO_CODEX__EXCLUDE]
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Configuration",
        hide_short_help = true
    )]
    pub(crate) exclude: Vec<String>,
    /// Publish the files on disk (`worktree`), or those of the checked-out commit (`committed`) [env:
    /// FRACTARY_CODEX_SYNC__TO_CODEX__SOURCE]
    #[arg(long, value_name = "SOURCE", value_parser = ["worktree", "committed"])]
    #[arg(help_heading = "Configuration", hide_short_help = true)]
    pub(crate) source: Option<String>,
    /// Publish the files in this commit of the projects' repositories, as with `--source committed`
    #[arg(long, value_name = "REV", value_parser = NonEmptyStringValueParser::new())]
    #[arg(help_heading = "Configuration", hide_short_help = true)]
    pub(crate) source_rev: Option<String>,
    /// Also delete files in the project's directory of the codex that no pattern matches [env:
    /// FRACTARY_CODEX_SYNC__PRUNE]
    #[arg(long, help_heading = "Configuration", hide_short_help = true)]
    pub(crate) prune: bool,
    /// Maximum number of retries when the branch moved [env: FRACTARY_CODEX_PUSH__RETRIES]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Configuration",
        hide_short_help = true
    )]
    pub(crate) retries: Option<u32>,
    /// Push to the codex's branch, or to a sync branch for a review [env:
    /// FRACTARY_CODEX_PUSH__MODE]
    #[arg(long, value_name = "MODE", value_parser = ["direct", "branch", "pull-request"])]
    #[arg(help_heading = "Configuration", hide_short_help = true)]
    pub(crate) push_mode: Option<String>,
    /// Number of threads (0 = one per core) [env: FRACTARY_CODEX_JOBS]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Configuration",
        hide_short_help = true
    )]
    pub(crate) jobs: Option<usize>,
    /// Commit message template [env: FRACTARY_CODEX_COMMIT__MESSAGE]
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Configuration",
        hide_short_help = true
    )]
    pub(crate) message: Option<String>,

    /// Allow up to N deletions (or P%) per project
    #[arg(
        long,
        value_name = "N|P%",
        help_heading = "Safety",
        conflicts_with = "allow_mass_delete"
    )]
    pub(crate) max_delete: Option<String>,
    /// Disable the deletion guard
    #[arg(long, help_heading = "Safety")]
    pub(crate) allow_mass_delete: bool,
    /// Publish uncommitted files without a warning (`sync.to_codex.dirty: allow`)
    #[arg(long, help_heading = "Safety", hide_short_help = true)]
    pub(crate) allow_dirty: bool,
    /// Do not check the files that are published (`sync.checks`)
    #[arg(long, help_heading = "Safety", hide_short_help = true)]
    pub(crate) no_checks: bool,
    /// Publish nothing if any project fails or is withheld
    #[arg(long, help_heading = "Safety", hide_short_help = true)]
    pub(crate) atomic: bool,
    /// Add a `Codex-Work-Id` trailer to the commits
    #[arg(long, value_name = "ID", hide_short_help = true)]
    pub(crate) work_id: Option<String>,
    /// Output options.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// The options that are given on the command line.
    #[arg(skip)]
    pub(crate) given: Vec<GivenOption>,
}

fn parse_plan_id(text: &str) -> Result<ObjectId, &'static str> {
    ObjectId::from_hex(text).ok_or("a plan id has 40 hexadecimal digits")
}
