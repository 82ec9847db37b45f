//! `man`. The pages are generated from the definition that parses the command line. The text after
//! the options in `--help` becomes sections of their own.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::roff::{Roff, bold, roman};

use super::finish;
use crate::cli::args::Cli;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::paths::shown;

/// The section of the manual with the programs of users.
const SECTION: &str = "1";

/// Prints the man page, or writes one page per command to `directory`. Returns the exit status.
pub(crate) fn run(directory: Option<&Path>, context: &Context) -> u8 {
    let mut command = without_help_commands(Cli::command());
    command.build();
    let command = for_mangen(command);

    let result = match directory {
        None => man_page(&command, &[]).map_err(|error| unwritable("the man page", &error)),
        Some(directory) => write_man_pages(&command, directory, context),
    };
    match result {
        Ok(page) => {
            context.terminal.generated(&page);
            exit::DONE
        }
        Err(error) => finish(Err(error), false, context),
    }
}

fn write_man_pages(
    command: &clap::Command,
    directory: &Path,
    context: &Context,
) -> Result<String, CommandError> {
    let path = context.directory()?.join(directory);
    fs::create_dir_all(&path)
        .and_then(|()| write_pages_below(command, &[], &path))
        .map_err(|error| unwritable(&format!("`{}`", shown(directory)), &error))?;
    Ok(String::new())
}

/// Writes the page of `command` and those of its subcommands. `parents` are the names of the pages
/// above it, outermost first.
fn write_pages_below(
    command: &clap::Command,
    parents: &[&str],
    directory: &Path,
) -> io::Result<()> {
    let name = page_name(command);
    let page = man_page(command, parents)?;
    fs::write(directory.join(format!("{name}.{SECTION}")), page)?;

    let parents = [parents, &[name]].concat();
    let mut subcommands = command.get_subcommands().filter(|one| !one.is_hide_set());
    subcommands.try_for_each(|subcommand| write_pages_below(subcommand, &parents, directory))
}

fn unwritable(what: &str, error: &io::Error) -> CommandError {
    let message = format!("cannot write {what}: {error}");
    CommandError::usage(message)
}

/// The man page of a command, whose pages above it are `parents`.
fn man_page(command: &clap::Command, parents: &[&str]) -> io::Result<String> {
    let generator = clap_mangen::Man::new(command.clone()).section(SECTION);
    let help = command.get_after_long_help().map(ToString::to_string);
    let help = HelpText::new(help.as_deref().unwrap_or_default());

    let mut page = title(command).render();
    let mut generated = Vec::new();
    generator.render_name_section(&mut generated)?;
    generator.render_synopsis_section(&mut generated)?;
    generator.render_description_section(&mut generated)?;
    generated.extend(help.description().render().into_bytes());
    generator.render_options_section(&mut generated)?;
    if command.has_subcommands() {
        generator.render_subcommands_section(&mut generated)?;
    }
    generated.extend(help.sections().render().into_bytes());
    generated.extend(see_also(parents).render().into_bytes());

    // Each part starts with the same definitions, which a page needs once.
    let definitions = Roff::new().render();
    page += &String::from_utf8_lossy(&generated).replace(&definitions, "");
    Ok(page)
}

fn page_name(command: &clap::Command) -> &str {
    let name = command.get_display_name();
    name.unwrap_or_else(|| command.get_name())
}

/// The line that names the page and, for the footer, the program and its version.
fn title(command: &clap::Command) -> Roff {
    let program = concat!("fractary-codex ", env!("CARGO_PKG_VERSION"));
    // Without the quotes, the program would be in the place of the date.
    let date = "\"\"";
    let mut roff = Roff::new();
    roff.control("TH", [page_name(command), SECTION, date, program]);
    roff
}

/// Where the page refers to. The main page describes what all commands have in common.
fn see_also(parents: &[&str]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let Some(main) = parents.first() else {
        let pages = [bold("fractary"), roman("(1), "), bold("git"), roman("(1)")];
        roff.text(pages);
        return roff;
    };

    if let [_, .., group] = parents {
        roff.text([bold(*group), roman("(1)")]);
        roff.control("PP", []);
    }
    roff.text([
        bold(*main),
        roman("(1) describes exit statuses, environment variables and files."),
    ]);
    roff
}

/// The text after the options in `--help`: paragraphs, separated by empty lines.
struct HelpText<'h> {
    /// Paragraphs without a heading.
    paragraphs: Vec<&'h str>,
    /// Headings and the lines below them.
    sections: Vec<(&'h str, &'h str)>,
}

impl<'h> HelpText<'h> {
    fn new(text: &'h str) -> Self {
        let mut help = Self {
            paragraphs: Vec::new(),
            sections: Vec::new(),
        };
        for paragraph in text.split("\n\n").filter(|text| !text.is_empty()) {
            match paragraph.split_once(":\n") {
                Some((heading, lines)) if !heading.contains('\n') => {
                    help.sections.push((heading, lines));
                }
                _ => help.paragraphs.push(paragraph),
            }
        }
        help
    }

    /// The paragraphs, which continue the description. Indented lines are shown as they are.
    fn description(&self) -> Roff {
        let mut roff = Roff::new();
        for paragraph in &self.paragraphs {
            roff.control("PP", []);
            for line in paragraph.lines() {
                match line.strip_prefix("  ") {
                    None => roff.text([roman(line)]),
                    Some(verbatim) => roff
                        .control("RS", ["4"])
                        .control("nf", [])
                        .text([roman(verbatim)])
                        .control("fi", [])
                        .control("RE", []),
                };
            }
        }
        roff
    }

    /// The sections. A line is a term, or a term and its meaning, separated by two spaces or more.
    fn sections(&self) -> Roff {
        let mut roff = Roff::new();
        for (heading, lines) in &self.sections {
            roff.control("SH", [heading.to_uppercase().as_str()]);
            for (number, line) in lines.lines().map(str::trim).enumerate() {
                match line.split_once("  ") {
                    Some((term, meaning)) => roff
                        .control("TP", [])
                        .text([bold(term)])
                        .text([roman(meaning.trim_start())]),
                    None if number == 0 => roff.text([bold(line)]),
                    None => roff.control("PP", []).text([bold(line)]),
                };
            }
        }
        roff
    }
}

/// Leaves out the commands `help`, whose pages would only repeat those of the other commands.
fn without_help_commands(command: clap::Command) -> clap::Command {
    command
        .disable_help_subcommand(true)
        .mut_subcommands(without_help_commands)
}

/// Adapts a command for clap_mangen. It replaces the usage line by that of clap, because mangen
/// omits the values of options, and shows the options that are only hidden from `-h`, because
/// mangen would drop them.
fn for_mangen(mut command: clap::Command) -> clap::Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();

    command
        .override_usage(usage)
        .subcommand_help_heading("COMMANDS")
        .mut_args(|option| option.hide_short_help(false))
        .mut_subcommands(for_mangen)
}
