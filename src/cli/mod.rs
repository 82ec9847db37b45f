//! The command line: the only place that knows arguments, the process's environment, the terminal and exit statuses.

mod args;
mod commands;
mod failure;
mod load;
mod signals;
mod terminal;

use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, ValueEnum};

use crate::environment::Environment;
use args::{Cli, Command, ConfigCommand, Format};
use failure::{Failure, exit};
use load::Context;
use terminal::Terminal;

/// Runs the program on the process's own arguments.
pub fn run() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // `fractary-codex codex sync` is `fractary-codex sync`, for dispatchers that pass the tool's name on.
    if arguments.get(1).is_some_and(|first| first == "codex") {
        arguments.remove(1);
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &arguments),
    };
    let environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    terminal::start_logging(&cli.global, &environment);
    let terminal = Terminal::new(&cli.global, &environment);
    let context = Context { global: cli.global, environment, terminal, interrupt: signals::listen() };
    // A bug must not look like one of the documented outcomes; unwinding still cleans up.
    match panic::catch_unwind(AssertUnwindSafe(|| dispatch(cli.command, &context))) {
        Ok(status) => ExitCode::from(status),
        Err(_) => {
            let hint = "please report it, with the command and what it printed".to_owned();
            terminal.error(None, &Failure::new(exit::BUG, "bug", "this is a bug in fractary-codex", vec![hint]).report);
            ExitCode::from(exit::BUG)
        }
    }
}

fn dispatch(command: Command, context: &Context) -> u8 {
    match command {
        Command::Sync(arguments) => commands::sync::run(&arguments, context),
        Command::Status(arguments) => commands::status::run(&arguments, context),
        Command::Completions { shell } => commands::generated::completions(shell, context),
        Command::Man { directory } => commands::generated::man(directory.as_deref(), context),
        Command::Projects(output) => commands::projects::run(&output, context),
        Command::Cache(command) => commands::cache::run(&command, context),
        Command::Config(command) => commands::config::run(&command, context),
        Command::ConfigValidate => commands::config::run(&ConfigCommand::Validate, context),
        Command::Doctor(arguments) => commands::doctor::run(&arguments, context),
        Command::Init(arguments) => commands::init::run(&arguments, context),
    }
}

/// The format that a command line asks for which cannot be read as a whole.
fn format_asked(arguments: &[OsString]) -> Format {
    let words: Vec<_> = arguments.iter().map(|argument| argument.to_str().unwrap_or_default()).collect();
    let named = words.windows(2).filter(|pair| pair[0] == "--format").map(|pair| pair[1]);
    let joined = words.iter().filter_map(|word| word.strip_prefix("--format="));
    let mut formats = named.chain(joined).filter_map(|name| Format::from_str(name, false).ok());
    if words.contains(&"--json") { Format::Json } else { formats.next().unwrap_or(Format::Human) }
}

/// Help and version are results; anything else is wrong usage, in JSON where that was asked for.
fn usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let format = format_asked(arguments);
    if format != Format::Human && !asked {
        let message = error.to_string();
        let message = message.trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned();
        let failure = Failure::new(exit::USAGE, "usage", message, vec!["see `fractary-codex --help`".to_owned()]);
        let _ = io::stdout().lock().write_all(commands::failed_document(failure, format).as_bytes());
    } else {
        let _ = error.print();
    }
    ExitCode::from(if asked { exit::DONE } else { exit::USAGE })
}
