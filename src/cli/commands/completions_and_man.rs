//! `completions` and `man`. Both are generated from the definition that parses the command line.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::finish;
use crate::cli::args::Cli;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::paths::shown;

/// Prints a completion script for `shell`, and returns the exit status.
pub(crate) fn completions(shell: Shell, context: &Context) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fractary-codex", &mut script);
    // For bash, clap_complete writes a program name with a hyphen in two ways that do not match
    // (clap-rs/clap#6421).
    let script = String::from_utf8_lossy(&script);
    let script = script.replace("fractary__subcmd__codex", "fractary__codex");
    context.terminal.generated(&script);
    exit::DONE
}

/// Prints the man page, or writes one page per command to `directory`. Returns the exit status.
pub(crate) fn man(directory: Option<&Path>, context: &Context) -> u8 {
    let mut command = Cli::command();
    command.build();
    let command = for_mangen(command);

    let result = match directory {
        None => man_page(command),
        Some(directory) => write_man_pages(command, directory, context),
    };
    match result {
        Ok(page) => {
            context.terminal.generated(&page);
            exit::DONE
        }
        Err(error) => finish(Err(error), false, context),
    }
}

fn man_page(command: clap::Command) -> Result<String, CommandError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| unwritable("the man page", &error))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn write_man_pages(
    command: clap::Command,
    directory: &Path,
    context: &Context,
) -> Result<String, CommandError> {
    let path = context.directory()?.join(directory);
    fs::create_dir_all(&path)
        .and_then(|()| clap_mangen::generate_to(command, path))
        .map_err(|error| unwritable(&format!("`{}`", shown(directory)), &error))?;
    Ok(String::new())
}

fn unwritable(what: &str, error: &io::Error) -> CommandError {
    let message = format!("cannot write {what}: {error}");
    CommandError::usage(message)
}

/// Adapts a command for clap_mangen. It replaces the usage line by that of clap, because mangen
/// omits the values of options, and shows the options that are only hidden from `-h`, because
/// mangen would drop them.
fn for_mangen(mut command: clap::Command) -> clap::Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();

    command
        .override_usage(usage)
        .mut_args(|option| option.hide_short_help(false))
        .mut_subcommands(for_mangen)
}
