//! `init`: writes a first configuration, based on the directories, build files and git remotes that
//! it finds.

mod checkout;
mod codex_names;
mod documents;
mod existing_file;
mod layout;
mod member_lists;
mod project_names;
mod section;

use std::path::{Path, PathBuf};

use checkout::Checkout;
use codex_names::{CodexNames, Detected};
pub(super) use existing_file::{Existing, write_configuration};
use layout::{Directory, ProjectLayout};
use project_names::{FoundProject, valid_name};

use super::{config_check, finish, to_json};
use crate::cli::args::InitArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::terminal::Terminal;
use crate::config::can_contain_token;
use crate::event::Event;
use crate::masked_urls::mask_urls;
use crate::names::ProjectName;
use crate::paths::{FRACTARY_DIR, escaped, shown};
use crate::report::configuration::{InitProject, InitReport, REPORT_VERSION};
use crate::text::pluralize;
use crate::url::RemoteUrl;

/// How many projects are listed, without `-v`.
const LISTED: usize = 20;

/// Runs the command and returns the exit status.
pub(crate) fn run(arguments: &InitArgs, context: &Context) -> u8 {
    let json = arguments.output.is_json();
    if arguments.no_mcp || arguments.mcp {
        context
            .terminal
            .event(&mcp_option_is_ignored(arguments.mcp));
    }
    let report = init(arguments, context);
    let text = report.map(|report| {
        if json {
            to_json(&report)
        } else {
            text(&report, context.terminal.verbose)
        }
    });
    finish(text, json, context)
}

/// The warning about an option of the older tool for a file of the agent's own configuration.
pub(super) fn mcp_option_is_ignored(is_positive: bool) -> Event {
    let option = if is_positive { "--mcp" } else { "--no-mcp" };
    Event::Warning {
        project: None,
        message: format!("`{option}` has no effect: `.mcp.json` is never changed"),
    }
}

fn init(arguments: &InitArgs, context: &Context) -> Result<InitReport, CommandError> {
    let root = context.directory()?;
    let directory = root.join(FRACTARY_DIR);
    reject_secrets(arguments, &root)?;
    let existing = Existing::find(&directory)?;
    if !arguments.force {
        check_absent(&existing, &root, context)?;
    }

    let asks = !arguments.yes && !arguments.output.is_json() && context.terminal.can_ask();
    let own = Checkout::of_root(&root);
    let mut below = Checkout::below(&root);
    let mut remarks = checkout::remove_worktrees(&mut below, &own);
    let beside = Checkout::codexes_beside(&root);
    let codex = codex_names::codex_among(arguments, &own, &below);
    let checkouts: Vec<&Checkout> = below
        .iter()
        .filter(|one| codex.is_none_or(|codex| codex.directory != one.directory))
        .collect();
    let codex = codex.or_else(|| codex_beside(&beside, &own));
    let mut names = CodexNames::detect(arguments, &own, &checkouts, codex);

    let name = project_name(arguments, &root, &own);
    let directory = Directory {
        root: &root,
        name: name.as_deref(),
        checkouts: &checkouts,
    };
    let layouts = match &arguments.project {
        Some(_) => vec![directory.one_project()],
        None => directory.layouts(),
    };
    let layout = match asks {
        true => chosen(layouts, &context.terminal)?,
        false => layouts.into_iter().next(),
    };
    let mut layout = layout.unwrap_or_else(|| directory.one_project());
    if name.is_none() && layout.projects.iter().any(FoundProject::is_root) {
        let message = format!(
            "the name of `{}` cannot be the name of a project",
            shown(&root)
        );
        let hint = "give the project a name with `--project NAME`";
        return Err(CommandError::usage(message).hint(hint));
    }
    if asks && names.organization.is_none() && names.url().is_none() {
        ask_organization(&mut names, &context.terminal);
    }

    let section = section::section(&names, arguments.sync_preset, &root, &layout);
    let content = existing.with(&section)?;
    let path = root.join(FRACTARY_DIR).join("config.yaml");
    check(context, &path, &content, &names)?;
    remarks.extend(names.remark.take());
    remarks.extend(existing.flat().map(|_| {
        "the keys at the top level of the file are no longer read: `codex` replaces them".to_owned()
    }));
    layout.remarks.extend(remarks);
    if !arguments.dry_run {
        write_configuration(&path, &content)?;
        existing.remove_unless(&path)?;
    }
    let content = arguments.dry_run.then_some(content);
    Ok(report(arguments, names, &root, &path, layout, content))
}

/// The only codex beside a checkout whose organization is the checkout's.
fn codex_beside<'c>(beside: &'c [Checkout], own: &Checkout) -> Option<&'c Checkout> {
    let organization = own.organization()?;
    let mut found = beside
        .iter()
        .filter(|codex| codex.organization().as_ref() == Some(&organization));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The name of the directory as a project: the given one, or that of the directory or of its
/// repository, with `-` for characters that no name has.
fn project_name(arguments: &InitArgs, root: &Path, own: &Checkout) -> Option<String> {
    if let Some(name) = &arguments.project {
        return Some(name.to_string());
    }
    let directory = root.file_name().unwrap_or_default().to_string_lossy();
    let given = own.own.project.clone().into_iter();
    let mut candidates = given.chain([directory.into_owned(), own.repository_name()]);
    let valid = candidates
        .clone()
        .find(|name| name.parse::<ProjectName>().is_ok());
    valid.or_else(|| candidates.find_map(|name| valid_name(&name)))
}

/// Rejects options with a secret: they would be written to a file that others read.
fn reject_secrets(arguments: &InitArgs, root: &Path) -> Result<(), CommandError> {
    let options = [
        ("--organization", &arguments.organization),
        ("--codex-repo", &arguments.codex_repo),
        ("--url", &arguments.url),
    ];
    for (option, value) in options {
        let Some(value) = value else {
            continue;
        };
        let has_secret = match RemoteUrl::parse(value, root) {
            Ok(url) if option == "--url" && url.host().is_some() => url.without_secrets() != *value,
            Ok(_) | Err(_) => mask_urls(value) != *value,
        };
        if has_secret || can_contain_token(value) {
            let message = format!(
                "the value of `{option}` contains a password or token, and would be written to a file that others read"
            );
            let hint = "leave it out, and set `remote.token: \"${VARIABLE}\"`, or the variable `FRACTARY_CODEX_REMOTE__TOKEN`";
            return Err(CommandError::usage(message).hint(hint));
        }
    }
    Ok(())
}

/// Checks the file before it is written: the next command would report its errors. A missing
/// organization is none of them, because the file has a comment in its place.
fn check(
    context: &Context,
    path: &Path,
    content: &str,
    names: &CodexNames,
) -> Result<(), CommandError> {
    let mut errors = config_check::new_errors(context, path, "", content)?;
    if names.organization.is_none() {
        let is_missing = |key: &str| ["organization", "codex_repo"].contains(&key);
        errors.retain(|error| !error.key.as_deref().is_some_and(is_missing));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(config_check::rejected(path, "written", errors)),
    }
}

/// Asks which layout is meant, if there are several.
fn chosen(
    layouts: Vec<ProjectLayout>,
    terminal: &Terminal,
) -> Result<Option<ProjectLayout>, CommandError> {
    if layouts.len() > 1 {
        let lines = layouts.iter().enumerate().map(|(index, layout)| {
            let projects = pluralize(layout.projects.len(), "project");
            format!("  {}. {}: {projects}\n", index + 1, layout.found)
        });
        let lines: String = lines.collect();
        terminal.write_err(&format!(
            "What are the projects in this directory?\n{lines}"
        ));
    }
    let count = layouts.len();
    if count <= 1 {
        return Ok(layouts.into_iter().next());
    }
    loop {
        let Some(answer) = terminal.ask(&format!("Number (1 to {count}) [1]:")) else {
            let message = "no answer; nothing was written";
            return Err(CommandError::usage(message).hint("use `--yes` for the first choice"));
        };
        let number: Option<usize> = match answer.as_str() {
            "" => Some(1),
            number => number.parse().ok(),
        };
        if let Some(number) = number.filter(|number| (1..=count).contains(number)) {
            return Ok(layouts.into_iter().nth(number - 1));
        }
    }
}

/// Asks for the organization. Without an answer it stays unknown, and the file says so.
fn ask_organization(names: &mut CodexNames, terminal: &Terminal) {
    if let Some(reason) = &names.undetected {
        terminal.write_err(&format!("{reason}\n"));
    }
    let answer = terminal.ask("Organization (owner of the codex's repository):");
    let answer = answer.filter(|answer| !answer.is_empty());
    names.organization = answer.map(|answer| Detected::new(answer, "your answer"));
}

fn report(
    arguments: &InitArgs,
    names: CodexNames,
    root: &Path,
    path: &Path,
    layout: ProjectLayout,
    content: Option<String>,
) -> InitReport {
    let patterns = match arguments.sync_preset {
        Some(preset) => preset
            .published()
            .include
            .iter()
            .map(|one| (*one).to_owned())
            .collect(),
        None => documents::patterns(root, &layout.projects),
    };
    let members = section::MemberPatterns::of(root, &layout.projects);
    let url = names.url();
    let safe_url = |url: String| match RemoteUrl::parse(&url, root) {
        Ok(url) => url.to_string(),
        Err(_) => escaped(url.as_bytes()).to_string(),
    };
    let repository = names.repository();
    let codex_from = url
        .as_ref()
        .or(repository.as_ref())
        .map(|found| found.from.clone());
    let remote_url = url.map(|url| url.value).or_else(|| names.default_url());

    let projects = layout.projects.iter().map(|project| InitProject {
        name: project.name.clone(),
        directory: match project.is_root() {
            true => ".".to_owned(),
            false => shown(&project.directory).to_string(),
        },
    });
    let root_project = layout.projects.iter().find(|project| project.is_root());
    InitReport {
        schema_version: REPORT_VERSION,
        command: "init",
        status: "success",
        dry_run: arguments.dry_run,
        path: shown(path).to_string(),
        found: layout.found,
        organization_from: names.organization.as_ref().map(|found| found.from.clone()),
        organization: names.organization.map(|found| found.value),
        organization_error: names.undetected,
        codex_repo: repository.map(|found| found.value),
        remote_url: remote_url.map(safe_url),
        codex_from,
        project: root_project.map(|project| project.name.clone()),
        members: members.members,
        excluded: members.excluded,
        projects: projects.collect(),
        patterns,
        remarks: layout.remarks,
        content,
    }
}

/// The result as text.
fn text(report: &InitReport, verbose: bool) -> String {
    let mut text = format!("found {}\n", report.found);
    let listed = if verbose {
        report.projects.len()
    } else {
        LISTED
    };
    let width = report
        .projects
        .iter()
        .take(listed)
        .map(|one| one.name.len())
        .max();
    for project in report.projects.iter().take(listed) {
        let line = format!(
            "  {:1$}  {2}",
            project.name,
            width.unwrap_or(0),
            project.directory
        );
        text.push_str(&format!("{}\n", line.trim_end()));
    }
    if report.projects.len() > listed {
        let more = report.projects.len() - listed;
        text.push_str(&format!("  and {more} more (`-v` lists all)\n"));
    }
    for remark in &report.remarks {
        text.push_str(&format!("note: {}\n", escaped(remark.as_bytes())));
    }

    if let (Some(organization), Some(from)) = (&report.organization, &report.organization_from) {
        let organization = escaped(organization.as_bytes());
        text.push_str(&format!("organization: {organization} (from {from})\n"));
    }
    if let (Some(url), Some(from)) = (&report.remote_url, &report.codex_from) {
        text.push_str(&format!("codex: {url} (from {from})\n"));
    }
    text.push_str(&format!("patterns: {}\n", report.patterns.join(", ")));

    text.push('\n');
    match &report.content {
        Some(content) => {
            text.push_str(&format!("would write {}:\n\n{content}", report.path));
        }
        None => text.push_str(&format!("wrote {}\n", report.path)),
    }
    if report.organization.is_none() && report.remote_url.is_none() {
        let reason = match &report.organization_error {
            Some(reason) => format!(" ({reason})"),
            None => String::new(),
        };
        let hint = "set `codex.organization` in that file, or use `--organization NAME`";
        text.push_str(&format!(
            "could not detect the organization{reason}: {hint}\n"
        ));
    }
    if report.content.is_none() {
        text.push_str("next: run `fractary codex doctor` to check the setup\n");
        text.push_str(
            "then: run `fractary codex sync --all --dry-run` to see what would be published\n",
        );
    }
    text
}

/// Rejects a directory that is already configured, by a file of its own or as a member of a
/// workspace.
fn check_absent(existing: &Existing, root: &Path, context: &Context) -> Result<(), CommandError> {
    if let Some(file) = existing.with_codex_section() {
        let message = format!("`{}` already exists", shown(file));
        let hint = "add to it what `fractary-codex init --force --dry-run` shows, or overwrite its section `codex` with `--force`";
        return Err(CommandError::usage(message).hint(hint));
    }
    if let Some(file) = existing.flat() {
        let message = format!(
            "`{}` already exists, with the keys of the codex at its top level",
            shown(file)
        );
        let hint =
            "write these keys below `codex:`; with `--force`, a new section `codex` replaces them";
        return Err(CommandError::usage(message).hint(hint));
    }
    if let Some((project, workspace)) = as_member(root, context)? {
        let message = format!(
            "this directory is the project `{project}` of the workspace `{}`",
            shown(&workspace)
        );
        let hint = "edit the configuration of the workspace, or create one here with `--force`";
        return Err(CommandError::usage(message).hint(hint));
    }
    Ok(())
}

/// If `root` is a member of a workspace in a parent directory, returns the name of the project and
/// the root of the workspace. A configuration in `root` would be read as a part of that workspace's
/// configuration.
fn as_member(root: &Path, context: &Context) -> Result<Option<(String, PathBuf)>, CommandError> {
    let outer = context.surrounding_configuration()?;
    let is_root =
        |directory: &Path| dunce::canonicalize(directory).is_ok_and(|directory| directory == *root);
    if is_root(&outer.root) {
        return Ok(None);
    }
    let project = outer
        .members
        .into_iter()
        .find(|(_, member)| is_root(&member.directory));
    Ok(project.map(|(name, _)| (name, outer.root)))
}
