//! A specification of ownership, written from the rules that users are promised and sharing no code
//! with the program.
//!
//! It favours obviousness over speed: patterns are expanded as text, matched recursively, and
//! questions such as "can a file below this directory match" are answered by trying every path over
//! a small set of names.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{Bytes, Guard, Mapping, Node, Project, Symlinks, Target};

/// The names that generated trees and patterns are made of, and some that no pattern names.
pub(super) const NAMES: [&[u8]; 16] = [
    b"docs",
    b"lib",
    b"a",
    b"b",
    b"a.md",
    b"b.md",
    b"B.md",
    b"_a.md",
    "ü.md".as_bytes(),
    "äü".as_bytes(),
    b"\xff.md",
    b".env",
    b"x.log",
    b"zz",
    b"z.md",
    b"q",
];

const DEFAULT_EXCLUDES: [&str; 9] = [
    "**/node_modules",
    "**/.git",
    "**/.DS_Store",
    "**/Thumbs.db",
    "**/*.log",
    "**/.env*",
    "**/dist",
    "**/build",
    "**/coverage",
];

// Patterns.

/// The texts that a pattern with braces stands for.
fn expand(pattern: &str) -> Vec<String> {
    let Some(open) = pattern.find('{') else {
        return vec![pattern.to_owned()];
    };
    let (mut depth, mut start, mut choices) = (0, open + 1, Vec::new());
    for (at, c) in pattern.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => {
                choices.push(&pattern[start..at]);
                start = at + 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    choices.push(&pattern[start..at]);
                    let (before, after) = (&pattern[..open], &pattern[at + 1..]);
                    let texts = choices
                        .iter()
                        .map(|choice| format!("{before}{choice}{after}"));
                    return texts.flat_map(|text| expand(&text)).collect();
                }
            }
            _ => {}
        }
    }
    panic!("an unclosed brace in {pattern}")
}

/// Characters; a byte that is not part of one is a number that no character has.
fn characters(name: &[u8]) -> Vec<u32> {
    let mut found = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let length =
            (1..=rest.len().min(4)).find(|length| std::str::from_utf8(&rest[..*length]).is_ok());
        let c = match length {
            Some(length) => std::str::from_utf8(&rest[..length])
                .unwrap()
                .chars()
                .next()
                .unwrap() as u32,
            None => 0x0100_0000 + u32::from(rest[0]),
        };
        found.push(c);
        rest = &rest[length.unwrap_or(1)..];
    }
    found
}

fn name_matches(pattern: &[char], name: &[u32]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|taken| name_matches(rest, &name[taken..])),
        ['?', rest @ ..] => !name.is_empty() && name_matches(rest, &name[1..]),
        ['[', class @ ..] => {
            let Some((first, others)) = name.split_first() else {
                return false;
            };
            let negated = class[0] == '!';
            let class = &class[usize::from(negated)..];
            let end = class.iter().position(|c| *c == ']').unwrap();
            let mut holds = false;
            let mut at = 0;
            while at < end {
                let range = at + 2 < end && class[at + 1] == '-';
                let last = class[if range { at + 2 } else { at }];
                holds |= (class[at] as u32..=last as u32).contains(first);
                at += if range { 3 } else { 1 };
            }
            holds != negated && name_matches(&class[end + 1..], others)
        }
        [c, rest @ ..] => name.first() == Some(&(*c as u32)) && name_matches(rest, &name[1..]),
    }
}

/// Matches segments. A trailing `**` matches at least one name, or, for directories, none as well.
fn segments_match(pattern: &[&str], path: &[&[u8]], empty_tail: bool) -> bool {
    match (pattern, path) {
        ([], _) => path.is_empty(),
        (["**"], []) => empty_tail,
        (["**", rest @ ..], _) => {
            (!rest.is_empty() && segments_match(rest, path, empty_tail))
                || (rest.is_empty() && path.len() == 1)
                || (!path.is_empty() && segments_match(pattern, &path[1..], empty_tail))
        }
        (_, []) => false,
        ([one, rest @ ..], [name, names @ ..]) => {
            name_matches(&one.chars().collect::<Vec<_>>(), &characters(name))
                && segments_match(rest, names, empty_tail)
        }
    }
}

fn split(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| *byte == b'/').collect()
}

fn is_literal(segment: &str) -> bool {
    !segment.contains(['*', '?', '[', '{'])
}

/// Whether a pattern matches the path, or one of the directories above it where the pattern covers
/// directories.
fn matches(pattern: &str, path: &[u8], covers: impl Fn(&str) -> bool) -> bool {
    let names = split(path);
    expand(pattern.trim_start_matches("./")).iter().any(|text| {
        let only_directories = text.ends_with('/');
        let segments: Vec<_> = text.trim_end_matches('/').split('/').collect();
        let itself = !only_directories && segments_match(&segments, &names, false);
        let above = (only_directories || covers(segments[segments.len() - 1]))
            && (1..names.len())
                .any(|depth| segments_match(&segments, &names[..depth], only_directories));
        itself || above
    })
}

/// Whether an include or a mapping selects the file.
fn selects(pattern: &str, path: &[u8]) -> bool {
    matches(pattern, path, is_literal)
}

/// Whether an exclude leaves the file out.
fn excludes(pattern: &str, path: &[u8]) -> bool {
    matches(pattern, path, |_| true)
}

/// Some paths that a pattern matches, with names that no other pattern names.
fn instances(pattern: &str) -> Vec<Bytes> {
    let mut found = Vec::new();
    for text in expand(pattern.trim_start_matches("./")) {
        let mut paths = vec![String::new()];
        for segment in text.split('/') {
            let choices = match segment {
                "**" => ["", "/zq", "/Q", "/zq/yq"].map(str::to_owned).to_vec(),
                "" => ["/zq", "/Q"].map(str::to_owned).to_vec(),
                segment => names_of(segment)
                    .into_iter()
                    .map(|name| format!("/{name}"))
                    .collect(),
            };
            let longer = |path: &String| {
                choices
                    .iter()
                    .map(|choice| format!("{path}{choice}"))
                    .collect::<Vec<_>>()
            };
            paths = paths.iter().flat_map(longer).collect();
        }
        let paths = paths
            .iter()
            .map(|path| path.trim_start_matches('/').as_bytes().to_vec());
        found.extend(paths.filter(|path| !path.is_empty() && selects(pattern, path)));
    }
    found
}

/// Some names that a segment matches.
fn names_of(segment: &str) -> Vec<String> {
    ['q', 'z', 'ä', 'Q', '_']
        .iter()
        .map(|other| {
            let mut name = String::new();
            let mut rest = segment;
            while let Some(c) = rest.chars().next() {
                let mut length = c.len_utf8();
                match c {
                    '*' | '?' => name.push(*other),
                    '[' => {
                        length = rest.find(']').unwrap() + 1;
                        let first = rest[1..].chars().next().unwrap();
                        name.push(if first == '!' { *other } else { first });
                    }
                    c => name.push(c),
                }
                rest = &rest[length..];
            }
            name
        })
        .collect()
}

// Rules.

/// An include or a mapping, read as a user reads it.
struct Rule {
    from: String,
    lead: Bytes,
    to: String,
    exclude: Vec<String>,
}

impl Rule {
    fn of(project: &Project) -> Vec<Self> {
        let includes = project.include.iter().map(|pattern| Self {
            from: pattern.clone(),
            lead: Bytes::new(),
            to: "/".to_owned(),
            exclude: project.excludes(),
        });
        let mappings = project
            .mappings
            .iter()
            .map(|Mapping { from, to, exclude }| Self {
                lead: lead(from),
                from: from.clone(),
                to: to.clone(),
                exclude: project
                    .excludes()
                    .into_iter()
                    .chain(exclude.iter().cloned())
                    .collect(),
            });
        includes.chain(mappings).collect()
    }

    fn is_excluded(&self, source: &[u8]) -> bool {
        self.exclude.iter().any(|pattern| excludes(pattern, source))
    }

    fn takes(&self, source: &[u8]) -> bool {
        selects(&self.from, source) && !self.is_excluded(source)
    }

    /// The only destination, if the rule has one.
    fn file(&self) -> Option<&[u8]> {
        (!self.to.ends_with('/')).then_some(self.to.as_bytes())
    }

    fn directory(&self) -> &[u8] {
        self.to.trim_start_matches('/').as_bytes()
    }

    fn destination(&self, source: &[u8]) -> Bytes {
        match self.file() {
            Some(file) => file.into(),
            None => [self.directory(), &source[self.lead.len()..]].concat(),
        }
    }

    fn source_of(&self, destination: &[u8]) -> Option<Bytes> {
        let kept = destination.strip_prefix(self.directory())?;
        self.file()
            .is_none()
            .then(|| [self.lead.as_slice(), kept].concat())
    }

    /// Whether it takes some path below the directory, or any path at all for the root.
    fn takes_below(&self, directory: &[u8]) -> bool {
        let instances = instances(&self.from);
        let tails = instances.iter().flat_map(|path| {
            let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let starts = slashes.map(|(slash, _)| slash + 1).chain([0]);
            starts.map(|start| joined(directory, &path[start..]))
        });
        tails.into_iter().any(|path| self.takes(&path)) || self.takes_a_name_below(directory, 3)
    }

    fn takes_a_name_below(&self, directory: &[u8], depth: usize) -> bool {
        NAMES.iter().any(|name| {
            let path = if directory.is_empty() {
                name.to_vec()
            } else {
                [directory, b"/", name].concat()
            };
            self.takes(&path) || (depth > 1 && self.takes_a_name_below(&path, depth - 1))
        })
    }
}

/// The directories before the first segment with a metacharacter; without one, the parent
/// directory.
fn lead(pattern: &str) -> Bytes {
    let segments: Vec<_> = pattern.trim_start_matches("./").split('/').collect();
    let directories = segments[..segments.len() - 1]
        .iter()
        .take_while(|one| is_literal(one));
    let lead: String = directories.map(|one| format!("{one}/")).collect();
    // A brace may hold a `/`: the segment that it begins in is not literal.
    lead.into_bytes()
}

impl Project {
    fn excludes(&self) -> Vec<String> {
        let defaults = DEFAULT_EXCLUDES
            .iter()
            .filter(|_| self.default_excludes)
            .copied();
        let more = defaults.chain(["**/*.tmp"]).map(str::to_owned);
        self.exclude.iter().cloned().chain(more).collect()
    }
}

// Sources.

/// A file as it would be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) mode: &'static str,
    pub(super) content: Bytes,
}

/// Everything that is found in a project.
#[derive(Default)]
struct Sources {
    files: BTreeMap<Bytes, Entry>,
    /// Matched and not taken: single files.
    other: BTreeSet<Bytes>,
    /// Not followed, with whatever may be below.
    hidden: BTreeSet<Bytes>,
}

fn joined(directory: &[u8], name: &[u8]) -> Bytes {
    if directory.is_empty() {
        name.into()
    } else {
        [directory, b"/", name].concat()
    }
}

impl Sources {
    fn of(project: &Project, rules: &[Rule]) -> Self {
        let mut sources = Self::default();
        sources.add_below(project, rules, b"", b"", &mut vec![Bytes::new()]);
        sources
    }

    /// Adds what is in the directory `real`, as seen at `seen`; `above` are the directories that
    /// lead there.
    fn add_below(
        &mut self,
        project: &Project,
        rules: &[Rule],
        real: &[u8],
        seen: &[u8],
        above: &mut Vec<Bytes>,
    ) {
        let names: BTreeSet<Bytes> = project
            .source
            .keys()
            .filter_map(|path| {
                if real.is_empty() {
                    Some(path.as_slice())
                } else {
                    path.strip_prefix(real)?.strip_prefix(b"/")
                }
            })
            .map(|below| split(below)[0].to_vec())
            .collect();
        for name in names {
            let path = joined(real, &name);
            let seen = joined(seen, &name);
            match project.source.get(&path) {
                None if name == b".git" => {}
                None => {
                    above.push(path.clone());
                    self.add_below(project, rules, &path, &seen, above);
                    above.pop();
                }
                Some(node) => self.add(project, rules, node, &seen, above),
            }
        }
    }

    fn add(
        &mut self,
        project: &Project,
        rules: &[Rule],
        node: &Node,
        seen: &[u8],
        above: &mut Vec<Bytes>,
    ) {
        let matched = rules.iter().any(|rule| rule.takes(seen));
        let holds = || rules.iter().any(|rule| rule.takes_below(seen));
        match node {
            Node::File {
                content,
                executable,
            } if matched => {
                let odd = rules.iter().filter(|rule| rule.takes(seen)).any(|rule| {
                    let to = rule.destination(seen);
                    !split(&to).into_iter().all(is_publishable_name)
                });
                let large = project.max_size.is_some_and(|limit| content.len() > limit);
                if odd || large {
                    self.other.insert(seen.into());
                } else {
                    let mode = if *executable { "100755" } else { "100644" };
                    self.files.insert(
                        seen.into(),
                        Entry {
                            mode,
                            content: content.clone(),
                        },
                    );
                }
            }
            Node::Pipe if matched => {
                self.other.insert(seen.into());
            }
            Node::File { .. } | Node::Pipe => {}
            Node::Link(target) => match (project.symlinks, target) {
                (Symlinks::FollowInside, Target::File(path)) => {
                    self.add(project, rules, &project.source[path].clone(), seen, above);
                }
                (Symlinks::FollowInside, Target::Directory(path)) if !above.contains(path) => {
                    above.push(path.clone());
                    self.add_below(project, rules, path, seen, above);
                    above.pop();
                }
                (Symlinks::FollowInside, Target::OutsideFile) if !matched => {}
                (Symlinks::Preserve, Target::File(_) | Target::Directory(_)) if matched => {
                    let hides = |rule: &Rule| !rule.takes(seen) && rule.takes_below(seen);
                    if matches!(target, Target::Directory(_)) && rules.iter().any(hides) {
                        self.hidden.insert(seen.into());
                    }
                    let content = target.text(seen).into_bytes();
                    self.files.insert(
                        seen.into(),
                        Entry {
                            mode: "120000",
                            content,
                        },
                    );
                }
                (Symlinks::Skip | Symlinks::Preserve, Target::File(_) | Target::OutsideFile)
                    if !matched => {}
                _ if matched || holds() => {
                    self.hidden.insert(seen.into());
                }
                _ => {}
            },
        }
    }
}

fn is_publishable_name(name: &[u8]) -> bool {
    ![b".git".as_slice(), b".gitmodules"].contains(&name)
}

// Plans.

/// What a sync makes of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// Two sources for one path.
    Failed,
    Withheld,
    Planned(Plan),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// What each path below the project's place becomes.
    pub(super) changes: BTreeMap<Bytes, Option<Entry>>,
    pub(super) added: u64,
    pub(super) modified: u64,
    pub(super) deleted: u64,
    pub(super) unchanged: u64,
    pub(super) unmanaged: u64,
}

fn folded(path: &[u8]) -> Bytes {
    std::str::from_utf8(path).map_or_else(
        |_| path.to_ascii_lowercase(),
        |text| text.to_lowercase().into_bytes(),
    )
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}

pub(super) fn expected(project: &Project, guard: &Guard) -> Expected {
    let rules = Rule::of(project);
    let sources = Sources::of(project, &rules);
    let destinations = |source: &[u8]| -> BTreeSet<Bytes> {
        let taking = rules.iter().filter(|rule| rule.takes(source));
        taking.map(|rule| rule.destination(source)).collect()
    };

    let mut places: Vec<Bytes> = Vec::new();
    for source in sources.files.keys() {
        places.extend(destinations(source).iter().map(|place| folded(place)));
    }
    let collides = |(at, place): (usize, &Bytes)| {
        places
            .iter()
            .enumerate()
            .any(|(other, second)| other != at && (place == second || is_below(second, place)))
    };
    if places.iter().enumerate().any(collides) {
        return Expected::Failed;
    }
    if project.place_is_a_file {
        return Expected::Withheld;
    }

    let mut files: BTreeMap<Bytes, Entry> = BTreeMap::new();
    for (source, entry) in &sources.files {
        files.extend(
            destinations(source)
                .into_iter()
                .map(|to| (to, entry.clone())),
        );
    }
    let fillable = |rule: &Rule| rule.takes_below(b"");
    let owned = |path: &[u8]| {
        rules.iter().any(|rule| match rule.file() {
            Some(file) => file == path && fillable(rule),
            None => rule
                .source_of(path)
                .is_some_and(|source| rule.takes(&source)),
        })
    };
    let kept = |path: &[u8]| {
        let single = &sources.other;
        // A link that is published as a link replaces what was at its path and below.
        let is_replaced = |link: &Bytes| {
            sources.files.contains_key(link)
                && destinations(link)
                    .iter()
                    .any(|to| to == path || is_below(path, to))
        };
        let hidden: Vec<&Bytes> = sources
            .hidden
            .iter()
            .filter(|hidden| !is_replaced(hidden))
            .collect();
        rules.iter().any(|rule| match rule.source_of(path) {
            Some(source) => {
                rule.takes(&source)
                    && (single.contains(&source)
                        || hidden
                            .iter()
                            .any(|hidden| **hidden == source || is_below(&source, hidden)))
            }
            None => {
                rule.file() == Some(path)
                    && (single.iter().any(|source| rule.takes(source))
                        || hidden
                            .iter()
                            .any(|hidden| rule.takes(hidden) || rule.takes_below(hidden)))
            }
        })
    };
    let protected = |path: &[u8]| {
        project
            .excludes()
            .iter()
            .any(|pattern| excludes(pattern, path))
            || rules.iter().any(|rule| match rule.file() {
                Some(file) => file == path && !fillable(rule),
                None => rule.source_of(path).is_some_and(|source| {
                    selects(&rule.from, &source) && rule.is_excluded(&source)
                }),
            })
    };

    let mut plan = Plan::default();
    let mut staying: Vec<&Bytes> = Vec::new();
    let (mut claimed, mut deleted, mut obstructed) = (0, 0, false);
    for (path, (mode, content)) in &project.codex {
        let file = files.get(path);
        let publishable = split(path).into_iter().all(is_publishable_name);
        let is_owned = file.is_some() || (publishable && owned(path));
        let is_file = ["100644", "100755"].contains(&mode.as_str())
            || (mode == "120000" && project.symlinks == Symlinks::Preserve);
        claimed += u64::from(is_owned);
        obstructed |= is_owned && !is_file;
        match file {
            Some(file) if file.mode == mode && file.content == *content => plan.unchanged += 1,
            Some(_) if kept(path) => plan.unchanged += 1,
            Some(file) => {
                plan.modified += 1;
                plan.changes.insert(path.clone(), Some(file.clone()));
            }
            None if is_owned && kept(path) => {
                plan.unchanged += 1;
                staying.push(path);
            }
            None if is_owned || (project.prune && publishable && !protected(path)) => {
                deleted += u64::from(is_owned);
                plan.deleted += 1;
                plan.changes.insert(path.clone(), None);
            }
            None => {
                plan.unmanaged += 1;
                staying.push(path);
            }
        }
    }
    for (path, file) in files
        .iter()
        .filter(|(path, _)| !project.codex.contains_key(*path))
    {
        obstructed |= staying
            .iter()
            .any(|other| is_below(path, other) || is_below(other, path));
        plan.added += 1;
        plan.changes.insert(path.clone(), Some(file.clone()));
    }

    let nothing = sources.files.is_empty() && sources.other.is_empty() && sources.hidden.is_empty();
    let share = |percent: u64| plan.deleted * 100 > claimed * percent;
    let beyond = match guard {
        Guard::Configured => plan.deleted > project.guard.0 && share(project.guard.1),
        Guard::AtMost(files) => plan.deleted > *files,
        Guard::AtMostPercent(percent) => share(*percent),
        Guard::Lifted => false,
    };
    let none_survives = claimed >= 5 && deleted == claimed;
    let guarded =
        plan.deleted > 0 && *guard != Guard::Lifted && (nothing || beyond || none_survives);
    if obstructed || guarded {
        Expected::Withheld
    } else {
        Expected::Planned(plan)
    }
}

#[test]
fn the_specification_reads_patterns_as_promised() {
    for (pattern, path, expected) in [
        ("docs/**", "docs/a/b", true),
        ("docs/**", "docs", false),
        ("docs/**/b", "docs/b", true),
        ("docs/*", "docs/a/b", false),
        ("docs", "docs/a/b", true),
        ("./docs/", "docs/a", true),
        ("docs/", "docs", false),
        ("{a,b/**}/c", "b/x/c", true),
        ("docs/{**,x}", "docs/a/b", true),
        ("[äöü].md", "ü.md", true),
        ("*[!_]*.md", "_a.md", true),
        ("[!_]*.md", "_a.md", false),
        ("[+-9]*", "docs/a", false),
    ] {
        assert_eq!(
            selects(pattern, path.as_bytes()),
            expected,
            "{pattern} {path}"
        );
    }
    for (pattern, path, expected) in [
        ("docs/private", "docs/private/a/b", true),
        ("docs/private", "docs/private", true),
        ("docs/private/", "docs/private", false),
        ("**/private/", "x/private/a", true),
        ("private/**/", "private/a", true),
        ("docs/*", "docs/a/b", true),
    ] {
        assert_eq!(
            excludes(pattern, path.as_bytes()),
            expected,
            "{pattern} {path}"
        );
    }
    assert_eq!(lead("./docs/x/*.md"), b"docs/x/");
    assert_eq!(
        (lead("docs"), lead("docs/")),
        (Bytes::new(), b"docs/".to_vec())
    );
}
