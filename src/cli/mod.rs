//! The command line. Only this module knows arguments, the environment of the process, the terminal
//! and exit statuses.

mod args;
mod command_error;
mod commands;
mod context;
mod error_report;
mod exit;
mod log_lines;
mod signals;
mod sync_preset;
mod terminal;
mod usage;
mod workflow_step;

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use crate::environment::Environment;
use crate::event::Event;
use args::{CacheCommand, Cli, Command, ConfigCommand};
use command_error::CommandError;
use context::Context;
use terminal::Terminal;

/// Runs the program with the arguments and the environment of the process.
pub fn run() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    // `fractary-codex codex sync` means `fractary-codex sync`, for dispatchers that pass on the
    // name of the tool.
    if arguments.get(1).is_some_and(|first| first == "codex") {
        arguments.remove(1);
    }

    let environment: Environment = std::env::vars_os().collect();

    let mut cli = match Cli::read(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            return ExitCode::from(usage::handle_clap_error(&error, &arguments, &environment));
        }
    };
    cli.global.config = usage::config_values(&arguments);

    let terminal = Terminal::new(&cli.global, &environment);
    if let Err(message) = terminal::start_logging(&terminal, &cli.global, &environment) {
        terminal.event(&Event::Warning {
            project: None,
            message,
        });
    }

    let context = Context {
        global: cli.global,
        environment,
        terminal: terminal.clone(),
        command_line: usage::command_line(&arguments),
        interrupt: signals::listen(),
    };
    // A panic gets an exit status of its own, so that it cannot be mistaken for a documented
    // failure. The temporary clone is still removed, by unwinding.
    let status = panic::catch_unwind(AssertUnwindSafe(|| dispatch(cli.command, &context)))
        .unwrap_or_else(|_| {
            let hint = "please report it, with the command and its output".to_owned();
            let message = "internal error in fractary-codex";
            let error = CommandError::new(exit::INTERNAL, "bug", message, vec![hint]);
            terminal.error(None, &error.report);
            error.exit
        });
    ExitCode::from(terminal.close(status))
}

/// Runs the command and returns the exit status.
fn dispatch(command: Command, context: &Context) -> u8 {
    match command {
        Command::Sync(arguments) => commands::sync::run(&arguments, context),
        Command::Status(arguments) => commands::status::run(&arguments, context),
        Command::Plan(command) => commands::plan::run(&command, context),
        Command::Retire(arguments) => commands::retire::retire(&arguments, context),
        Command::Rename(arguments) => commands::retire::rename(&arguments, context),
        Command::Fetch(arguments) => commands::fetch::run(&arguments, context),
        Command::Mcp(arguments) => commands::mcp::run(&arguments, context),
        Command::Log(arguments) => commands::log::run(&arguments, context),
        Command::Trace(arguments) => commands::trace::run(&arguments, context),
        Command::Completions { shell } => commands::completions::run(shell, context),
        Command::Complete { words } => {
            let global = usage::directories(&words, &context.environment);
            let context = Context {
                global,
                ..context.clone()
            };
            commands::completions::suggest(words, &context)
        }
        Command::Man { pages } => commands::man::run(pages.as_deref(), context),
        Command::Projects(arguments) => commands::projects::run(&arguments, context),
        Command::Cache(command) => commands::cache::run(&command, context),
        Command::CacheList(arguments) => {
            commands::cache::run(&CacheCommand::List(arguments), context)
        }
        Command::CacheClear(arguments) => {
            commands::cache::run(&CacheCommand::Clear(arguments), context)
        }
        Command::CacheStatus(arguments) => {
            commands::cache::run(&CacheCommand::Status(arguments), context)
        }
        Command::Config(command) => commands::config::run(&command, context),
        Command::ConfigValidate(output) => {
            commands::config::run(&ConfigCommand::Validate(output), context)
        }
        Command::ConfigUpdate(arguments) => {
            commands::config::run(&ConfigCommand::Update(arguments), context)
        }
        Command::Doctor(arguments) => commands::doctor::run(&arguments, context),
        Command::Init(arguments) => commands::init::run(&arguments, context),
    }
}
