//! `init`: a first configuration, from what is here.

use std::fs;
use std::path::{Path, PathBuf};

use super::{finish, write_whole};
use crate::cli::args::InitArgs;
use crate::cli::error_report::{Failure, exit};
use crate::cli::load::Context;
use crate::codex::source_revision::{self, UnreadableRepository};
use crate::config::section::Sections;
use crate::config::{self, ENDINGS};
use crate::names::ProjectName;
use crate::paths::{escaped, resolved, shown};
use crate::platform;

/// Directories that hold documentation of the directory around them.
const DOCUMENTATION: [&str; 5] = ["docs", "doc", "documentation", "specs", "adr"];
/// Files that count as documentation beside such directories.
const FILES: [&str; 3] = ["README.md", "CLAUDE.md", "CHANGELOG.md"];

/// Runs the command and gives its exit status.
pub(crate) fn run(arguments: &InitArgs, context: &Context) -> u8 {
    finish(init(arguments, context), false, context)
}

fn init(arguments: &InitArgs, context: &Context) -> Result<String, Failure> {
    let root = context.directory()?;
    let mark = root.join(".fractary");
    let existing = Existing::find(&mark)?;
    if !arguments.force {
        if let Some(there) = existing.codex_in() {
            let message = format!("`{}` is there already", shown(there));
            let hint = "change it by hand, or replace its section `codex` with `--force`";
            return Err(refused(message, hint));
        }
        if let Some((project, workspace)) = covering(&root, context)? {
            let message = format!(
                "this is the project `{project}` of the workspace in `{}`",
                shown(&workspace)
            );
            let hint =
                "change that one's configuration, or write one here all the same with `--force`";
            return Err(refused(message, hint));
        }
    }

    let members = Members::find(&root);
    let detected = match &arguments.organization {
        Some(given) => Ok(Some(given.clone())),
        None => organization(&root, &members),
    };
    let organization = detected.as_ref().ok().cloned().flatten();
    let section = configuration(arguments, &root, &members, organization.as_deref());
    let text = existing.with(&section)?;
    let path = mark.join("config.yaml");
    // A link to a file stays a link.
    let target = path.canonicalize().unwrap_or_else(|_| path.clone());
    fs::create_dir_all(&mark)
        .and_then(|()| write_whole(&target, &text))
        .map_err(|error| {
            let message = format!(
                "cannot write `{}`: {}",
                shown(&path),
                platform::words_of(&error)
            );
            Failure::new(exit::CONFIGURATION, "configuration", message, Vec::new())
        })?;
    // Two files for one layer are an error.
    if let Some(other) = existing.path.as_ref().filter(|other| **other != path) {
        fs::remove_file(other).map_err(|error| {
            let message = format!(
                "cannot remove `{}`, which `config.yaml` replaces: {error}",
                shown(other)
            );
            let hints = vec!["remove it by hand".to_owned()];
            Failure::new(exit::CONFIGURATION, "configuration", message, hints)
        })?;
    }
    let mut told = format!("wrote {}\n", shown(&path));
    match &detected {
        Ok(Some(_)) => {}
        Ok(None) => {
            told.push_str("the organization could not be detected: set `organization` in it\n");
        }
        Err(error) => told.push_str(&format!(
            "the organization could not be detected: set `organization` in it ({error})\n"
        )),
    }
    told.push_str("next: `fractary codex doctor` checks that all is there for a sync\n");
    told.push_str("then: `fractary codex sync --all --dry-run` shows what would be published\n");
    Ok(told)
}

fn refused(message: String, hint: &str) -> Failure {
    Failure::new(exit::USAGE, "usage", message, vec![hint.to_owned()])
}

/// The configuration file that is there already: other tools may have sections in it.
#[derive(Default)]
struct Existing {
    path: Option<PathBuf>,
    /// What it holds; a link that leads nowhere is taken for a section `codex`, so that it is not replaced unasked.
    sections: Sections,
    text: String,
}

impl Existing {
    /// Finds and reads the file in `mark`, the `.fractary` directory.
    fn find(mark: &Path) -> Result<Self, Failure> {
        let candidates = ENDINGS.map(|ending| mark.join(format!("config.{ending}")));
        let mut there = candidates
            .into_iter()
            .filter(|path| path.symlink_metadata().is_ok());
        let Some(path) = there.next() else {
            return Ok(Self::default());
        };
        if let Some(second) = there.next() {
            let message = format!(
                "two files for one layer: `{}` and `{}`",
                shown(&path),
                shown(&second)
            );
            return Err(refused(message, "keep one of them"));
        }

        let root = mark.parent().unwrap_or(mark);
        let real = resolved(&path);
        if !real.starts_with(resolved(root)) {
            let message = format!(
                "`{}` is a link to `{}`, outside the workspace",
                shown(&path),
                shown(&real)
            );
            return Err(refused(
                message,
                "remove the link, or change that file by hand",
            ));
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
            refused(message, "correct it first, or move it away")
        };
        if platform::is_special(&path) {
            return Err(unreadable("not a regular file".to_owned()));
        }
        let sections =
            config::section::sections(&path).map_err(|problem| unreadable(problem.message))?;
        let text = fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self {
            path: Some(path),
            sections,
            text,
        })
    }

    /// The file that has a section `codex`.
    fn codex_in(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| self.sections.has_codex)
    }

    /// The text of `config.yaml` with `section`, the comment before it and all that other tools have in the file.
    fn with(&self, section: &str) -> Result<String, Failure> {
        let is_yaml = self
            .path
            .as_ref()
            .and_then(|path| path.extension())
            .is_some_and(|ending| ending == "yaml" || ending == "yml");
        let Some(path) = &self.path else {
            return Ok(format!("{HEADER}{section}"));
        };
        if is_yaml && !(self.text.trim().is_empty()) {
            return config::section::replaced(&self.text, section).ok_or_else(|| {
                let message = format!(
                    "the section `codex` of `{}` cannot be replaced alone",
                    shown(path)
                );
                refused(
                    message,
                    "write each section on lines of its own, or change it by hand",
                )
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
            "`{}` has other sections ({}), and only YAML files are changed",
            shown(path),
            others.join(", ")
        );
        Err(refused(
            message,
            "add a section `codex` with `organization`, `codex_repo` and `project` by hand",
        ))
    }
}

/// What a new file starts with.
const HEADER: &str = "# What this workspace publishes into the codex: `fractary codex sync --all`.\n\
     # Every key and its default: `fractary codex config show`; what a key means: `fractary codex config schema`.\n";

/// The project that `root` is of a workspace further out, and that workspace: a configuration of its own would be read
/// as a part of the workspace's.
fn covering(root: &Path, context: &Context) -> Result<Option<(String, PathBuf)>, Failure> {
    let outer = context.surroundings()?;
    let same = |directory: &Path| {
        directory
            .canonicalize()
            .is_ok_and(|directory| directory == *root)
    };
    let project = outer
        .members
        .into_iter()
        .find(|(_, member)| same(&member.directory));
    Ok(project
        .filter(|_| !same(&outer.root))
        .map(|(name, _)| (name, outer.root)))
}

/// The organization of this repository, or the one of every repository here; an error if a repository that could tell
/// cannot be read.
fn organization(root: &Path, members: &Members) -> Result<Option<String>, UnreadableRepository> {
    if let Some(own) = source_revision::organization(root)? {
        return Ok(Some(own));
    }
    let mut all = members
        .directories
        .iter()
        .map(|directory| source_revision::organization(directory))
        .collect::<Result<Vec<_>, _>>()?;
    all.dedup();
    match all.as_mut_slice() {
        [only] => Ok(only.take()),
        _ => Ok(None),
    }
}

/// The section `codex`.
fn configuration(
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
    let any = |is_there: &dyn Fn(&PathBuf) -> bool| samples.iter().any(is_there);
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

/// A plain word as it is, anything else between quotes.
fn quoted(text: &str) -> String {
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphabetic());
    if plain && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

/// The directories below a workspace that look like projects.
#[derive(Default)]
struct Members {
    globs: Vec<String>,
    directories: Vec<PathBuf>,
}

impl Members {
    /// `services/*` where two or more directories there have documentation of their own; else, where `root` is no
    /// repository but holds some, those.
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

fn documented(collection: &Path) -> Vec<PathBuf> {
    directories(collection)
        .into_iter()
        .filter(|project| has_documentation(project))
        .collect()
}

fn has_documentation(path: &Path) -> bool {
    DOCUMENTATION.iter().any(|name| path.join(name).is_dir()) || path.join("README.md").is_file()
}

/// Directories in name order, without hidden ones and those of package managers.
fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let hidden = |name: &str| {
        name.starts_with('.')
            || [
                "node_modules",
                "target",
                "vendor",
                "dist",
                "build",
                "docs",
                "doc",
                "examples",
                "tests",
            ]
            .contains(&name)
    };
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| !hidden(name) && name.parse::<ProjectName>().is_ok())
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
