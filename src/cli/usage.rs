//! Command lines that are no command: they ask for help or the version, or cannot be read. How such a line wants to be
//! answered is looked for word by word.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, ValueEnum};

use super::args::{Cli, Format, Global};
use super::commands;
use super::failure::{Failure, exit};
use super::terminal::Terminal;
use crate::environment::Environment;
use crate::report::style::Style;

/// Flags of `sync` that mean nothing yet and will.
const RESERVED: [&str; 6] = [
    "--shard",
    "--changed-since",
    "--plan",
    "--plan-out",
    "--expect",
    "--watch",
];

/// Help and version are results; anything else is wrong usage, in JSON where that was asked for.
pub(super) fn answer(error: &clap::Error, arguments: &[OsString], environment: &Environment) -> u8 {
    let words = Words::new(arguments);
    let color = words.chosen("--color").unwrap_or_default();
    let terminal = Terminal::new(
        &Global {
            color,
            ..Global::default()
        },
        environment,
    );
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        terminal.result(&rendered(error, terminal.out));
        return terminal.close(exit::DONE);
    }
    let command = words.command();
    let reserved = reserved(error).filter(|_| command.as_deref() == Some("sync"));
    let failure = match &reserved {
        Some(flag) => {
            let message = format!("`{flag}` is reserved for a later version");
            Failure::new(exit::USAGE, "usage", message, Vec::new())
        }
        None => worded(error, command.as_deref()),
    };
    match words.format() {
        Format::Human if reserved.is_some() => terminal.error(None, &failure.report),
        Format::Human => {
            terminal.beside(&rendered(error, terminal.err));
            terminal.annotate(None, &failure.report);
        }
        format @ (Format::Json | Format::Ndjson) => {
            terminal.annotate(None, &failure.report);
            terminal.result(&commands::unread_document(
                failure,
                command.as_deref(),
                format,
            ));
        }
    }
    terminal.close(exit::USAGE)
}

fn rendered(error: &clap::Error, style: Style) -> String {
    let text = error.render();
    if style.color {
        text.ansi().to_string()
    } else {
        text.to_string()
    }
}

fn reserved(error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    RESERVED
        .into_iter()
        .find(|reserved| error.kind() == ErrorKind::UnknownArgument && flag == reserved)
}

/// clap's words for people, which end with the usage, as one message and its hints.
fn worded(error: &clap::Error, command: Option<&str>) -> Failure {
    let text = error.to_string();
    let message = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing".to_owned()
    } else {
        let mut lines = text
            .trim_start_matches("error: ")
            .lines()
            .take_while(|line| !line.is_empty())
            .map(str::trim);
        let first = lines.next().unwrap_or_default();
        // What a list was announced for stands on lines of its own.
        format!("{first} {}", lines.collect::<Vec<_>>().join(", "))
            .trim_end()
            .to_owned()
    };
    let mut hints: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tip: "))
        .map(str::to_owned)
        .collect();
    let of = command
        .map(|command| format!("{command} "))
        .unwrap_or_default();
    hints.push(format!("see `fractary-codex {of}--help`"));
    Failure::new(exit::USAGE, "usage", message, hints)
}

/// What `--config` says, before the command as well as behind it: clap keeps of a global option what stands deepest.
pub(super) fn settings(arguments: &[OsString]) -> Vec<String> {
    Words::new(arguments)
        .values("--config")
        .map(str::to_owned)
        .collect()
}

/// The words after the program's name, up to a `--`.
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

    /// The first value of `option` that it can have.
    fn chosen<V: ValueEnum>(&self, option: &str) -> Option<V> {
        self.values(option)
            .find_map(|value| V::from_str(value, false).ok())
    }

    fn format(&self) -> Format {
        let json = self.0.iter().any(|word| word == "--json");
        if json {
            Format::Json
        } else {
            self.chosen("--format").unwrap_or(Format::Human)
        }
    }

    /// The command's name: the first word that is no option and no value of one.
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
