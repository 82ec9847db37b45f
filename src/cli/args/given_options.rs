//! The options of `sync` that are given on the command line, as a saved plan needs them.

use clap::ArgMatches;
use clap::parser::ValueSource;

/// An option that is given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GivenOption {
    /// The option without its value, such as `--include`.
    pub(crate) name: String,
    /// One word per value, such as `--include=docs/**`.
    pub(crate) words: Vec<String>,
    pub(crate) role: OptionRole,
}

/// The part of an option in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OptionRole {
    /// It decides what is published, so a saved plan has it.
    Publication,
    /// It selects projects. A saved plan has their names.
    Selection,
    /// It decides how the run works or what it prints.
    Run,
    /// It names a plan.
    Plan,
}

impl OptionRole {
    /// The role of the argument with this id. An argument that is not listed here decides what is
    /// published. `--shard` does, because a shard has a sync branch of its own.
    fn of(id: &str) -> Self {
        match id {
            "plan" | "plan_out" | "expect" => Self::Plan,
            "names" | "all" | "project" | "changed_since" => Self::Selection,
            "dry_run" | "offline" | "rescan" | "jobs" | "retries" | "no_cache" | "force"
            | "json" | "format" => Self::Run,
            _ => Self::Publication,
        }
    }
}

/// The options of `sync` that are given; none for another command. `program` is the definition of
/// all commands.
pub(super) fn of_sync(program: &clap::Command, matches: &ArgMatches) -> Vec<GivenOption> {
    let sync = program.find_subcommand("sync");
    let (Some(sync), Some(matches)) = (sync, matches.subcommand_matches("sync")) else {
        return Vec::new();
    };
    let own = sync.get_arguments().filter(|one| !one.is_global_set());
    let given = own.filter_map(|argument| {
        let id = argument.get_id().as_str();
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            return None;
        }
        let mut value_names = argument.get_value_names().into_iter().flatten();
        let name = match (argument.get_long(), value_names.next()) {
            (Some(long), _) => format!("--{long}"),
            (None, Some(name)) => name.to_string(),
            (None, None) => id.to_owned(),
        };
        let words = match argument.get_action().takes_values() {
            false => vec![name.clone()],
            true => {
                let values = matches.get_raw(id).into_iter().flatten();
                let word = |value: &std::ffi::OsStr| format!("{name}={}", value.to_string_lossy());
                values.map(word).collect()
            }
        };
        let role = OptionRole::of(id);
        Some(GivenOption { name, words, role })
    });
    given.collect()
}
