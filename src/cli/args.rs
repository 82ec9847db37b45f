//! The command line's shape. Flags that set a configuration key become values of the highest layer; nothing here reads
//! a file or decides anything.

mod output;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use output::{DocumentArgs, Format, LogFormat, OutputArgs, When};

/// Publish the documentation of many projects into one git repository, the codex.
#[derive(Debug, Parser)]
#[command(
    name = "fractary-codex",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Exit status: 0 done · 1 some projects failed or were withheld · 2 usage · 3 configuration · \
    4 remote · 5 push refused · 6 out of date (`--check`) · 70 a bug"
)]
#[command(after_long_help = "Examples:
  fractary-codex init                 write a configuration for what is here
  fractary-codex doctor               see whether all that a sync needs is there
  fractary-codex sync --all --dry-run see what would be published
  fractary-codex sync --all           publish it
  fractary-codex status --check       is anything out of date? (exit status 6)

Exit status:
    0  done, or nothing to do
    1  some projects failed or were withheld; the others are done
    2  usage
    3  configuration
    4  remote: cannot be reached, found, read, or authenticated to
    5  push refused, or retries used up
    6  `--check`: out of date
   70  a bug, please report it
128+n  ended by signal n, cleaned up")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub(crate) global: Global,
}

/// Options of every command.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Work as if started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub(crate) directory: Option<PathBuf>,
    /// Set any configuration key, dotted; repeatable
    #[arg(long = "config", value_name = "KEY=VALUE", global = true)]
    pub(crate) config: Vec<String>,
    /// Read this workspace file instead of looking for one [env: FRACTARY_CODEX_CONFIG]
    #[arg(long, value_name = "FILE", global = true, hide_short_help = true)]
    pub(crate) config_file: Option<PathBuf>,
    /// Tell more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// Tell only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// When to use colour
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        global = true,
        hide_short_help = true
    )]
    pub(crate) color: When,
    /// Draw no progress bars
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) no_progress: bool,
    /// How log lines are written; `FRACTARY_CODEX_LOG` filters them
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        global = true,
        hide_short_help = true
    )]
    pub(crate) log_format: LogFormat,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish projects into the codex: one commit a project, one push, verified
    Sync(Box<SyncArgs>),
    /// What a sync would do, a line a project; nothing is synced
    Status(StatusArgs),
    /// List the projects: root, place in the codex, matching files
    Projects(DocumentArgs),
    /// Look at the local cache, or empty it
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Show, explain and check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The older name of `config validate`
    #[command(name = "config-validate", hide = true)]
    ConfigValidate,
    /// Check configuration, roots, remote, credentials and the right to push; nothing is pushed
    Doctor(DoctorArgs),
    /// Write a commented `.fractary/config.yaml` for what is here
    #[command(visible_alias = "config-init")]
    Init(InitArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which
        shell: clap_complete::Shell,
    },
    /// Print the manual, or write a page a command into DIR
    Man {
        /// Where to
        #[arg(value_name = "DIR")]
        pages: Option<PathBuf>,
    },
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Which projects.
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Exit with 6 if anything is out of date
    #[arg(long)]
    pub(crate) check: bool,
    /// Also write a page for a browser, with when and from which revision each project was last synced
    ///
    /// One file that needs nothing else: it can be mailed, put on any web server or kept by a pipeline. `-` writes it to
    /// standard output in place of the table. When a project was last synced is read in the codex's history.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Ask nobody, compare with what the last sync recorded
    #[arg(long)]
    pub(crate) offline: bool,
    /// Pick the branch that `sync.environments` names [env: FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// How results are written.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the value of every key
    Show {
        /// With the layer, file and line of each, and what it overrode
        #[arg(long)]
        origin: bool,
        /// How results are written.
        #[command(flatten)]
        output: DocumentArgs,
    },
    /// Tell who gave a key its value, and who was overridden
    Explain {
        /// The key, dotted: `sync.to_codex.include`
        key: String,
        /// How results are written.
        #[command(flatten)]
        output: DocumentArgs,
    },
    /// Check the configuration; all mistakes at once
    Validate,
    /// Print a JSON Schema, as in `schemas/`
    Schema {
        /// Of what
        #[arg(default_value = "config")]
        of: SchemaOf,
    },
    /// Print the files that count, lowest layer first
    Path,
}

/// `cache`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List the files in it
    List(CacheArgs),
    /// Tell from which tip they are, how old that is, and what was changed by hand since
    Status(CacheArgs),
    /// Remove what was written into it
    Clear {
        /// Also remove what was changed by hand
        #[arg(long)]
        force: bool,
        /// Of which projects.
        #[command(flatten)]
        arguments: CacheArgs,
    },
}

/// Whose part of the cache, and how it is told.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// Only that of these projects, by name or glob; repeatable
    #[arg(short, long = "project", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) project: Vec<String>,
    /// How results are written.
    #[command(flatten)]
    pub(crate) output: DocumentArgs,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The configuration file.
    Config,
    /// The document of `sync --json`.
    Sync,
    /// A line of `sync --format ndjson`.
    Events,
}

/// `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Pick the branch that `sync.environments` names [env: FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// How results are written.
    #[command(flatten)]
    pub(crate) output: DocumentArgs,
}

/// `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Replace a configuration that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// The organization, where it is not to be detected
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) organization: Option<String>,
    /// The repository of the codex; default: codex.ORGANIZATION.com
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) codex_repo: Option<String>,
    /// The codex's URL, where it is not on github.com
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) url: Option<String>,
}

/// Which projects.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Every project
    #[arg(long, conflicts_with = "project")]
    pub(crate) all: bool,
    /// A project by name, or several by glob; repeatable
    #[arg(short, long = "project", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) project: Vec<String>,
}

/// `sync`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  fractary-codex sync                      the project that holds this directory
  fractary-codex sync -p 'billing-*'       every project whose name matches
  fractary-codex sync --all --dry-run -v   every file that would change, and nothing is done
  fractary-codex sync --all --from-codex   bring shared documents into the local cache
  fractary-codex sync --all --json | jq -r '.projects[] | select(.error) | .name'
  fractary-codex sync -p old --max-delete 200")]
pub(crate) struct SyncArgs {
    /// The older forms: `sync NAME`, `sync project [NAME]`
    #[arg(value_name = "NAME", num_args = 0..=2, conflicts_with_all = ["all", "project"])]
    pub(crate) names: Vec<String>,
    /// Which projects.
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Tell exactly what would happen, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With `--dry-run`: ask nobody, compare with what the last sync recorded
    #[arg(long, requires = "dry_run", hide_short_help = true)]
    pub(crate) offline: bool,
    /// Read every file again, even if it looks unchanged
    #[arg(long, hide_short_help = true)]
    pub(crate) rescan: bool,

    /// Publish into the codex, which is also what is done where nothing is said
    #[arg(long, help_heading = "Direction", group = "way")]
    pub(crate) to_codex: bool,
    /// Bring what `sync.from_codex` names into the local cache
    #[arg(long, help_heading = "Direction", group = "way")]
    pub(crate) from_codex: bool,
    /// Publish, and once that is confirmed, bring
    #[arg(long, help_heading = "Direction", group = "way")]
    pub(crate) bidirectional: bool,
    /// One of these by name [env: FRACTARY_CODEX_SYNC__DIRECTION]
    #[arg(long, value_name = "DIR", value_parser = ["to-codex", "from-codex", "bidirectional"])]
    #[arg(help_heading = "Direction", group = "way", hide_short_help = true)]
    pub(crate) direction: Option<String>,
    /// Leave the local cache as it is after publishing [env: FRACTARY_CODEX_CACHE__ENABLED]
    #[arg(long, conflicts_with_all = ["from_codex", "bidirectional"], help_heading = "Direction", hide_short_help = true)]
    pub(crate) no_cache: bool,
    /// Replace what was changed by hand in the local cache; never a forced push
    #[arg(long, help_heading = "Direction")]
    pub(crate) force: bool,

    /// Pick the branch that `sync.environments` names [env: FRACTARY_CODEX_ENV]
    #[arg(long, value_name = "NAME", help_heading = "Configuration")]
    pub(crate) env: Option<String>,
    /// Take these instead of `sync.to_codex.include`, or `sync.from_codex.include`; repeatable [env:
    /// FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE]
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Configuration",
        hide_short_help = true
    )]
    pub(crate) include: Vec<String>,
    /// Leave these out as well; repeatable [env: FRACTARY_CODEX_SYNC__TO_CODEX__EXCLUDE]
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Configuration",
        hide_short_help = true
    )]
    pub(crate) exclude: Vec<String>,
    /// Also delete what no pattern claims under the project's place [env: FRACTARY_CODEX_SYNC__PRUNE]
    #[arg(long, help_heading = "Configuration", hide_short_help = true)]
    pub(crate) prune: bool,
    /// How often to try again when the branch moved [env: FRACTARY_CODEX_PUSH__RETRIES]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Configuration",
        hide_short_help = true
    )]
    pub(crate) retries: Option<u32>,
    /// Threads; 0 is one a core [env: FRACTARY_CODEX_JOBS]
    #[arg(
        long,
        value_name = "N",
        help_heading = "Configuration",
        hide_short_help = true
    )]
    pub(crate) jobs: Option<usize>,
    /// The commit message's template [env: FRACTARY_CODEX_COMMIT__MESSAGE]
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Configuration",
        hide_short_help = true
    )]
    pub(crate) message: Option<String>,

    /// Let through at most N deletions a project, or P% of its files
    #[arg(
        long,
        value_name = "N|P%",
        help_heading = "Safety",
        conflicts_with = "allow_mass_delete"
    )]
    pub(crate) max_delete: Option<String>,
    /// Let any number of deletions through
    #[arg(long, help_heading = "Safety")]
    pub(crate) allow_mass_delete: bool,
    /// Push nothing if any project failed or is withheld
    #[arg(long, help_heading = "Safety", hide_short_help = true)]
    pub(crate) atomic: bool,
    /// Record ID in the commits, as `Codex-Work-Id`
    #[arg(long, value_name = "ID", hide_short_help = true)]
    pub(crate) work_id: Option<String>,
    /// How results are written.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
