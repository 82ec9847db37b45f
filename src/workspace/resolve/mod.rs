//! Loads the configuration and resolves the workspace. Each module here resolves one part, and
//! reports its problems as [`Findings`].

pub(super) mod codex_patterns;
mod commit_policy;
mod deny_list;
mod derived_values;
mod directories;
mod findings;
mod forge_settings;
mod overlaps;
mod projects;
mod pull_requests;
mod push_branches;
mod remote_settings;
mod source_patterns;
mod tokens;

use std::num::NonZeroUsize;

pub(crate) use derived_values::{DerivedValue, DerivedValues};
use findings::Findings;

use super::settings::Workspace;
use crate::config::problem::closest;
use crate::config::{
    self, Configuration, ConfiguredSecrets, LoadRequest, Problem, Problems, layers,
};

/// Loads the configuration and resolves the workspace. Returns the problems of both as one error.
///
/// ```
/// use fractary_codex::{config::LoadRequest, environment::Environment, workspace};
///
/// # let root = tempfile::tempdir()?;
/// # std::fs::create_dir(root.path().join(".fractary"))?;
/// # let text = "codex: { organization: acme, codex_repo: codex, projects: { billing: {}, ledger: {} } }";
/// # std::fs::write(root.path().join(".fractary/config.yaml"), text)?;
/// # let cwd = root.path().to_owned();
/// let mut request = LoadRequest::new(cwd, Environment::default());
/// let (configuration, workspace) = workspace::load(&request).expect("no problems");
/// let names: Vec<_> = workspace.projects.iter().map(|project| project.name.as_str()).collect();
/// assert_eq!(names, ["billing", "ledger"]);
///
/// request.config_arguments = vec!["jobs=many".to_owned()];
/// let problems = workspace::load(&request).map(drop).unwrap_err();
/// assert!(problems.iter().next().is_some_and(|problem| problem.to_string().contains("jobs")));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn load(request: &LoadRequest) -> Result<(Configuration, Workspace), Problems> {
    let (mut configuration, mut problems) = config::gather(request);
    if let Some(problem) = config::unusable_root(&configuration.root) {
        return Err(problem.into());
    }
    let (workspace, findings) = resolve(&configuration);
    configuration.warn(findings.warnings);

    if problems.is_empty() && !findings.missing.is_empty() && configuration.is_unconfigured() {
        return Err(unconfigured(&configuration).into());
    }
    let missing = findings.missing.into_iter();
    let missing: Vec<_> = missing
        .filter(|missing| !problems.iter().any(|problem| explains(problem, missing)))
        .collect();
    problems.extend(findings.errors);
    problems.extend(missing);
    let secrets = ConfiguredSecrets::of(&configuration);
    secrets.mask(&mut problems);
    secrets.mask(&mut configuration.warnings);
    match (Problems::none_of(problems), workspace) {
        (Ok(()), Some(workspace)) => Ok((configuration, workspace)),
        (Err(problems), _) => Err(problems),
        (Ok(()), None) => Err(Problem::new("the configuration is incomplete").into()),
    }
}

/// Whether a required key can be missing because of another problem of the load: a file that was not
/// read, or a key that was rejected and sets it, or that is a misspelling of it.
fn explains(problem: &Problem, missing: &Problem) -> bool {
    let (Some(rejected), Some(required)) = (&problem.key, &missing.key) else {
        return problem.key.is_none();
    };
    if rejected == "codex" {
        return true;
    }
    let alternatives: &[&str] = match required.as_str() {
        "project" => &["project", "projects", "workspace.members"],
        "organization" | "codex_repo" => &[required, "remote.url"],
        _ => &[required],
    };
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    alternatives.iter().any(|key| {
        let sets = *key == rejected || key.starts_with(&format!("{rejected}."));
        sets || closest(&last(rejected), [last(key).as_str()]).is_some()
    })
}

/// Derives the values of keys that no layer sets. If the configuration is not valid, there are none.
pub(crate) fn derived_values(configuration: &Configuration) -> DerivedValues<'_> {
    let (workspace, findings) = resolve(configuration);
    let workspace = workspace.filter(|_| findings.errors.is_empty());
    DerivedValues::new(configuration, workspace)
}

/// The error for a workspace without any configuration, instead of one error per required key.
fn unconfigured(configuration: &Configuration) -> Problem {
    let example = "codex: { organization: acme, codex_repo: codex.acme.com, project: billing }";
    match configuration.file_origin() {
        Some(file) => Problem::new("the file has no section `codex`, or the section is empty")
            .at(&file)
            .hint(format!("a minimal section: `{example}`")),
        None => Problem::new(
            "no configuration found: there is no `.fractary/config.yaml` here or further up",
        )
        .hint("create one with `fractary-codex init`, or set `FRACTARY_CODEX_*` variables"),
    }
}

/// Resolves the workspace; `None` if that is not possible. The findings then have the reason.
fn resolve(configuration: &Configuration) -> (Option<Workspace>, Findings) {
    let mut findings = Findings::default();
    let branch = remote_settings::branch(configuration, &mut findings);
    let remote = remote_settings::remote(configuration, branch.clone(), &mut findings);
    let commit = commit_policy::resolve(configuration, &mut findings);
    let directories = directories::resolve(configuration, &mut findings);
    source_patterns::check(configuration, &mut findings);
    let projects = projects::resolve(
        configuration,
        branch.as_deref(),
        &directories,
        &mut findings,
    );

    let raw = &configuration.raw;
    let push_branches =
        push_branches::resolve(configuration, branch.as_deref(), &projects, &mut findings);
    let max_refs = layers::with_default(raw.push.max_refs, "push.max_refs");
    let workspace = remote.map(|remote| Workspace {
        root: configuration.root.clone(),
        organization: raw.organization.clone(),
        codex_repo: raw.codex_repo.clone(),
        environment_name: configuration.environment_name.clone(),
        forge: forge_settings::resolve(configuration, &remote, &mut findings),
        pull_request: pull_requests::resolve(configuration, &mut findings),
        remote,
        projects,
        commit,
        retries: layers::with_default(raw.push.retries, "push.retries"),
        push_branches,
        max_refs: NonZeroUsize::new(max_refs as usize),
        on_declined: layers::with_default(raw.push.on_declined, "push.on_declined"),
        clone: layers::with_default(raw.clone.strategy, "clone.strategy"),
        caches_published: directories::caches_published(configuration),
        cache_dir: directories.cache,
        projects_vary: projects::vary(configuration),
        state_dir: directories.state,
        shared_state_dir: directories.shared_state,
        jobs: layers::with_default(raw.jobs, "jobs").0,
    });
    (workspace, findings)
}
