//! Handling of command lines that clap does not turn into a command: requests for help or the
//! version, and usage errors.
//!
//! clap returns no arguments in these cases, so the options that select the output format are read
//! from the raw words.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, ValueEnum};

use super::args::{Cli, Format, Global};
use super::command_error::CommandError;
use super::commands;
use super::exit;
use super::terminal::Terminal;
use super::workflow_step::WorkflowStep;
use crate::environment::Environment;
use crate::masked_urls::mask_urls;
use crate::paths::{below_home, escaped};
use crate::report::step_summary;
use crate::report::style::Style;

/// Flags of `sync` that are reserved for later versions.
const RESERVED: [&str; 1] = ["--watch"];

/// Writes the help, the version or the usage error, in the requested format, and returns the exit
/// status.
pub(super) fn handle_clap_error(
    error: &clap::Error,
    arguments: &[OsString],
    environment: &Environment,
) -> u8 {
    let words = Words::new(arguments);
    let global = Global {
        color: words.value_of("--color").unwrap_or_default(),
        ..Global::default()
    };
    let terminal = Terminal::new(&global, environment);
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        terminal.result(&rendered(error, terminal.out));
        return terminal.close(exit::DONE);
    }

    let command = words.command();
    let step_line = command_line(arguments);
    let step = WorkflowStep::new(&step_line, environment, &terminal);
    let reserved = reserved_flag(error).filter(|_| command.as_deref() == Some("sync"));
    let usage_error = match &reserved {
        Some(flag) => {
            let message = format!("`{flag}` is reserved for a later version");
            CommandError::usage(message)
        }
        None => usage_error_of(error, command.as_deref()),
    };

    let writes_outputs = matches!(
        command.as_deref(),
        Some("sync" | "status" | "retire" | "rename" | "doctor")
    );
    if writes_outputs || command.as_deref() == Some("plan") {
        step.write_summary(|command, _| step_summary::of_failure(command, &usage_error.report));
    }
    if writes_outputs {
        step.write_outputs(None, exit::USAGE);
    }
    match words.format() {
        Format::Human if reserved.is_some() => terminal.error(None, &usage_error.report),
        Format::Human => {
            terminal.write_err(&rendered(error, terminal.err));
            terminal.annotate(None, &usage_error.report);
        }
        format @ (Format::Json | Format::Ndjson) => {
            terminal.annotate(None, &usage_error.report);
            let document = commands::usage_error_document(usage_error, command.as_deref(), format);
            terminal.result(&document);
        }
    }
    terminal.close(exit::USAGE)
}

fn rendered(error: &clap::Error, style: Style) -> String {
    let text = error.render();
    let text = if style.color {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    mask_urls(&text).into_owned()
}

/// The reserved flag that is the cause of the error, if it is one.
fn reserved_flag(error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    RESERVED
        .into_iter()
        .find(|reserved| error.kind() == ErrorKind::UnknownArgument && flag == reserved)
}

/// Converts clap's text into a message and hints. The usage at the end of the text is left out.
fn usage_error_of(error: &clap::Error, command: Option<&str>) -> CommandError {
    let text = error.to_string();

    let message = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "missing command".to_owned()
    } else {
        let mut lines = text
            .trim_start_matches("error: ")
            .lines()
            .take_while(|line| !line.is_empty())
            .map(str::trim);
        let first = lines.next().unwrap_or_default();
        // If the first line introduces a list, its items are on the following lines.
        format!("{first} {}", lines.collect::<Vec<_>>().join(", "))
            .trim_end()
            .to_owned()
    };

    let mut hints: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tip: "))
        .map(str::to_owned)
        .collect();
    let command = command
        .map(|command| format!("{command} "))
        .unwrap_or_default();
    hints.push(format!("see `fractary-codex {command}--help`"));
    CommandError::new(exit::USAGE, "usage", message, hints)
}

/// Returns all values of `--config`, before and after the command. clap keeps only the innermost
/// occurrence of a global option.
pub(super) fn config_values(arguments: &[OsString]) -> Vec<String> {
    Words::new(arguments)
        .values("--config")
        .map(str::to_owned)
        .collect()
}

/// Reads where the configuration is from a command line that is not complete yet. The shell has not
/// expanded `~` in it.
pub(super) fn directories(arguments: &[OsString], environment: &Environment) -> Global {
    let words = Words::new(arguments);
    let home = environment.get("HOME");
    let path = |option| {
        let path = words.values(option).last()?;
        Some(PathBuf::from(below_home(path, home)))
    };
    Global {
        directory: path("-C"),
        config_file: path("--config-file"),
        ..Global::default()
    }
}

/// The command line without the program, for people. A value of `--config` can be a secret, so only
/// its key is shown.
pub(super) fn command_line(arguments: &[OsString]) -> String {
    let mut shown = Vec::new();
    let mut is_setting = false;
    for word in Words::new(arguments).0 {
        let setting = if is_setting {
            Some(("", word.as_str()))
        } else {
            word.strip_prefix("--config=")
                .map(|setting| ("--config=", setting))
        };
        shown.push(match setting {
            Some((option, setting)) => {
                let (key, _) = setting.split_once('=').unwrap_or((setting, ""));
                format!("{option}{}=…", escaped(key.as_bytes()))
            }
            None => escaped(word.as_bytes()).to_string(),
        });
        is_setting = !is_setting && word == "--config";
    }
    shown.join(" ")
}

/// The raw arguments after the name of the program, up to `--`.
struct Words(Vec<String>);

impl Words {
    fn new(arguments: &[OsString]) -> Self {
        let words = arguments
            .iter()
            .skip(1)
            .map(|word| word.to_string_lossy().into_owned());
        Self(words.take_while(|word| word != "--").collect())
    }

    /// The values of `option`, in order.
    fn values<'w>(&'w self, option: &'w str) -> impl Iterator<Item = &'w str> {
        let next = self.0.iter().skip(1).map(String::as_str).chain([""]);
        self.0
            .iter()
            .zip(next)
            .filter_map(move |(word, next)| match word.strip_prefix(option)? {
                "" => Some(next),
                joined => joined.strip_prefix('='),
            })
    }

    /// The first valid value of `option`.
    fn value_of<V: ValueEnum>(&self, option: &str) -> Option<V> {
        self.values(option)
            .find_map(|value| V::from_str(value, false).ok())
    }

    /// The requested output format. `--json` takes precedence over `--format`.
    fn format(&self) -> Format {
        let json = self.0.iter().any(|word| word == "--json");
        if json {
            Format::Json
        } else {
            self.value_of("--format").unwrap_or(Format::Human)
        }
    }

    /// The name of the command: the first word that is neither an option nor the value of one.
    /// `None` if there is no such command.
    fn command(&self) -> Option<String> {
        let program = Cli::command();
        let takes_value = |word: &str| {
            program
                .get_arguments()
                .filter(|option| option.get_action().takes_values())
                .any(|option| {
                    let long = option.get_long().map(|name| format!("--{name}"));
                    let short = option.get_short().map(|letter| format!("-{letter}"));
                    [long, short].iter().flatten().any(|name| name == word)
                })
        };

        let mut words = self.0.iter();
        while let Some(word) = words.next() {
            if takes_value(word) {
                words.next();
            } else if !word.starts_with('-') {
                return program
                    .find_subcommand(word)
                    .map(|command| command.get_name().to_owned());
            }
        }
        None
    }
}
