//! `completions` and `man`: made from the same definition that reads the command line.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::finish;
use crate::cli::args::Cli;
use crate::cli::failure::{Failure, exit};
use crate::cli::load::Context;
use crate::paths::shown;

/// Prints a completion script.
pub(crate) fn completions(shell: Shell, context: &Context) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fractary-codex", &mut script);
    let script = String::from_utf8_lossy(&script);
    // For bash, a hyphen in the program's name is written in two ways that never meet (clap-rs/clap#6421).
    let script = script.replace("fractary__subcmd__codex", "fractary__codex");
    context.terminal.generated(&script);
    exit::DONE
}

/// Prints the manual, or writes a page a command into a directory.
pub(crate) fn man(directory: Option<&Path>, context: &Context) -> u8 {
    let mut command = Cli::command();
    command.build();
    let command = for_manual(command);
    let result = match directory {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command)
                .render(&mut page)
                .map(|()| String::from_utf8_lossy(&page).into_owned())
        }
        Some(directory) => {
            let directory = match context.directory() {
                Ok(here) => here.join(directory),
                Err(failure) => return finish(Err(failure), false, context),
            };
            fs::create_dir_all(&directory)
                .and_then(|()| clap_mangen::generate_to(command, directory))
                .map(|()| String::new())
        }
    };
    let result = result.map_err(|error| {
        let place = directory.map_or_else(
            || "the manual".to_owned(),
            |path| format!("`{}`", shown(path)),
        );
        Failure::new(
            exit::USAGE,
            "usage",
            format!("cannot write {place}: {error}"),
            Vec::new(),
        )
    });
    match result {
        Ok(page) => {
            context.terminal.generated(&page);
            exit::DONE
        }
        Err(failure) => finish(Err(failure), false, context),
    }
}

/// A command as its page needs it: the usage as `--help` has it, where the generator leaves out what options take, and
/// every option told, where it takes those that `-h` leaves out for such as are not to be told at all.
fn for_manual(mut command: clap::Command) -> clap::Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let command = command
        .override_usage(usage)
        .mut_args(|option| option.hide_short_help(false));
    command.mut_subcommands(for_manual)
}
