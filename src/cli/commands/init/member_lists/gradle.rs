//! Gradle: the literal projects of `include` in `settings.gradle` and `settings.gradle.kts`. These
//! files are programs, so projects that they compute are not found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::manifest_file::read;
use super::member_list::MemberList;

const SETTINGS: [&str; 2] = ["settings.gradle", "settings.gradle.kts"];

/// The projects of the build in `root`.
pub(super) fn members(root: &Path) -> Option<MemberList> {
    let name = SETTINGS.iter().find(|name| root.join(name).is_file())?;
    let mut list = MemberList::new(&format!("Gradle build ({name})"));
    let text = read(&root.join(name), |text| {
        Ok::<_, std::convert::Infallible>(without_comments(text))
    })?;
    let included = text.as_deref().ok().and_then(included);
    let Some(included) = included else {
        if let Err(error) = text {
            list.remark(error);
        }
        return Some(list);
    };

    for directory in included.into_values() {
        // A project need not have a directory.
        if root.join(&directory).is_dir() {
            let name = directory.to_string_lossy().into_owned();
            list.add_directory(root, root, &directory, &name);
        }
    }
    Some(list)
}

/// The text without comments. Texts that contain `//`, such as URLs, are no names of projects.
fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once("/*") {
        kept.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    kept.push_str(rest);

    let lines = kept
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The directories of the included projects, by the path of the project. A project `:a:b` is in the
/// directory `a/b`, and includes `:a`, unless the settings set its `projectDir`.
fn included(text: &str) -> Option<BTreeMap<String, PathBuf>> {
    let name = r#"["']([^"'$]+)["']"#;
    let statement = format!(r#"(?m)^\s*include\s*\(?\s*((?:{name}\s*,?\s*)+)"#);
    let statement = Regex::new(&statement).ok()?;
    let name = Regex::new(name).ok()?;
    let directory = Regex::new(
        r#"project\s*\(\s*["']([^"'$]+)["']\s*\)\.projectDir\s*=\s*(?:new\s+)?[Ff]ile\s*\(\s*(?:(?:settingsDir|rootDir)\s*,\s*)?["']([^"'$]+)["']"#,
    )
    .ok()?;

    let mut projects = BTreeMap::new();
    for statement in statement.captures_iter(text) {
        for name in name.captures_iter(&statement[1]) {
            let segments: Vec<&str> = name[1].split(':').filter(|part| !part.is_empty()).collect();
            for length in 1..=segments.len() {
                let path = segments[..length].join(":");
                projects
                    .entry(path)
                    .or_insert_with(|| segments[..length].iter().collect());
            }
        }
    }
    for set in directory.captures_iter(text) {
        let path = set[1].trim_start_matches(':');
        if let Some(project) = projects.get_mut(path) {
            *project = PathBuf::from(&set[2]);
        }
    }
    Some(projects)
}
