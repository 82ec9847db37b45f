//! `completions`, and `complete`, which the scripts run for each word. The candidates are found from
//! the definition that parses the command line and from the configuration. A script and a program of
//! different versions work together, because they exchange only words and lines.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;

use clap::{CommandFactory, ValueHint};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, complete};
use clap_complete::{Shell, generate};

use crate::cli::args::{Cli, KnownValues};
use crate::cli::context::Context;
use crate::cli::exit;
use crate::config::schema;
use crate::config::tree::key_path;
use crate::workspace::Workspace;

/// Prints a completion script for `shell`, and returns the exit status.
pub(crate) fn run(shell: Shell, context: &Context) -> u8 {
    match shell {
        Shell::Bash => context.terminal.generated(include_str!("completions/bash")),
        Shell::Zsh => context.terminal.generated(include_str!("completions/zsh")),
        Shell::Fish => context.terminal.generated(include_str!("completions/fish")),
        // Scripts for other shells have no values of the configuration.
        _ => {
            let mut script = Vec::new();
            generate(shell, &mut Cli::command(), "fractary-codex", &mut script);
            let script = String::from_utf8_lossy(&script);
            context.terminal.generated(&script);
        }
    }
    exit::DONE
}

/// Prints the words that can complete the last one of `words`, each with a tab and its meaning, and
/// returns the exit status. `context` is that of the command line that is completed.
///
/// It reads nothing but the configuration. If that has errors, it has no values to suggest.
pub(crate) fn suggest(mut words: Vec<OsString>, context: &Context) -> u8 {
    // As in the command line itself.
    if words.len() > 2 && words[1] == "codex" {
        words.remove(1);
    }
    let Some(typed) = words.last().cloned() else {
        return exit::DONE;
    };

    // The start of an option is not the start of a value, so the configuration need not be read.
    let is_start_of_option = match typed.as_encoded_bytes() {
        [b'-', b'-', rest @ ..] => !rest.contains(&b'='),
        [b'-', rest @ ..] => rest.len() < 2,
        _ => false,
    };
    let mut command = match is_start_of_option {
        true => Cli::command(),
        false => with_known_values(Cli::command(), context),
    };
    let index = words.len() - 1;
    let mut candidates = complete(&mut command, words, index, None).unwrap_or_default();
    let is_path =
        |candidate: &CompletionCandidate| candidate.get_id().is_some_and(|id| id == PATH_ID);
    let accepts_path = candidates.iter().any(is_path);
    candidates.retain(|candidate| !is_path(candidate));
    // Options are suggested where they are meant, or where nothing else is possible.
    let is_option = |candidate: &CompletionCandidate| {
        candidate.get_value().as_encoded_bytes().starts_with(b"-")
    };
    if typed.is_empty() && (accepts_path || !candidates.iter().all(is_option)) {
        candidates.retain(|candidate| !is_option(candidate));
    }

    let mut lines = String::new();
    for candidate in &candidates {
        let meaning = candidate.get_help().map(ToString::to_string);
        let meaning = meaning.unwrap_or_default();
        let meaning = meaning.lines().next().unwrap_or_default();
        // Of a command and its aliases, clap_complete keeps the first in the order of the alphabet.
        let command = candidate
            .get_id()
            .and_then(|id| id.strip_prefix("command::"));
        let command = command.filter(|name| name.starts_with(&*typed.to_string_lossy()));
        let value = command.map_or_else(|| candidate.get_value().to_string_lossy(), Cow::from);
        let _ = writeln!(lines, "{value}\t{meaning}");
    }
    context.terminal.generated(&lines);
    exit::DONE
}

/// The id of the candidate that stands for all files.
const PATH_ID: &str = "path";

/// Adds the candidates to the options whose values the configuration has. Files are left to the
/// shell, which knows how to write their names: it suggests them if there is no candidate. So a path
/// has a candidate with [`PATH_ID`], which is removed again.
fn with_known_values(command: clap::Command, context: &Context) -> clap::Command {
    let any_path = |typed: &OsStr| vec![CompletionCandidate::new(typed).id(Some(PATH_ID.into()))];
    let with_values = |option: clap::Arg| {
        let option = match option.get_value_hint() {
            ValueHint::Unknown => option,
            _ => option.add(ArgValueCompleter::new(any_path)),
        };
        match option.get::<KnownValues>().copied() {
            None => option,
            Some(values) => {
                let context = context.clone();
                option.add(ArgValueCandidates::new(move || known(values, &context)))
            }
        }
    };
    command
        .mut_args(with_values)
        .mut_subcommands(|command| with_known_values(command, context))
}

fn known(values: KnownValues, context: &Context) -> Vec<CompletionCandidate> {
    match values {
        KnownValues::Projects => {
            let projects = |workspace: &Workspace| {
                let projects = workspace.projects.iter();
                let names = projects.map(|project| project.name.as_str());
                names.map(CompletionCandidate::new).collect()
            };
            let loaded = context.load(None, Vec::new());
            loaded.map_or_else(|_| Vec::new(), |(_, workspace)| projects(&workspace))
        }
        KnownValues::Environments => {
            let Ok(configuration) = context.load_layers() else {
                return Vec::new();
            };
            let environments = configuration.raw.sync.environments.iter().flatten();
            let with_branch = |(name, branch): (&String, &String)| {
                CompletionCandidate::new(name).help(Some(branch.into()))
            };
            environments.map(with_branch).collect()
        }
        KnownValues::Keys => keys(""),
        KnownValues::KeyAssignments => keys("="),
    }
}

/// The keys with fixed names that are not sections, each with `ending`.
fn keys(ending: &str) -> Vec<CompletionCandidate> {
    let all = schema::keys();
    let is_section = |key: &[String]| {
        all.iter()
            .any(|one| one.len() > key.len() && one.starts_with(key))
    };
    let keys = all.iter().filter(|key| !is_section(key));
    let with_meaning = |key: &Vec<String>| {
        let meaning = schema::meaning(key).map(|meaning| meaning.description.into());
        CompletionCandidate::new(key_path(key) + ending).help(meaning)
    };
    keys.map(with_meaning).collect()
}
