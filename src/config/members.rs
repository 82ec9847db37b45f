//! The projects' own directories: which there are, and what their own files add to the workspace.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::explain::without_secrets;
use super::layers::Layer;
use super::location::{LayerKind, Location, Origin};
use super::model::RawConfig;
use super::problem::{Diagnostics, Problem};
use super::tree::{Node, key_path};
use super::{Loader, file};
use crate::glob::{self, Glob, InvalidGlob, Segment};
use crate::names::ProjectName;
use crate::paths::{absolute, resolved, shown};
use crate::platform::bytes_of;
use crate::url::RemoteUrl;

/// A project's own directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The directory, absolute.
    pub directory: PathBuf,
    /// Its own configuration file, if it has one.
    pub file: Option<PathBuf>,
    /// Where its name was given; nowhere, if it is the directory's.
    pub named_at: Option<Origin>,
}

/// The members by name, and the layer of what their files say.
pub(crate) struct Members {
    pub(crate) by_name: BTreeMap<String, Member>,
    pub(crate) layer: Layer,
}

/// Finds the directories of all projects and reads their files. `outline` is the configuration without this layer.
pub(crate) fn read(
    loader: &Loader<'_>,
    layers: &[Layer],
    outline: &RawConfig,
    diagnostics: &mut Diagnostics,
) -> Members {
    let root = &loader.root;
    let inside = resolved(root);
    let mut named: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (name, project) in &outline.projects {
        let default = || {
            if outline.project.as_ref() == Some(name) {
                root.clone()
            } else {
                absolute(root, Path::new(name))
            }
        };
        let directory = project.root.as_ref().map_or_else(default, PathBuf::from);
        let real = resolved(&directory);
        // A name that is not valid is reported as that.
        let is_named = project.root.is_some() || name.parse::<ProjectName>().is_err();
        if !is_named && !real.starts_with(&inside) {
            let at = layers
                .iter()
                .rev()
                .find_map(|layer| layer.tree.key_at(&["projects", name]));
            diagnostics
                .problems
                .push(outside(&directory, &real, &inside, name, at));
            continue;
        }
        named.entry(directory).or_insert_with(|| name.clone());
    }

    let named_roots: BTreeSet<PathBuf> = named.keys().map(|root| resolved(root)).collect();
    let list = layers.iter().rev().find_map(|layer| {
        layer
            .tree
            .get(&["workspace", "members"])
            .filter(|list| list.is_list())
    });
    let by_user = list.is_some_and(|list| list.at.source.authority().is_users());
    let matched = matching(root, layers, None, diagnostics);
    let mut unnamed = Vec::new();
    for directory in matched
        .into_iter()
        .filter(|directory| !named.contains_key(directory))
    {
        let real = resolved(&directory);
        if by_user || real.starts_with(&inside) {
            unnamed.push((directory, None));
        } else if !named_roots.contains(&real) {
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let at = list.map(|list| &list.at);
            diagnostics
                .problems
                .push(outside(&directory, &real, &inside, &name, at));
        }
    }
    let mut directories: Vec<(PathBuf, Option<String>)> = unnamed;
    directories.extend(
        named
            .into_iter()
            .map(|(directory, name)| (directory, Some(name))),
    );

    let files: Vec<(Option<File>, Diagnostics)> = directories
        .par_iter()
        .map(|(dir, _)| file_of(loader, dir))
        .collect();

    let whole = layers.first().map(|layer| layer.tree.at.clone());
    let mut tree = whole.map_or_else(
        || unreachable!("there are always defaults"),
        |at| Node::map(&at),
    );
    let own = Own::of(layers);
    let mut by_name: BTreeMap<String, Member> = BTreeMap::new();
    for ((directory, given), (file, more)) in directories.into_iter().zip(files) {
        diagnostics.problems.extend(more.problems);
        diagnostics.warnings.extend(more.warnings);
        let section = file.as_ref().and_then(|file| file.section.as_ref());
        if let Some(section) = section {
            own.compare(section, &mut diagnostics.problems);
            diagnostics.warnings.extend(without_effect(section));
        }
        let own_name = section.and_then(|section| section.get(&["project"]));
        let own_name =
            own_name.and_then(|node| Some((node.as_text()?.to_owned(), node.at.clone())));
        let (name, named_at) = match (given, own_name) {
            (Some(name), Some((other, at))) if name != other => {
                let message = format!(
                    "`project` is `{other}` here, but `{name}` in the workspace, which counts"
                );
                diagnostics
                    .warnings
                    .push(Problem::new(message).key("project").at(&at));
                (name, None)
            }
            (Some(name), own) => (name, own.map(|(_, at)| at)),
            (None, Some((name, at))) => (name, Some(at)),
            (None, None) => match directory.file_name().and_then(|name| name.to_str()) {
                Some(name) => (name.to_owned(), None),
                None => {
                    let message = format!("the name of {} is not UTF-8", Location::File(directory));
                    diagnostics.problems.push(
                        Problem::new(message).hint("give the project a name: `codex.project`"),
                    );
                    continue;
                }
            },
        };
        if let Some(sync) = section.and_then(|section| section.get(&["sync"])) {
            tree.set(&["projects", &name, "sync"], sync.clone());
        }
        let member = Member {
            directory,
            file: file.map(|file| file.path),
            named_at,
        };
        match by_name.entry(name) {
            MapEntry::Vacant(place) => {
                place.insert(member);
            }
            MapEntry::Occupied(first) => {
                // A name without a root of its own adds to the member that is called so.
                let explicit = outline
                    .projects
                    .get(first.key())
                    .is_some_and(|project| project.root.is_some());
                let is_default =
                    |member: &Member| member.directory == absolute(root, Path::new(first.key()));
                if !explicit
                    && outline.projects.contains_key(first.key())
                    && is_default(&member)
                    && member.file.is_none()
                {
                    continue;
                }
                diagnostics
                    .problems
                    .push(twice(first.key(), first.get(), &member));
            }
        }
    }
    Members {
        by_name,
        layer: Layer::new(LayerKind::Member, tree),
    }
}

/// A project's root that no explicit `root` names and that resolves outside the workspace.
fn outside(
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
    let hint = format!("if it is meant, name it: `{key}: {}`", shown(real));
    let problem = Problem::new(message).key(key).hint(hint);
    match at {
        Some(at) => problem.at(at),
        None => problem,
    }
}

fn twice(name: &str, first: &Member, second: &Member) -> Problem {
    let (one, other) = (
        Location::File(first.directory.clone()),
        Location::File(second.directory.clone()),
    );
    let problem = Problem::new(format!(
        "two directories are the project `{name}`: {one} and {other}"
    ));
    let problem = problem
        .hint("give one of them another name: `codex.project` in its `.fractary/config.yaml`");
    match second.named_at.as_ref().or(first.named_at.as_ref()) {
        Some(at) => problem.at(at),
        None => problem,
    }
}

/// The keys of a member's file that say nothing here, though they may where its directory is the workspace. `remotes` are
/// the older tool's.
fn without_effect(section: &Node) -> Option<Problem> {
    // A map of which nothing is left held older keys alone.
    let is_said = |node: &Node| node.as_map().is_none_or(|map| !map.is_empty());
    let keys = |node: &Node| -> Vec<String> {
        let entries = node.as_map().into_iter().flatten();
        entries
            .filter(|(_, entry)| is_said(&entry.node))
            .map(|(name, _)| name.clone())
            .collect()
    };
    let counts = ["project", "sync", "organization", "codex_repo", "remotes"];
    let mut paths: Vec<Vec<String>> = Vec::new();
    for name in keys(section)
        .into_iter()
        .filter(|name| !counts.contains(&name.as_str()))
    {
        if name == "remote" {
            let below = section
                .get(&[&name])
                .map(keys)
                .unwrap_or_default()
                .into_iter()
                .filter(|below| below != "url");
            paths.extend(below.map(|below| vec![name.clone(), below]));
        } else {
            paths.push(vec![name]);
        }
    }
    let at = section.key_at(paths.first()?)?;
    let named: Vec<String> = paths
        .iter()
        .map(|path| format!("`{}`", key_path(path)))
        .collect();
    let message = format!(
        "without effect in the file of a project of a workspace: {}",
        named.join(", ")
    );
    Some(
        Problem::new(message)
            .key(key_path(&paths[0]))
            .at(at)
            .hint("the workspace's own file can say it"),
    )
}

struct File {
    path: PathBuf,
    section: Option<Node>,
}

fn file_of(loader: &Loader<'_>, directory: &Path) -> (Option<File>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let own = directory.join(".fractary");
    // The workspace's own file is a layer already.
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
    let section = loader.section(
        &path,
        LayerKind::Member,
        directory,
        &mut diagnostics,
        &mut Vec::new(),
    );
    (Some(File { path, section }), diagnostics)
}

/// What the workspace itself says of the keys that a member must not say otherwise.
struct Own<'l> {
    values: Vec<(&'static [&'static str], &'l str, &'l Origin)>,
}

impl<'l> Own<'l> {
    fn of(layers: &'l [Layer]) -> Self {
        let keys: [&'static [&'static str]; 3] =
            [&["organization"], &["codex_repo"], &["remote", "url"]];
        let files = || {
            layers
                .iter()
                .rev()
                .filter(|l| (LayerKind::User..=LayerKind::Local).contains(&l.kind))
        };
        let value = |key: &'static [&'static str]| {
            let node = files().find_map(|layer| layer.tree.get(key))?;
            Some((key, node.as_text()?, &node.at))
        };
        Self {
            values: keys.into_iter().filter_map(value).collect(),
        }
    }

    fn compare(&self, section: &Node, problems: &mut Vec<Problem>) {
        for (key, expected, at) in &self.values {
            let Some(node) = section.get(key) else {
                continue;
            };
            let Some(given) = node.as_text() else {
                continue;
            };
            if given == *expected || same_remote(given, expected) {
                continue;
            }
            let written = key_path(key);
            let (given, expected) = (without_secrets(key, given), without_secrets(key, expected));
            let message =
                format!("`{written}` is `{given}` here, but the workspace says `{expected}`: {at}");
            let hint = "a project of a workspace is published where the workspace says; remove the key here";
            problems.push(Problem::new(message).key(written).at(&node.at).hint(hint));
        }
    }
}

/// Whether two URLs name one repository.
fn same_remote(one: &str, other: &str) -> bool {
    let parsed = |text: &str| {
        let url = RemoteUrl::parse(text, Path::new("/")).ok()?.for_git();
        let url = url.trim_end_matches('/');
        Some(url.strip_suffix(".git").unwrap_or(url).to_owned())
    };
    let is_url = |text: &str| text.contains(['/', ':']);
    is_url(one) && is_url(other) && parsed(one).is_some_and(|one| parsed(other) == Some(one))
}

/// The directories that `workspace.members` names and `workspace.exclude` does not, in order, each once. Where only
/// `one` is asked for, no other is looked at.
pub(crate) fn matching(
    root: &Path,
    layers: &[Layer],
    one: Option<&Path>,
    diagnostics: &mut Diagnostics,
) -> Vec<PathBuf> {
    let lists = |key: &'static str| {
        layers.iter().rev().filter_map(move |l| {
            l.tree
                .get(&["workspace", key])
                .filter(|node| node.is_list())
        })
    };
    let base = |node: &Node| {
        let base = &node.at.source.base;
        if base.as_os_str().is_empty() {
            root.to_owned()
        } else {
            base.clone()
        }
    };
    let mut excluded: Vec<(PathBuf, Glob)> = Vec::new();
    for node in lists("exclude").flat_map(Node::elements) {
        if let Some(glob) = compiled(node, "workspace.exclude", Glob::excluding, diagnostics) {
            excluded.push((base(node), glob));
        }
    }
    let mut search = Search {
        one,
        found: Vec::new(),
    };
    for node in lists("members").next().into_iter().flat_map(Node::elements) {
        let Some(glob) = compiled(node, "workspace.members", Glob::new, diagnostics) else {
            continue;
        };
        let before = search.found.len();
        search.add(&base(node), &glob);
        if search.found.len() == before {
            let pattern = glob.pattern();
            let message = format!("`workspace.members`: `{pattern}` matches no directory");
            let problem = Problem::new(message).key("workspace.members").at(&node.at);
            // A directory named outright is meant to be there; its project must not vanish in silence.
            let list = if glob::is_literal(pattern) {
                &mut diagnostics.problems
            } else {
                &mut diagnostics.warnings
            };
            list.push(problem);
        }
    }
    let mut found = search.found;
    found.sort();
    found.dedup();
    let is_excluded = |(base, glob): &(PathBuf, Glob), directory: &Path| {
        directory.strip_prefix(base).is_ok_and(|relative| {
            !relative.as_os_str().is_empty() && glob.matches(bytes_of(relative))
        })
    };
    found.retain(|directory| {
        !excluded
            .iter()
            .any(|excluded| is_excluded(excluded, directory))
    });
    found
}

/// Compiles the pattern of a list of directories, in which a trailing `/` means nothing.
fn compiled(
    node: &Node,
    key: &str,
    compile: impl Fn(&str) -> Result<Glob, InvalidGlob>,
    diagnostics: &mut Diagnostics,
) -> Option<Glob> {
    let pattern = node.as_text().unwrap_or_default().trim_end_matches('/');
    compile(pattern)
        .map_err(|error| {
            let problem = Problem::new(format!("`{key}`: {error}"));
            diagnostics.problems.push(problem.key(key).at(&node.at));
        })
        .ok()
}

/// The directories that patterns match, as they are found.
struct Search<'s> {
    one: Option<&'s Path>,
    found: Vec<PathBuf>,
}

impl Search<'_> {
    /// Adds the directories below `base` that match.
    fn add(&mut self, base: &Path, glob: &Glob) {
        for alternative in glob.alternatives() {
            match alternative.segments() {
                // A trailing `**`: everything below the directories that the rest matches.
                [above @ .., Segment::Any] if alternative.is_subtree() => {
                    let before = self.found.len();
                    self.expand(base, above, true);
                    for directory in self.found.split_off(before) {
                        self.add_below(&directory);
                    }
                }
                segments => self.expand(base, segments, true),
            }
        }
    }

    /// Adds the directories below `directory` that match `segments`, one segment per level. Hidden directories and
    /// `node_modules` are matched by their names, not by wildcards. Links are followed up to the first `**`.
    fn expand(&mut self, directory: &Path, segments: &[Segment], follow: bool) {
        let Some((segment, rest)) = segments.split_first() else {
            if directory.is_dir() {
                self.found.push(directory.to_owned());
            }
            return;
        };
        if *segment == Segment::Deep {
            self.expand(directory, rest, false);
            for path in self.subdirectories(directory, false, false) {
                self.expand(&path, segments, false);
            }
        } else if let Some(name) = segment.literal() {
            let path = directory.join(name);
            if follow || !path.is_symlink() {
                self.expand(&path, rest, follow);
            }
        } else {
            for path in self.subdirectories(directory, follow, segment.is_hidden()) {
                let name = path.file_name().map(Path::new).map(bytes_of);
                if name.is_some_and(|name| segment.matches(name)) {
                    self.expand(&path, rest, follow);
                }
            }
        }
    }

    fn add_below(&mut self, directory: &Path) {
        for path in self.subdirectories(directory, false, false) {
            self.add_below(&path);
            self.found.push(path);
        }
    }

    /// The directories in `directory` that a wildcard may mean, links to directories with them if `follow`, hidden
    /// ones if `hidden`. One that cannot be read has none.
    fn subdirectories(&self, directory: &Path, follow: bool, hidden: bool) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let wanted = entries.filter_map(|entry| {
            let path = entry.path();
            let name = entry.file_name();
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            if (is_hidden && !hidden) || name == "node_modules" {
                return None;
            }
            self.one
                .is_none_or(|one| one.starts_with(&path))
                .then_some(())?;
            let kind = entry.file_type().ok()?;
            (kind.is_dir() || (follow && kind.is_symlink() && path.is_dir())).then_some(path)
        });
        wanted.collect()
    }
}
