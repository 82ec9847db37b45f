//! `init`: writes a first configuration, based on the directories and the git remotes that it
//! finds.

use std::fs;
use std::path::{Path, PathBuf};

use super::{finish, write_whole};
use crate::cli::args::InitArgs;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::exit;
use crate::codex::source_repository::{self, UnreadableRepository};
use crate::config::yaml_section::Sections;
use crate::config::{self, ENDINGS};
use crate::names::ProjectName;
use crate::paths::{FRACTARY_DIR, escaped, resolved, shown};
use crate::platform;

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
    finish(init(arguments, context), false, context)
}

fn init(arguments: &InitArgs, context: &Context) -> Result<String, CommandError> {
    let root = context.directory()?;
    let directory = root.join(FRACTARY_DIR);
    let existing = Existing::find(&directory)?;
    if !arguments.force {
        check_absent(&existing, &root, context)?;
    }

    let members = Members::find(&root);
    let detected = match &arguments.organization {
        Some(given) => Ok(Some(given.clone())),
        None => organization(&root, &members),
    };
    let organization = detected.as_ref().ok().cloned().flatten();
    let section = codex_section(arguments, &root, &members, organization.as_deref());
    let text = existing.with(&section)?;

    let path = directory.join("config.yaml");
    write_configuration(&path, &text)?;
    existing.remove_unless(&path)?;

    let mut output = format!("wrote {}\n", shown(&path));
    let undetected = "could not detect the organization: set `codex.organization` in that file";
    match &detected {
        Ok(Some(_)) => {}
        Ok(None) => output.push_str(&format!("{undetected}\n")),
        Err(error) => output.push_str(&format!("{undetected} ({error})\n")),
    }
    output.push_str("next: run `fractary codex doctor` to check the setup\n");
    output.push_str(
        "then: run `fractary codex sync --all --dry-run` to see what would be published\n",
    );
    Ok(output)
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

fn write_configuration(path: &Path, text: &str) -> Result<(), CommandError> {
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
struct Existing {
    path: Option<PathBuf>,
    /// The sections. A broken symlink counts as a file with a section `codex`, so that it is only
    /// replaced with `--force`.
    sections: Sections,
    text: String,
}

impl Existing {
    /// Finds and reads the file in `directory`, the `.fractary` directory.
    fn find(directory: &Path) -> Result<Self, CommandError> {
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
    fn with_codex_section(&self) -> Option<&Path> {
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

/// The section `codex` of the configuration file, with comments.
fn codex_section(
    arguments: &InitArgs,
    root: &Path,
    members: &Members,
    organization: Option<&str>,
) -> String {
    let org = organization.unwrap_or("my-organization");
    let repo = arguments
        .codex_repo
        .clone()
        .unwrap_or_else(|| format!("codex.{org}.com"));
    let remote = match &arguments.url {
        Some(url) => format!("  remote:\n    url: {}\n", quoted(url)),
        None => format!(
            "  # remote:\n  #   url: https://git.example.com/docs/codex.git   # default: https://github.com/{org}/{repo}.git\n"
        ),
    };
    let projects = if members.globs.is_empty() {
        let name = root
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let name = name
            .parse::<ProjectName>()
            .map_or_else(|_| "my-project".to_owned(), |name| name.to_string());
        format!(
            "  project: {}                     # this repository is one project\n",
            quoted(&name)
        )
    } else {
        let globs = members
            .globs
            .iter()
            .map(|glob| quoted(glob))
            .collect::<Vec<_>>()
            .join(", ");
        format!(
            "  workspace:\n    members: [{globs}]     # each directory is a project, named after itself\n"
        )
    };
    let samples = if members.directories.is_empty() {
        &[root.to_owned()][..]
    } else {
        &members.directories
    };
    let any = |exists: &dyn Fn(&PathBuf) -> bool| samples.iter().any(exists);
    let mut include: Vec<String> = DOCUMENTATION
        .iter()
        .filter(|name| any(&|sample| sample.join(name).is_dir()))
        .map(|name| quoted(&format!("{name}/**")))
        .collect();
    include.extend(
        FILES
            .iter()
            .filter(|name| any(&|sample| sample.join(name).is_file()))
            .map(|name| quoted(name)),
    );
    if include.is_empty() {
        include = ["docs/**", "README.md", "CLAUDE.md"].map(quoted).into();
    }
    format!(
        "codex:\n  organization: {}\n  codex_repo: {}\n{remote}\n{projects}\n  sync:\n    to_codex:\n      include: [{}]\n      \
         # exclude: [\"**/drafts/**\"]     # adds to the built-in excludes\n",
        quoted(org),
        quoted(&repo),
        include.join(", "),
    )
}

/// Formats a YAML string: a plain word without quotes, anything else with quotes.
fn quoted(text: &str) -> String {
    let is_word = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_word && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
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
