//! Go: the directives `use` of `go.work`.

use std::path::Path;

use super::manifest_file::read;
use super::member_list::MemberList;

/// The modules of the workspace in `root`.
pub(super) fn members(root: &Path) -> Option<MemberList> {
    let mut list = MemberList::new("Go workspace (go.work)");
    let text = read(&root.join("go.work"), |text| {
        Ok::<_, std::convert::Infallible>(text.to_owned())
    })?;
    match text {
        Err(error) => list.remark(error),
        Ok(text) => {
            for path in used(&text) {
                list.add_directory(root, root, Path::new(path), path);
            }
        }
    }
    Some(list)
}

/// The paths of the directives `use PATH` and `use ( PATH… )`.
fn used(text: &str) -> Vec<&str> {
    let mut paths = Vec::new();
    let mut is_in_block = false;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        if is_in_block {
            if line.starts_with(')') {
                is_in_block = false;
            } else if !line.is_empty() {
                paths.push(line);
            }
            continue;
        }
        let Some(rest) = line.strip_prefix("use") else {
            continue;
        };
        match rest.trim_start() {
            "" => {}
            block if block.starts_with('(') => is_in_block = !block.ends_with(')'),
            path if rest.starts_with([' ', '\t', '"', '`']) => paths.push(path),
            _ => {}
        }
    }
    paths
        .into_iter()
        .map(|path| path.trim_matches(['"', '`']))
        .collect()
}
