//! The options that are given on the command line, for saved plans and suggested commands.

use std::collections::BTreeSet;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::config::values::without_secrets;
use crate::text::shell_word;

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
            | "json" | "format" | "code_quality" => Self::Run,
            _ => Self::Publication,
        }
    }
}

/// The options of `sync` that are given; none for another command. `program` is the definition of
/// all commands.
pub(super) fn of_sync(program: &Command, matches: &ArgMatches) -> Vec<GivenOption> {
    let sync = program.find_subcommand("sync");
    let (Some(sync), Some(matches)) = (sync, matches.subcommand_matches("sync")) else {
        return Vec::new();
    };
    let own = sync.get_arguments().filter(|one| !one.is_global_set());
    own.filter_map(|argument| given(argument, matches))
        .collect()
}

/// The options that a suggested `sync` repeats, so that it publishes the same files to the same
/// place: those of all commands that change the configuration, and the options of a `sync` that
/// decide what is published. An option for the direction becomes `--to-codex`, because the other
/// direction is no publication. Values that can be secret are left out.
pub(super) fn of_target(program: &Command, matches: &ArgMatches) -> Vec<String> {
    const GLOBAL: [&str; 3] = ["directory", "config_file", "config"];
    const DIRECTIONS: [&str; 4] = ["to_codex", "from_codex", "bidirectional", "direction"];
    let (Some(sync), Some((_, matches))) = (program.find_subcommand("sync"), matches.subcommand())
    else {
        return Vec::new();
    };
    let shared = GLOBAL.iter().filter_map(|id| {
        let mut arguments = program.get_arguments();
        arguments.find(|argument| argument.get_id() == *id)
    });
    let own = sync.get_arguments().filter(|one| !one.is_global_set());
    let given = shared.chain(own).filter_map(|argument| {
        let id = argument.get_id().as_str();
        let is_known = matches.try_contains_id(id).is_ok();
        let option = is_known.then(|| given(argument, matches)).flatten()?;
        Some((id, option))
    });
    let given = given.filter(|(_, option)| option.role == OptionRole::Publication);
    let (directions, others): (Vec<_>, Vec<_>) = given.partition(|(id, _)| DIRECTIONS.contains(id));
    let direction = (!directions.is_empty()).then(|| "--to-codex".to_owned());
    let words = others.into_iter().flat_map(|(_, option)| option.words);
    let words = words.map(|word| shown_word(&word));
    direction.into_iter().chain(words).collect()
}

/// Those of the `words` of [`of_target`] that the command `name` of `program` accepts too.
pub(crate) fn accepted_by<'w>(program: &Command, name: &str, words: &'w [String]) -> Vec<&'w str> {
    let own = program.find_subcommand(name).into_iter();
    let own = own.flat_map(Command::get_arguments);
    let accepted = program.get_arguments().filter(|one| one.is_global_set());
    let accepted: BTreeSet<String> = accepted.chain(own).map(option_name).collect();

    let words = words.iter().map(String::as_str);
    let is_accepted = |word: &&str| {
        let option = word.trim_start_matches(['$', '\'']).split('=').next();
        option.is_some_and(|option| accepted.contains(option))
    };
    words.filter(is_accepted).collect()
}

/// An option as a word for a shell, without a value that can be secret.
pub(crate) fn shown_word(word: &str) -> String {
    let Some(("--config", assignment)) = word.split_once('=') else {
        return shell_word(word);
    };
    let (key, value) = assignment.split_once('=').unwrap_or((assignment, ""));
    let path: Vec<&str> = key.split('.').collect();
    match without_secrets(&path, value) == value {
        true => shell_word(word),
        false => format!("--config={key}=…"),
    }
}

/// An option, if it is given.
fn given(argument: &Arg, matches: &ArgMatches) -> Option<GivenOption> {
    let id = argument.get_id().as_str();
    if matches.value_source(id) != Some(ValueSource::CommandLine) {
        return None;
    }
    let name = option_name(argument);
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
}

/// The option without its value, such as `--include`.
fn option_name(argument: &Arg) -> String {
    let mut value_names = argument.get_value_names().into_iter().flatten();
    match (
        argument.get_long(),
        argument.get_short(),
        value_names.next(),
    ) {
        (Some(long), ..) => format!("--{long}"),
        (None, Some(short), _) => format!("-{short}"),
        (None, None, Some(name)) => name.to_string(),
        (None, None, None) => argument.get_id().to_string(),
    }
}
