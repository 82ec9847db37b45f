//! Resolves the branches that commits are pushed to.

use super::findings::Findings;
use super::remote_settings::check_branch;
use crate::config::layers::with_default;
use crate::config::{Configuration, OnDeclined, Problem, PushMode};
use crate::paths::escaped;
use crate::workspace::project::Project;
use crate::workspace::settings::PushBranches;
use crate::workspace::template;

/// The name of a workspace at the root of the file system.
const NAMELESS: &str = "workspace";

/// Resolves `push.mode` and `push.branch`. `branch` is the configured branch of the codex.
pub(super) fn resolve(
    configuration: &Configuration,
    branch: Option<&str>,
    projects: &[Project],
    findings: &mut Findings,
) -> PushBranches {
    let push = &configuration.raw.push;
    match with_default(push.mode, "push.mode") {
        PushMode::Direct => return PushBranches::Direct,
        PushMode::Branch | PushMode::PullRequest => {}
    }

    let template = with_default(push.branch.clone(), "push.branch");
    let branches = match filled(configuration, branch, &template) {
        Ok(filled) if filled.contains("{project}") => PushBranches::PerProject(filled),
        Ok(filled) => PushBranches::Shared(filled),
        Err(unfilled) => {
            let problem = template::problem("push.branch", unfilled);
            findings.error(problem.maybe_at(configuration.origin_of(&["push", "branch"])));
            return PushBranches::Direct;
        }
    };
    check(configuration, branch, &branches, projects, findings);
    check_on_declined(configuration, &branches, projects, findings);
    branches
}

/// Replaces all placeholders except `{project}`.
fn filled(
    configuration: &Configuration,
    branch: Option<&str>,
    template: &str,
) -> Result<String, template::Unfilled> {
    let raw = &configuration.raw;
    let directory = configuration.root.file_name().unwrap_or_default();
    let workspace = ref_component(&directory.to_string_lossy());
    let values = [
        ("workspace", Some(workspace.as_str())),
        ("project", Some("{project}")),
        ("org", raw.organization.as_deref()),
        ("codex_repo", raw.codex_repo.as_deref()),
        ("env", configuration.environment_name.as_deref()),
        ("branch", branch),
    ];
    template::fill(template, &values)
}

/// Reports names that are not branch names, or that name the branch of the codex. The first one is
/// enough, because all have the same template.
fn check(
    configuration: &Configuration,
    branch: Option<&str>,
    branches: &PushBranches,
    projects: &[Project],
    findings: &mut Findings,
) {
    let path = ["push", "branch"];
    let names = projects.iter().filter_map(|one| branches.of(&one.name));
    for name in names {
        if !check_branch(configuration, &name, &path, findings) {
            return;
        }
        if branch == Some(name.as_str()) {
            let message = format!(
                "`push.branch`: `{}` is the branch of the codex",
                escaped(name.as_bytes())
            );
            let problem = Problem::new(message).key("push.branch").hint(
                "use another name, or push to the branch of the codex with `push.mode: direct`",
            );
            findings.error(problem.maybe_at(configuration.origin_of(&path)));
            return;
        }
    }
}

/// Reports `push.on_declined: fail` for several branches: a server can accept some of them.
fn check_on_declined(
    configuration: &Configuration,
    branches: &PushBranches,
    projects: &[Project],
    findings: &mut Findings,
) {
    let on_declined = with_default(configuration.raw.push.on_declined, "push.on_declined");
    let has_several = matches!(branches, PushBranches::PerProject(_)) && projects.len() > 1;
    if on_declined != OnDeclined::Fail || !has_several {
        return;
    }

    let message = "`push.on_declined: fail` needs one branch for all projects: a server can accept some branches of a push and reject others";
    let problem = Problem::new(message.to_owned())
        .key("push.on_declined")
        .hint("remove `{project}` from `push.branch`, or use `push.on_declined: isolate`");
    findings.error(problem.maybe_at(configuration.origin_of(&["push", "on_declined"])));
}

/// Makes `name` a valid component of a branch name: characters other than letters, digits, `_`, `-`
/// and single inner `.` become `-`.
fn ref_component(name: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    let replaced: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .collect();
    let single = replaced.replace("..", "-");
    let trimmed = single.trim_matches(['.', '-']);
    let component = trimmed.trim_end_matches(".lock");
    if component.is_empty() {
        NAMELESS.to_owned()
    } else {
        component.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::is_branch_name;

    #[test]
    fn directory_name_becomes_a_component_of_a_branch_name() {
        for (name, expected) in [
            ("billing", "billing"),
            ("My Docs (new)", "My-Docs--new"),
            (".config", "config"),
            ("a..b", "a-b"),
            ("x.lock", "x"),
            ("~^:?*[\\", "workspace"),
            ("", "workspace"),
            ("größe", "größe"),
        ] {
            let component = ref_component(name);
            assert_eq!(component, expected);
            assert!(is_branch_name(&format!("codex-sync/{component}")), "{name}");
        }
    }
}
