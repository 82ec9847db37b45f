//! npm, yarn, pnpm and Bun: `workspaces` of `package.json`, `packages` of `pnpm-workspace.yaml`,
//! and `packages` of `lerna.json` if there is neither.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::manifest_file::read;
use super::member_list::MemberList;

/// The files that make a directory a package. Only pnpm reads the last two.
const MANIFESTS: [&str; 3] = ["package.json", "package.json5", "package.yaml"];

/// The packages of the workspace in `root`.
pub(super) fn members(root: &Path) -> Option<MemberList> {
    of_pnpm(root)
        .or_else(|| of_package_json(root))
        .or_else(|| of_lerna(root))
}

fn json(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text)
}

/// `pnpm-workspace.yaml`. The root is always a package, and a pattern with `!` excludes packages
/// wherever it is in the list.
fn of_pnpm(root: &Path) -> Option<MemberList> {
    #[derive(Deserialize)]
    struct PnpmWorkspace {
        packages: Option<Vec<String>>,
    }
    let parsed = read(&root.join("pnpm-workspace.yaml"), |text| {
        serde_saphyr::from_str::<Option<PnpmWorkspace>>(text)
    })?;

    let mut list = MemberList::new("pnpm workspace (pnpm-workspace.yaml)");
    match parsed {
        Err(error) => list.remark(error),
        Ok(workspace) => {
            // Without `packages`, the file only has settings.
            let patterns = workspace.and_then(|workspace| workspace.packages)?;
            let (excluded, included): (Vec<_>, Vec<_>) = patterns
                .iter()
                .partition(|pattern| pattern.starts_with('!'));
            for pattern in included {
                list.add_matches(root, pattern, &MANIFESTS);
            }
            for pattern in excluded {
                list.remove_matches(pattern.trim_start_matches('!'));
            }
            list.remove_matches("**/bower_components/**");
            list.directories.insert("".into());
        }
    }
    Some(list)
}

/// `workspaces` of `package.json`: a list, or a map with the list `packages`. A pattern with `!`
/// excludes packages that the patterns before it match.
fn of_package_json(root: &Path) -> Option<MemberList> {
    let tools = [
        ("yarn.lock", "yarn"),
        ("bun.lock", "Bun"),
        ("bun.lockb", "Bun"),
    ];
    let tool = tools.iter().find(|(lock, _)| root.join(lock).exists());
    let tool = tool.map_or("npm", |(_, tool)| tool);
    let mut list = MemberList::new(&format!("{tool} workspaces (package.json)"));

    let package = match read(&root.join("package.json"), json)? {
        Ok(package) => package,
        Err(error) => {
            list.remark(error);
            return Some(list);
        }
    };
    let workspaces = package.get("workspaces")?;
    let patterns = workspaces.get("packages").unwrap_or(workspaces);
    for pattern in patterns.as_array()?.iter().filter_map(Value::as_str) {
        match pattern.strip_prefix('!') {
            Some(excluded) => list.remove_matches(excluded),
            None => list.add_matches(root, pattern, &MANIFESTS[..1]),
        }
    }
    Some(list)
}

/// `packages` of `lerna.json`, which is `packages/*` by default.
fn of_lerna(root: &Path) -> Option<MemberList> {
    let mut list = MemberList::new("Lerna packages (lerna.json)");
    match read(&root.join("lerna.json"), json)? {
        Err(error) => list.remark(error),
        Ok(lerna) => {
            let given = lerna.get("packages").and_then(Value::as_array);
            let patterns: Vec<&str> = match given {
                Some(patterns) => patterns.iter().filter_map(Value::as_str).collect(),
                None => vec!["packages/*"],
            };
            for pattern in patterns {
                list.add_matches(root, pattern, &MANIFESTS[..1]);
            }
        }
    }
    Some(list)
}
