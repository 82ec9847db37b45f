//! Generated workspaces and codexes.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use super::spec::NAMES;

pub(super) type Bytes = Vec<u8>;

/// Several projects that are synced together.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) projects: Vec<Project>,
    pub(super) guard: Guard,
}

/// The guard's flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Guard {
    Configured,
    AtMost(u64),
    AtMostPercent(u64),
    Lifted,
}

#[derive(Debug, Clone)]
pub(super) struct Project {
    pub(super) name: String,
    pub(super) to: String,
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) default_excludes: bool,
    pub(super) prune: bool,
    pub(super) symlinks: Symlinks,
    pub(super) max_size: Option<usize>,
    /// Files and percent of `delete_guard`.
    pub(super) guard: (u64, u64),
    pub(super) source: BTreeMap<Bytes, Node>,
    /// Mode and content below the project's place.
    pub(super) codex: BTreeMap<Bytes, (String, Bytes)>,
    /// Whether the place itself is a file in the codex.
    pub(super) place_is_a_file: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) exclude: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symlinks {
    FollowInside,
    Skip,
    Preserve,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    File { content: Bytes, executable: bool },
    Link(Target),
    Pipe,
}

#[derive(Debug, Clone)]
pub(super) enum Target {
    File(Bytes),
    Directory(Bytes),
    OutsideFile,
    OutsideDirectory,
    Nowhere,
}

impl Target {
    /// The text of a link at `path`, which must not be reached through another link.
    pub(super) fn text(&self, path: &[u8]) -> String {
        let up = "../".repeat(path.iter().filter(|byte| **byte == b'/').count());
        let text = |path: &[u8]| String::from_utf8(path.to_vec()).unwrap();
        match self {
            Self::File(path) | Self::Directory(path) if path.is_empty() => format!("{up}."),
            Self::File(path) | Self::Directory(path) => format!("{up}{}", text(path)),
            Self::OutsideFile => format!("{up}../outside/a.md"),
            Self::OutsideDirectory => format!("{up}../outside"),
            Self::Nowhere => "nowhere".to_owned(),
        }
    }
}

impl Project {
    /// Its entry under `projects`.
    pub(super) fn configuration(&self) -> Value {
        let mut sync = json!({
            "to_codex": { "include": self.include, "exclude": self.exclude },
            "default_excludes": self.default_excludes,
            "prune": self.prune,
            "symlinks": match self.symlinks {
                Symlinks::FollowInside => "follow-inside",
                Symlinks::Skip => "skip",
                Symlinks::Preserve => "preserve",
            },
            "delete_guard": { "files": self.guard.0, "percent": self.guard.1 },
        });
        if let Some(limit) = self.max_size {
            sync["max_file_size"] = format!("{limit}B").into();
        }
        let mappings = self.mappings.iter().map(
            |Mapping { from, to, exclude }| json!({ "from": from, "to": to, "exclude": exclude }),
        );
        json!({ "to": self.to, "sync": sync, "mappings": mappings.collect::<Vec<_>>() })
    }
}

pub(super) fn case(rng: &mut Rng) -> Case {
    let guard = match rng.u8(0..10) {
        0 => Guard::AtMost(rng.u64(0..4)),
        1 => Guard::AtMostPercent(rng.u64(0..=100)),
        2..5 => Guard::Lifted,
        _ => Guard::Configured,
    };
    let projects = (0..6).map(|number| project(rng, number)).collect();
    Case { projects, guard }
}

fn project(rng: &mut Rng, number: usize) -> Project {
    let symlinks = match rng.u8(0..6) {
        0 => Symlinks::Skip,
        1 => Symlinks::Preserve,
        _ => Symlinks::FollowInside,
    };
    let mut source: BTreeMap<Bytes, Node> = BTreeMap::new();
    for _ in 0..rng.usize(0..9) {
        let path = path(rng);
        if fits(source.keys(), &path) {
            source.insert(path, file(rng));
        }
    }
    for _ in 0..rng.usize(0..3) {
        let path = path(rng);
        if fits(source.keys(), &path) {
            let node = link_or_pipe(rng, &source);
            source.insert(path, node);
        }
    }
    let paths: Vec<Bytes> = source.keys().cloned().collect();
    let include = (0..rng.usize(0..3)).map(|_| pattern(rng, &paths)).collect();
    let exclude = (0..rng.usize(0..3)).map(|_| pattern(rng, &paths)).collect();
    let mappings = (0..rng.usize(0..3)).map(|_| mapping(rng, &paths)).collect();
    let mut project = Project {
        name: format!("p{number}"),
        to: ["projects", "x/y"][rng.usize(0..2)].to_owned() + &format!("/p{number}"),
        include,
        exclude,
        mappings,
        default_excludes: rng.bool(),
        prune: rng.u8(0..4) == 0,
        symlinks,
        max_size: (rng.u8(0..4) == 0).then_some(2),
        guard: [(20, 50), (1, 30), (0, 0), (2, 60)][rng.usize(0..4)],
        source,
        codex: BTreeMap::new(),
        place_is_a_file: rng.u8(0..60) == 0,
    };
    if !project.place_is_a_file {
        project.codex = codex(rng, &project);
    }
    project
}

/// Whether a file can be at `path` beside the others.
fn fits<'p>(mut others: impl Iterator<Item = &'p Bytes>, path: &[u8]) -> bool {
    let below = |a: &[u8], b: &[u8]| {
        a.strip_prefix(b)
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    };
    others.all(|other| !below(path, other) && !below(other, path))
}

fn name(rng: &mut Rng) -> Bytes {
    match rng.u8(0..40) {
        0 => b".gitmodules".to_vec(),
        1..12 => ["docs", "lib", "a"][rng.usize(0..3)].into(),
        _ => NAMES[rng.usize(0..13)].to_vec(),
    }
}

fn path(rng: &mut Rng) -> Bytes {
    let names: Vec<_> = (0..rng.usize(1..4)).map(|_| name(rng)).collect();
    names.join(&b'/')
}

fn content(rng: &mut Rng) -> Bytes {
    ["1", "2", "large"][rng.choice(0..5).unwrap_or(0).min(2)].into()
}

fn file(rng: &mut Rng) -> Node {
    Node::File {
        content: content(rng),
        executable: rng.u8(0..5) == 0,
    }
}

fn link_or_pipe(rng: &mut Rng, source: &BTreeMap<Bytes, Node>) -> Node {
    let is_text = |path: &[u8]| std::str::from_utf8(path).is_ok();
    let files: Vec<_> = source
        .iter()
        .filter(|(path, node)| matches!(node, Node::File { .. }) && is_text(path))
        .map(|(path, _)| path.clone())
        .collect();
    let above = |path: &Bytes| {
        path.iter()
            .rposition(|byte| *byte == b'/')
            .map(|slash| path[..slash].to_vec())
    };
    let directories: Vec<_> = files
        .iter()
        .filter_map(above)
        .chain([Bytes::new()])
        .collect();
    match rng.u8(0..12) {
        0..3 if !files.is_empty() => {
            Node::Link(Target::File(files[rng.usize(0..files.len())].clone()))
        }
        3..6 => Node::Link(Target::Directory(
            directories[rng.usize(0..directories.len())].clone(),
        )),
        6 | 7 => Node::Link(Target::OutsideFile),
        8 | 9 => Node::Link(Target::OutsideDirectory),
        10 => Node::Pipe,
        _ => Node::Link(Target::Nowhere),
    }
}

/// A pattern: often one that matches one of `paths`.
fn pattern(rng: &mut Rng, paths: &[Bytes]) -> String {
    let made_up = path(rng);
    let model = if paths.is_empty() || rng.u8(0..4) == 0 {
        &made_up
    } else {
        &paths[rng.usize(0..paths.len())]
    };
    let names: Vec<_> = model.split(|byte| *byte == b'/').collect();
    let cut = if rng.bool() {
        names.len()
    } else {
        rng.usize(1..=names.len())
    };
    let mut segments: Vec<String> = names[..cut].iter().map(|name| segment(rng, name)).collect();
    match rng.u8(0..8) {
        0 => segments[0] = "**".to_owned(),
        1 => segments.insert(rng.usize(0..=segments.len()), "**".to_owned()),
        2 | 3 => segments.push("**".to_owned()),
        4 => segments.push("*".to_owned()),
        _ => {}
    }
    if rng.u8(0..12) == 0 && segments.len() > 1 {
        let last = segments.pop().unwrap();
        let above = segments.pop().unwrap();
        segments.push(format!("{{{above}/{last},lib}}"));
    }
    let mut pattern = segments.join("/");
    if rng.u8(0..6) == 0 {
        pattern.push('/');
    }
    if rng.u8(0..12) == 0 {
        pattern.insert_str(0, "./");
    }
    pattern
}

fn segment(rng: &mut Rng, name: &[u8]) -> String {
    let Ok(name) = std::str::from_utf8(name) else {
        return ["?.md", "[!a].md", "*"][rng.usize(0..3)].to_owned();
    };
    let first = name.chars().next().unwrap();
    let rest = &name[first.len_utf8()..];
    match rng.u8(0..16) {
        0 => "*".to_owned(),
        1 => format!("?{rest}"),
        2 => format!("[{first}z]{rest}"),
        3 => format!("[!z]{rest}"),
        4 => format!("[!{first}]{rest}"),
        5 => format!("{{{name},zz}}"),
        6 => format!("{first}*"),
        7 => "*.md".to_owned(),
        8 => "*[!_]*.md".to_owned(),
        9 => "[+-9a-zä-ü]*".to_owned(),
        10 => format!("{{**,{name}}}"),
        11 => format!("{{lib/{name},{name}}}"),
        _ => name.to_owned(),
    }
}

fn mapping(rng: &mut Rng, paths: &[Bytes]) -> Mapping {
    let to = ["m/", "docs/", "a/b/", "one.md", "a", "docs/a.md", "lib/"][rng.usize(0..7)];
    let mut from = pattern(rng, paths);
    // What could fill a file is found by trying all paths of three names.
    while !to.ends_with('/') && from.matches('/').count() > 2 {
        from = pattern(rng, paths);
    }
    Mapping {
        from,
        to: to.to_owned(),
        exclude: (0..rng.usize(0..5) / 3)
            .map(|_| pattern(rng, paths))
            .collect(),
    }
}

/// A state of the codex: some of what the sources would become, some of it changed, and other
/// entries.
fn codex(rng: &mut Rng, project: &Project) -> BTreeMap<Bytes, (String, Bytes)> {
    let mut entries: BTreeMap<Bytes, (String, Bytes)> = BTreeMap::new();
    let mut candidates: Vec<Bytes> = (0..rng.usize(0..6)).map(|_| path(rng)).collect();
    for path in project.source.keys() {
        let prefix = ["", "", "", "m/", "docs/", "lib/"][rng.usize(0..6)];
        let below = if rng.u8(0..6) == 0 { "/x.md" } else { "" };
        if rng.bool() {
            candidates.push([prefix.as_bytes(), path, below.as_bytes()].concat());
        }
    }
    candidates.extend(
        ["one.md", "a", "docs/a.md"]
            .iter()
            .filter(|_| rng.u8(0..3) == 0)
            .map(|path| path.as_bytes().to_vec()),
    );
    for path in candidates {
        if !fits(entries.keys(), &path) {
            continue;
        }
        let entry = match (rng.u8(0..30), project.source.get(&path)) {
            (0, _) => ("120000", b"elsewhere".to_vec()),
            (1, _) => (
                "160000",
                b"1234567890123456789012345678901234567890".to_vec(),
            ),
            (
                2..20,
                Some(Node::File {
                    content,
                    executable,
                }),
            ) => (
                if *executable { "100755" } else { "100644" },
                content.clone(),
            ),
            _ => ("100644", content(rng)),
        };
        entries.insert(path, (entry.0.to_owned(), entry.1));
    }
    entries
}
