//! `init`: a first configuration, from what is here.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::args::InitArgs;
use super::super::failure::{Failure, exit};
use super::super::load::Context;
use super::finish;
use crate::codex::source;
use crate::names::ProjectName;

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
    let existing = ["yaml", "yml", "toml", "json"].map(|extension| mark.join(format!("config.{extension}")));
    if let Some(there) = existing.iter().find(|path| path.exists())
        && !arguments.force
    {
        let hint = "change it by hand, or replace it with `--force`".to_owned();
        return Err(Failure::new(exit::USAGE, "usage", format!("`{}` is there already", there.display()), vec![hint]));
    }
    let organization = arguments.organization.clone().or_else(|| source::organization(&root));
    let text = configuration(arguments, &root, organization.as_deref());
    let path = mark.join("config.yaml");
    write(&mark, &path, &text).map_err(|error| {
        Failure::new(
            exit::CONFIGURATION,
            "configuration",
            format!("cannot write `{}`: {error}", path.display()),
            Vec::new(),
        )
    })?;
    let mut told = format!("wrote {}\n", path.display());
    if organization.is_none() {
        told.push_str("the organization could not be detected: set `organization` in it\n");
    }
    told.push_str("next: `fractary codex sync --all --dry-run` shows what would be published\n");
    Ok(told)
}

/// Whole or not at all.
fn write(directory: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

fn configuration(arguments: &InitArgs, root: &Path, organization: Option<&str>) -> String {
    let org = organization.unwrap_or("my-organization");
    let repo = arguments.codex_repo.clone().unwrap_or_else(|| format!("codex.{org}.com"));
    let remote = match &arguments.url {
        Some(url) => format!("  remote:\n    url: {}\n", quoted(url)),
        None => format!(
            "  # remote:\n  #   url: https://git.example.com/docs/codex.git   # default: https://github.com/{org}/{repo}.git\n"
        ),
    };
    let members = members(root);
    let projects = if members.is_empty() {
        let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.parse::<ProjectName>().map_or_else(|_| "my-project".to_owned(), |name| name.to_string());
        format!("  project: {}                     # this repository is one project\n", quoted(&name))
    } else {
        let globs = members.iter().map(|glob| quoted(glob)).collect::<Vec<_>>().join(", ");
        format!("  workspace:\n    members: [{globs}]     # each directory is a project, named after itself\n")
    };
    let sample = members.first().map_or(root.to_owned(), |glob| first_match(root, glob));
    let mut include: Vec<String> = DOCUMENTATION
        .iter()
        .filter(|name| sample.join(name).is_dir())
        .map(|name| quoted(&format!("{name}/**")))
        .collect();
    include.extend(FILES.iter().filter(|name| sample.join(name).is_file()).map(|name| quoted(name)));
    if include.is_empty() {
        include = ["docs/**", "README.md", "CLAUDE.md"].map(quoted).into();
    }
    format!(
        "# What this workspace publishes into the codex: `fractary codex sync --all`.\n\
         # Every key and its default: `fractary codex config show`; what a key means: `fractary codex config schema`.\n\
         codex:\n  organization: {}\n  codex_repo: {}\n{remote}\n{projects}\n  sync:\n    to_codex:\n      include: [{}]\n      \
         # exclude: [\"**/drafts/**\"]     # adds to the built-in excludes\n",
        quoted(org),
        quoted(&repo),
        include.join(", "),
    )
}

/// A plain word as it is, anything else between quotes.
fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphabetic());
    if plain && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

/// Globs of the directories that look like a collection of projects: `services/*` where two or more of its directories
/// have documentation of their own.
fn members(root: &Path) -> Vec<String> {
    let collections = directories(root)
        .into_iter()
        .filter(|directory| directories(directory).iter().filter(|project| has_documentation(project)).count() >= 2);
    let name = |path: PathBuf| Some(format!("{}/*", path.file_name()?.to_str()?));
    collections.filter_map(name).collect()
}

fn first_match(root: &Path, glob: &str) -> PathBuf {
    let collection = root.join(glob.trim_end_matches("/*"));
    directories(&collection).into_iter().find(|path| has_documentation(path)).unwrap_or(collection)
}

fn has_documentation(path: &Path) -> bool {
    DOCUMENTATION.iter().any(|name| path.join(name).is_dir()) || path.join("README.md").is_file()
}

/// Directories in name order, without hidden ones and those of package managers.
fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let hidden = |name: &str| {
        name.starts_with('.')
            || ["node_modules", "target", "vendor", "dist", "build", "docs", "doc", "examples", "tests"].contains(&name)
    };
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| !hidden(name) && name.parse::<ProjectName>().is_ok())
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
