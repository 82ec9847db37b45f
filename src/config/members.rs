//! The projects' own directories, and what their own files add to the workspace's configuration.

use std::cell::LazyCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::compat::ignored_in_member;
use super::diagnostics::Diagnostics;
use super::layers::{Layer, Layers};
use super::loader::Loader;
use super::location::{LayerKind, Origin};
use super::model::RawConfig;
use super::problem::Problem;
use super::tree::{Node, key_path};
use super::values::without_secrets;
use super::{file, member_search};
use crate::names::ProjectName;
use crate::paths::{FRACTARY_DIR, PathResolver, absolute, resolved, shown};
use crate::url::RemoteUrl;

/// A project's own directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The directory, absolute.
    pub directory: PathBuf,
    /// The configuration file in the member's directory, if there is one.
    pub file: Option<PathBuf>,
    /// The origin of the project's name; `None` if it is the name of the directory.
    pub named_at: Option<Origin>,
}

/// The members by name, and the layer of their files.
pub(crate) struct MemberLayer {
    pub(crate) by_name: BTreeMap<String, Member>,
    pub(crate) layer: Layer,
}

/// Finds the directories of all projects and reads their files. `outline` is the configuration
/// without the members' files.
pub(crate) fn read(
    loader: &Loader<'_>,
    layers: &Layers,
    outline: &RawConfig,
    diagnostics: &mut Diagnostics,
) -> MemberLayer {
    let directories = project_directories(loader, layers, outline, diagnostics);
    let files: Vec<(Option<MemberFile>, Diagnostics)> = directories
        .par_iter()
        .map(|(directory, _)| MemberFile::read(loader, directory))
        .collect();

    let settings = WorkspaceSettings::of(layers);
    let mut tree = layers.root();
    let mut by_name = BTreeMap::new();
    for ((directory, given_name), (file, reported)) in directories.into_iter().zip(files) {
        diagnostics.problems.extend(reported.problems);
        diagnostics.warnings.extend(reported.warnings);
        let section = file.as_ref().and_then(|file| file.section.as_ref());
        if let Some(section) = section {
            settings.check_member(section, &mut diagnostics.problems);
            diagnostics.warnings.extend(ignored_keys(section));
        }

        let name = name_of(&directory, given_name, section, diagnostics);
        let Some((name, named_at)) = name else {
            continue;
        };
        if let Some(sync) = section.and_then(|section| section.get(&["sync"])) {
            tree.set(&["projects", &name, "sync"], sync.clone());
        }
        let member = Member {
            directory,
            file: file.map(|file| file.path),
            named_at,
        };
        add(&mut by_name, name, member, loader, outline, diagnostics);
    }
    MemberLayer {
        by_name,
        layer: Layer::new(LayerKind::Member, tree),
    }
}

/// The directories of all projects, with the name if the configuration gives one. The directories
/// without a name are first.
fn project_directories(
    loader: &Loader<'_>,
    layers: &Layers,
    outline: &RawConfig,
    diagnostics: &mut Diagnostics,
) -> Vec<(PathBuf, Option<String>)> {
    let named = named_directories(loader, layers, outline, diagnostics);
    let unnamed = unnamed_directories(loader, layers, &named, diagnostics);

    let unnamed = unnamed.into_iter().map(|directory| (directory, None));
    let named = named.into_iter();
    let named = named.map(|(directory, name)| (directory, Some(name)));
    unnamed.chain(named).collect()
}

/// The directories of the projects that the configuration names, with their names. A directory
/// outside the workspace needs an explicit `root`.
fn named_directories(
    loader: &Loader<'_>,
    layers: &Layers,
    outline: &RawConfig,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<PathBuf, String> {
    let workspace = resolved(&loader.root);
    let directories = outline
        .projects
        .iter()
        .map(|(name, project)| match &project.root {
            Some(root) => PathBuf::from(root),
            None if outline.project.as_ref() == Some(name) => loader.root.clone(),
            None => absolute(&loader.root, Path::new(name)),
        });
    let directories: Vec<_> = directories.collect();
    let real_ones = PathResolver::resolve_all(directories.iter().map(PathBuf::as_path));
    let mut named = BTreeMap::new();
    let places = directories.into_iter().zip(real_ones);
    for ((name, project), (directory, real)) in outline.projects.iter().zip(places) {
        // An invalid name is reported later, as such.
        let is_invalid = name.parse::<ProjectName>().is_err();
        if project.root.is_none() && !is_invalid && !real.starts_with(&workspace) {
            let at = layers.key_origin(&["projects", name]);
            let problem = outside_workspace(&directory, &real, &workspace, name, at);
            diagnostics.problems.push(problem);
            continue;
        }
        named.entry(directory).or_insert_with(|| name.clone());
    }
    named
}

/// The directories that `workspace.members` matches, other than the `named` ones. A directory
/// outside the workspace is only accepted if the user or the run gives `workspace.members`.
fn unnamed_directories(
    loader: &Loader<'_>,
    layers: &Layers,
    named: &BTreeMap<PathBuf, String>,
    diagnostics: &mut Diagnostics,
) -> Vec<PathBuf> {
    let workspace = resolved(&loader.root);
    let list = layers.list(&["workspace", "members"]);
    let is_user_or_run = list.is_some_and(|list| list.at.source.authority().is_user_or_run());

    let named_roots = LazyCell::new(|| -> BTreeSet<PathBuf> {
        let roots = PathResolver::resolve_all(named.keys().map(PathBuf::as_path));
        roots.into_iter().collect()
    });
    let mut matched = member_search::member_directories(&loader.root, layers, None, diagnostics);
    matched.retain(|directory| !named.contains_key(directory));
    let resolved_ones = PathResolver::resolve_all(matched.iter().map(PathBuf::as_path));

    let mut unnamed = Vec::new();
    for (directory, real) in matched.into_iter().zip(resolved_ones) {
        if is_user_or_run || real.starts_with(&workspace) {
            unnamed.push(directory);
        } else if !named_roots.contains(&real) {
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let at = list.map(|list| &list.at);
            let problem = outside_workspace(&directory, &real, &workspace, &name, at);
            diagnostics.problems.push(problem);
        }
    }
    unnamed
}

/// The error for a project's root that resolves to a directory outside the workspace and that no
/// explicit `root` names.
fn outside_workspace(
    directory: &Path,
    real: &Path,
    workspace: &Path,
    name: &str,
    at: Option<&Origin>,
) -> Problem {
    let message = format!(
        "the root `{}` of a project resolves to `{}`, which is outside the workspace `{}`",
        shown(directory),
        shown(real),
        shown(workspace)
    );
    let key = key_path(&["projects", name, "root"]);
    let hint = format!("if this is intended, set `{key}: {}`", shown(real));
    Problem::new(message).key(key).hint(hint).maybe_at(at)
}

/// The configuration file of a member.
struct MemberFile {
    path: PathBuf,
    section: Option<Node>,
}

impl MemberFile {
    /// Reads the file in `directory`, if there is one. The workspace's own file is not read again.
    fn read(loader: &Loader<'_>, directory: &Path) -> (Option<Self>, Diagnostics) {
        let mut diagnostics = Diagnostics::default();
        let own = directory.join(FRACTARY_DIR);
        if *directory == loader.root || !own.is_dir() {
            return (None, diagnostics);
        }
        let Some(path) = file::find(&own, "config", &mut diagnostics.problems) else {
            return (None, diagnostics);
        };
        let holders = [directory, loader.root.as_path()];
        if let Err(problem) = loader.ownership.check(&path, LayerKind::Member, &holders) {
            diagnostics.problems.push(problem);
            return (None, diagnostics);
        }

        let section = loader.section(LayerKind::Member, &path, directory, &mut diagnostics);
        (Some(Self { path, section }), diagnostics)
    }
}

/// Returns the name of the project in `directory`, and its origin. The name that the workspace
/// gives (`given`) takes precedence over that of the member's own file, and this one over the name
/// of the directory.
fn name_of(
    directory: &Path,
    given: Option<String>,
    section: Option<&Node>,
    diagnostics: &mut Diagnostics,
) -> Option<(String, Option<Origin>)> {
    let own = section
        .and_then(|section| section.get(&["project"]))
        .and_then(|node| Some((node.as_text()?.to_owned(), node.at.clone())));
    match (given, own) {
        (Some(name), Some((other, at))) if name != other => {
            let message = format!("`project` is `{other}` here, but the workspace uses `{name}`");
            let problem = Problem::new(message).key("project").at(&at);
            diagnostics.warnings.push(problem);
            Some((name, None))
        }
        (Some(name), own) => Some((name, own.map(|(_, at)| at))),
        (None, Some((name, at))) => Some((name, Some(at))),
        (None, None) => {
            let name = directory.file_name().and_then(|name| name.to_str());
            if name.is_none() {
                let message = format!("the directory name of {} is not UTF-8", shown(directory));
                let hint = "give the project a name: set `codex.project`";
                diagnostics.problems.push(Problem::new(message).hint(hint));
            }
            Some((name?.to_owned(), None))
        }
    }
}

/// Adds a member, unless another one has the same name.
fn add(
    by_name: &mut BTreeMap<String, Member>,
    name: String,
    member: Member,
    loader: &Loader<'_>,
    outline: &RawConfig,
    diagnostics: &mut Diagnostics,
) {
    let first = match by_name.entry(name) {
        Entry::Vacant(vacant) => {
            vacant.insert(member);
            return;
        }
        Entry::Occupied(first) => first,
    };

    // A project without an own `root` is the same as the member of its name: it adds settings to
    // that member.
    let name = first.key();
    let adds_settings = outline
        .projects
        .get(name)
        .is_some_and(|project| project.root.is_none())
        && member.directory == absolute(&loader.root, Path::new(name))
        && member.file.is_none();
    if !adds_settings {
        let problem = same_name(name, first.get(), &member);
        diagnostics.problems.push(problem);
    }
}

fn same_name(name: &str, first: &Member, second: &Member) -> Problem {
    let message = format!(
        "two directories have the project name `{name}`: {} and {}",
        shown(&first.directory),
        shown(&second.directory)
    );
    let hint = "rename one of them: set `codex.project` in its `.fractary/config.yaml`";
    let at = second.named_at.as_ref().or(first.named_at.as_ref());
    Problem::new(message).hint(hint).maybe_at(at)
}

/// The keys that are read from a member's file. `remotes` belongs to the older tool.
const MEMBER_KEYS: [&str; 5] = ["project", "sync", "organization", "codex_repo", "remotes"];

/// The warning about keys of a member's file that are ignored. The member can be a workspace of its
/// own at other times, so they are not errors.
fn ignored_keys(section: &Node) -> Option<Problem> {
    // A map that became empty had only older keys, which were reported.
    let is_filled = |node: &Node| node.as_map().is_none_or(|map| !map.is_empty());
    let keys = |node: &Node| -> Vec<String> {
        let entries = node.as_map().into_iter().flatten();
        entries
            .filter(|(_, entry)| is_filled(&entry.node))
            .map(|(name, _)| name.clone())
            .collect()
    };

    let mut paths: Vec<Vec<String>> = Vec::new();
    for name in keys(section) {
        if MEMBER_KEYS.contains(&name.as_str()) {
            continue;
        }
        if name != "remote" {
            paths.push(vec![name]);
            continue;
        }
        // `remote.url` is compared with that of the workspace.
        let below = section.get(&[&name]).map(keys).unwrap_or_default();
        let ignored = below.into_iter().filter(|below| below != "url");
        paths.extend(ignored.map(|below| vec![name.clone(), below]));
    }

    let at = section.key_at(paths.first()?)?;
    let shown: Vec<String> = paths
        .iter()
        .map(|path| format!("`{}`", key_path(path)))
        .collect();
    Some(ignored_in_member(
        &shown.join(", "),
        key_path(&paths[0]),
        at,
    ))
}

/// The workspace's values of the keys that a member must not set differently.
struct WorkspaceSettings<'l> {
    values: Vec<(&'static [&'static str], &'l str, &'l Origin)>,
}

impl<'l> WorkspaceSettings<'l> {
    fn of(layers: &'l Layers) -> Self {
        const KEYS: [&[&str]; 3] = [&["organization"], &["codex_repo"], &["remote", "url"]];
        let is_file = |kind| (LayerKind::User..=LayerKind::Local).contains(&kind);

        let value = |key: &'static [&'static str]| {
            let candidates = layers.candidates(key);
            let in_file = candidates.into_iter().find(|one| is_file(one.layer))?;
            Some((key, in_file.node.as_text()?, &in_file.node.at))
        };
        Self {
            values: KEYS.into_iter().filter_map(value).collect(),
        }
    }

    /// Reports the keys whose values in `section`, the member's file, differ from the workspace's.
    fn check_member(&self, section: &Node, problems: &mut Vec<Problem>) {
        for (key, expected, at) in &self.values {
            let Some(node) = section.get(key) else {
                continue;
            };
            let Some(given) = node.as_text() else {
                continue;
            };
            if given == *expected || is_same_remote(given, expected) {
                continue;
            }

            let written = key_path(key);
            let message = format!(
                "`{written}` is `{}` here, but `{}` in the workspace: {at}",
                without_secrets(key, given),
                without_secrets(key, expected)
            );
            let hint = "members use the workspace's codex; remove this key, or correct the workspace's value";
            problems.push(Problem::new(message).key(written).at(&node.at).hint(hint));
        }
    }
}

/// Whether two URLs name the same repository, with or without `.git`.
fn is_same_remote(one: &str, other: &str) -> bool {
    let parsed = |text: &str| {
        let url = RemoteUrl::parse(text, Path::new("/")).ok()?.for_git();
        let url = url.trim_end_matches('/');
        Some(url.strip_suffix(".git").unwrap_or(url).to_owned())
    };
    let is_url = |text: &str| text.contains(['/', ':']);
    is_url(one) && is_url(other) && parsed(one).is_some_and(|one| parsed(other) == Some(one))
}
