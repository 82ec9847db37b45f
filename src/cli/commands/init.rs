//! `init`: writes a first configuration, based on the directories and the git remotes that it
//! finds.

use std::fs;
use std::path::{Path, PathBuf};

use super::{finish, to_json, write_whole};
use crate::cli::args::{InitArgs, SyncPreset};
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::codex::source_repository::{self, UnreadableRepository};
use crate::config::yaml_edit::quoted;
use crate::config::yaml_section::Sections;
use crate::config::{self, ENDINGS};
use crate::event::Event;
use crate::names::ProjectName;
use crate::paths::{FRACTARY_DIR, escaped, resolved, shown};
use crate::platform;
use crate::report::configuration::{InitReport, REPORT_VERSION};

/// Directories whose name shows that they contain the documentation of their parent directory.
const DOCUMENTATION: [&str; 5] = ["docs", "doc", "documentation", "specs", "adr"];
/// Files that are documentation, in the same parent directory.
const FILES: [&str; 3] = ["README.md", "CLAUDE.md", "CHANGELOG.md"];
/// Directories that contain no projects although their subdirectories may look like some.
const NOT_PROJECTS: [&str; 9] = [
    "node_modules",
    "target",
    "vendor",
    "dist",
    "build",
    "docs",
    "doc",
    "examples",
    "tests",
];

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
            text(&report)
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
    let existing = Existing::find(&directory)?;
    if !arguments.force {
        check_absent(&existing, &root, context)?;
    }

    let members = match &arguments.project {
        Some(_) => Members::default(),
        None => Members::find(&root),
    };
    let detected = match &arguments.organization {
        Some(given) => Ok(Some(given.clone())),
        None => organization(&root, &members),
    };
    let project = members.globs.is_empty().then(|| match &arguments.project {
        Some(name) => name.to_string(),
        None => project_name(&root),
    });
    let names = SectionNames {
        organization: detected.as_ref().ok().cloned().flatten(),
        codex_repo: arguments.codex_repo.clone(),
        url: arguments.url.clone(),
        project,
    };
    let section = codex_section(&names, arguments.sync_preset, &root, &members);
    let text = existing.with(&section)?;

    let path = directory.join("config.yaml");
    write_configuration(&path, &text)?;
    existing.remove_unless(&path)?;

    Ok(InitReport {
        schema_version: REPORT_VERSION,
        command: "init",
        status: "success",
        path: shown(&path).to_string(),
        codex_repo: names.codex_repo(),
        organization: names.organization,
        organization_error: detected.err().map(|error| error.to_string()),
        project: names.project,
        members: members.globs,
    })
}

/// The result as text.
fn text(report: &InitReport) -> String {
    let mut text = format!("wrote {}\n", report.path);
    let undetected = "could not detect the organization: set `codex.organization` in that file";
    match (&report.organization, &report.organization_error) {
        (Some(_), _) => {}
        (None, None) => text.push_str(&format!("{undetected}\n")),
        (None, Some(error)) => text.push_str(&format!("{undetected} ({error})\n")),
    }
    text.push_str("next: run `fractary codex doctor` to check the setup\n");
    text.push_str(
        "then: run `fractary codex sync --all --dry-run` to see what would be published\n",
    );
    text
}

/// Rejects a directory that is already configured, by a file of its own or as a member of a
/// workspace.
fn check_absent(existing: &Existing, root: &Path, context: &Context) -> Result<(), CommandError> {
    if let Some(file) = existing.with_codex_section() {
        let message = format!("`{}` already exists", shown(file));
        let hint = "edit it, or overwrite its section `codex` with `--force`";
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

pub(super) fn write_configuration(path: &Path, text: &str) -> Result<(), CommandError> {
    // If the file is a symlink, its target is replaced and the link is kept.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory)
        .and_then(|()| write_whole(&target, text.as_bytes()))
        .map_err(|error| {
            let message = format!(
                "cannot write `{}`: {}",
                shown(path),
                platform::words_of(&error)
            );
            CommandError::new(exit::CONFIGURATION, "configuration", message, Vec::new())
        })
}

/// The existing configuration file, if there is one. It may contain sections of other tools.
#[derive(Default)]
pub(super) struct Existing {
    pub(super) path: Option<PathBuf>,
    /// The sections. A broken symlink counts as a file with a section `codex`, so that it is only
    /// replaced with `--force`.
    sections: Sections,
    pub(super) text: String,
}

impl Existing {
    /// Finds and reads the file in `directory`, the `.fractary` directory.
    pub(super) fn find(directory: &Path) -> Result<Self, CommandError> {
        let candidates = ENDINGS.map(|ending| directory.join(format!("config.{ending}")));
        let mut existing = candidates
            .into_iter()
            .filter(|path| path.symlink_metadata().is_ok());
        let Some(path) = existing.next() else {
            return Ok(Self::default());
        };
        if let Some(second) = existing.next() {
            let message = format!(
                "two files for one layer: `{}` and `{}`",
                shown(&path),
                shown(&second)
            );
            return Err(CommandError::usage(message).hint("keep one of them"));
        }

        let root = directory.parent().unwrap_or(directory);
        let target = resolved(&path);
        if !target.starts_with(resolved(root)) {
            let message = format!(
                "`{}` is a symlink to `{}`, which is outside the workspace",
                shown(&path),
                shown(&target)
            );
            let hint = "remove the symlink, or edit that file";
            return Err(CommandError::usage(message).hint(hint));
        }

        if !path.exists() {
            return Ok(Self {
                path: Some(path),
                sections: Sections {
                    has_codex: true,
                    others: Vec::new(),
                },
                text: String::new(),
            });
        }
        let unreadable = |problem: String| {
            let message = format!("`{}` cannot be changed: {problem}", shown(&path));
            CommandError::usage(message).hint("correct it first, or move it to another directory")
        };
        if platform::is_special(&path) {
            return Err(unreadable("not a regular file".to_owned()));
        }
        let sections =
            config::yaml_section::sections(&path).map_err(|problem| unreadable(problem.message))?;
        let text = fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self {
            path: Some(path),
            sections,
            text,
        })
    }

    /// The path of the file, if it has a section `codex`.
    pub(super) fn with_codex_section(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| self.sections.has_codex)
    }

    /// Returns the text of `config.yaml` with `section` in it. Comments and the sections of other
    /// tools are kept.
    fn with(&self, section: &str) -> Result<String, CommandError> {
        let Some(path) = &self.path else {
            return Ok(format!("{HEADER}{section}"));
        };

        let is_yaml = path
            .extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && !self.text.trim().is_empty() {
            return config::yaml_section::replaced(&self.text, section).ok_or_else(|| {
                let message = format!(
                    "the section `codex` of `{}` cannot be replaced without changing other sections",
                    shown(path)
                );
                let hint = "write each section on lines of its own, or edit the file";
                CommandError::usage(message).hint(hint)
            });
        }

        if self.sections.others.is_empty() {
            return Ok(format!("{HEADER}{section}"));
        }
        let others: Vec<String> = self
            .sections
            .others
            .iter()
            .map(|name| format!("`{}`", escaped(name.as_bytes())))
            .collect();
        let message = format!(
            "`{}` has other sections ({}), and only YAML files with other sections can be changed",
            shown(path),
            others.join(", ")
        );
        let hint = "add a section `codex` with `organization`, `codex_repo` and `project` yourself";
        Err(CommandError::usage(message).hint(hint))
    }

    /// Removes the file unless it is `written`: two files for one layer are an error.
    fn remove_unless(&self, written: &Path) -> Result<(), CommandError> {
        let Some(path) = self.path.as_ref().filter(|path| *path != written) else {
            return Ok(());
        };
        fs::remove_file(path).map_err(|error| {
            let message = format!(
                "cannot remove `{}`, which `config.yaml` replaces: {error}",
                shown(path)
            );
            let hints = vec!["remove it yourself".to_owned()];
            CommandError::new(exit::CONFIGURATION, "configuration", message, hints)
        })
    }
}

/// The first lines of a new file.
const HEADER: &str = "\
# The projects that are published to the codex with `fractary codex sync --all`.
# All keys and their defaults: `fractary codex config show`; their meaning: `fractary codex config schema`.
";

/// If `root` is a member of a workspace in a parent directory, returns the name of the project and
/// the root of the workspace. A configuration in `root` would be read as a part of that workspace's
/// configuration.
fn as_member(root: &Path, context: &Context) -> Result<Option<(String, PathBuf)>, CommandError> {
    let outer = context.surrounding_configuration()?;
    let is_root = |directory: &Path| {
        directory
            .canonicalize()
            .is_ok_and(|directory| directory == *root)
    };
    if is_root(&outer.root) {
        return Ok(None);
    }
    let project = outer
        .members
        .into_iter()
        .find(|(_, member)| is_root(&member.directory));
    Ok(project.map(|(name, _)| (name, outer.root)))
}

/// Detects the organization from the git remote of `root` or, if `root` is not a repository, from
/// the remotes of all members, which must agree. Fails if the configuration of a repository cannot
/// be read.
fn organization(root: &Path, members: &Members) -> Result<Option<String>, UnreadableRepository> {
    if let Some(own) = source_repository::organization(root)? {
        return Ok(Some(own));
    }
    let mut all = members
        .directories
        .iter()
        .map(|directory| source_repository::organization(directory))
        .collect::<Result<Vec<_>, _>>()?;
    all.dedup();
    match all.as_mut_slice() {
        [only] => Ok(only.take()),
        _ => Ok(None),
    }
}

/// The names in a new section.
struct SectionNames {
    organization: Option<String>,
    codex_repo: Option<String>,
    /// The URL of the codex, if it is not the default one.
    url: Option<String>,
    /// The name of the project, if the directory is a single one.
    project: Option<String>,
}

impl SectionNames {
    fn organization(&self) -> &str {
        self.organization.as_deref().unwrap_or("my-organization")
    }

    fn codex_repo(&self) -> String {
        let given = self.codex_repo.clone();
        given.unwrap_or_else(|| format!("codex.{}.com", self.organization()))
    }
}

/// The name of the project in the directory `root`: that of the directory, if it can be one.
fn project_name(root: &Path) -> String {
    let name = root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    name.parse::<ProjectName>()
        .map_or_else(|_| "my-project".to_owned(), |name| name.to_string())
}

/// The section `codex` of the configuration file, with comments.
fn codex_section(
    names: &SectionNames,
    preset: Option<SyncPreset>,
    root: &Path,
    members: &Members,
) -> String {
    let org = names.organization();
    let repo = names.codex_repo();
    let remote = match &names.url {
        Some(url) => format!("  remote:\n    url: {}\n", quoted(url)),
        None => format!(
            "  # remote:\n  #   url: https://git.example.com/docs/codex.git   # default: https://github.com/{org}/{repo}.git\n"
        ),
    };
    let projects = match &names.project {
        Some(name) => format!(
            "  project: {}                     # this repository is one project\n",
            quoted(name)
        ),
        None => format!(
            "  workspace:\n    members: {}     # each directory is a project, named after itself\n",
            flow_list(&members.globs)
        ),
    };
    let sync = match preset {
        Some(preset) => preset_lines(preset),
        None => detected_lines(root, members),
    };
    format!(
        "codex:\n  organization: {}\n  codex_repo: {}\n{remote}\n{projects}\n  sync:\n{sync}",
        quoted(org),
        quoted(&repo),
    )
}

/// The patterns of a preset.
fn preset_lines(preset: SyncPreset) -> String {
    let [to_codex, from_codex] = [preset.published(), preset.pulled()];
    let mut lines = String::new();
    for (direction, patterns) in [("to_codex", to_codex), ("from_codex", from_codex)] {
        lines.push_str(&format!("    {direction}:\n"));
        lines.push_str(&format!("      include: {}\n", flow_list(patterns.include)));
        if !patterns.exclude.is_empty() {
            lines.push_str(&format!("      exclude: {}\n", flow_list(patterns.exclude)));
        }
    }
    lines
}

fn flow_list(elements: &[impl AsRef<str>]) -> String {
    let elements: Vec<_> = elements
        .iter()
        .map(|element| quoted(element.as_ref()))
        .collect();
    format!("[{}]", elements.join(", "))
}

/// Patterns for the documentation that exists in the projects.
fn detected_lines(root: &Path, members: &Members) -> String {
    let samples = if members.directories.is_empty() {
        &[root.to_owned()][..]
    } else {
        &members.directories
    };
    let any = |exists: &dyn Fn(&PathBuf) -> bool| samples.iter().any(exists);
    let mut include: Vec<String> = DOCUMENTATION
        .iter()
        .filter(|name| any(&|sample| sample.join(name).is_dir()))
        .map(|name| format!("{name}/**"))
        .collect();
    include.extend(
        FILES
            .iter()
            .filter(|name| any(&|sample| sample.join(name).is_file()))
            .map(|name| (*name).to_owned()),
    );
    if include.is_empty() {
        include = ["docs/**", "README.md", "CLAUDE.md"]
            .map(str::to_owned)
            .into();
    }
    format!(
        "    to_codex:\n      include: {}\n      # exclude: [\"**/drafts/**\"]     # adds to the built-in excludes\n",
        flow_list(&include),
    )
}

/// The directories in a workspace that look like projects.
#[derive(Default)]
struct Members {
    /// The values for `workspace.members`.
    globs: Vec<String>,
    /// The directories that the globs match.
    directories: Vec<PathBuf>,
}

impl Members {
    /// Finds the members below `root`: all subdirectories of a directory such as `services` in
    /// which at least two contain documentation. If there are no such directories and `root` is not
    /// a git repository, the members are the repositories in `root`.
    fn find(root: &Path) -> Self {
        let mut members = Self::default();
        for collection in directories(root) {
            let documented = documented(&collection);
            if let Some(name) = collection
                .file_name()
                .and_then(|name| name.to_str())
                .filter(|_| documented.len() >= 2)
            {
                members.globs.push(format!("{name}/*"));
                members.directories.extend(documented);
            }
        }
        if members.globs.is_empty() && !root.join(".git").exists() {
            members.directories = documented(root)
                .into_iter()
                .filter(|path| path.join(".git").exists())
                .collect();
            let names = members
                .directories
                .iter()
                .filter_map(|path| path.file_name()?.to_str());
            members.globs = names.map(str::to_owned).collect();
        }
        members
    }
}

/// The directories in `collection` that contain documentation.
fn documented(collection: &Path) -> Vec<PathBuf> {
    directories(collection)
        .into_iter()
        .filter(|project| has_documentation(project))
        .collect()
}

fn has_documentation(path: &Path) -> bool {
    DOCUMENTATION.iter().any(|name| path.join(name).is_dir()) || path.join("README.md").is_file()
}

/// The directories in `path` that can be projects, in name order. Hidden ones and those in
/// [`NOT_PROJECTS`] are left out.
fn directories(path: &Path) -> Vec<PathBuf> {
    let can_be_project = |name: &str| {
        !name.starts_with('.')
            && !NOT_PROJECTS.contains(&name)
            && name.parse::<ProjectName>().is_ok()
    };
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| entry.file_name().to_str().is_some_and(can_be_project))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
