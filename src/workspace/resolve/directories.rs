//! Resolves the directories that a run writes to, and checks that they are in a safe place.

use std::path::{Path, PathBuf};

use super::findings::Findings;
use crate::config::scalar::CacheSwitch;
use crate::config::{Configuration, LayerKind, Problem, layers, variables};
use crate::paths::{FRACTARY_DIR, absolute, resolved, shown};

/// The directories of the workspace.
pub(super) struct Directories {
    /// `state.dir`: the directory with the record of the last sync of each project.
    pub(super) state: PathBuf,
    /// The state directory that all runs of the user on this machine share.
    pub(super) shared_state: PathBuf,
    /// The workspace's cache, resolved.
    pub(super) cache: PathBuf,
    /// Whether all projects use this cache, because the configuration sets it. Otherwise, a project
    /// with a `.fractary/` of its own has its cache there.
    pub(super) cache_is_shared: bool,
}

/// Finds and checks the directories of the state and of the cache.
pub(super) fn resolve(configuration: &Configuration, findings: &mut Findings) -> Directories {
    let shared_state = match &configuration.state_home {
        Some(home) => home.join(layers::derived("state_dir")),
        None => configuration
            .root
            .join(layers::derived("state_dir_without_home")),
    };
    let state = match &configuration.raw.state.dir {
        Some(directory) => PathBuf::from(directory),
        None => shared_state.clone(),
    };
    check(
        configuration,
        "state.dir",
        &state,
        &configuration.root,
        findings,
    );

    let cache = layers::with_default(configuration.raw.cache.dir.clone(), "cache.dir");
    let cache = PathBuf::from(cache);
    check(
        configuration,
        "cache.dir",
        &cache,
        &configuration.root,
        findings,
    );
    let cache_origin = configuration.origin_of(&["cache", "dir"]);
    Directories {
        state,
        shared_state,
        cache: resolved(&cache),
        cache_is_shared: cache_origin.is_some_and(|at| at.source.layer != LayerKind::Defaults),
    }
}

/// Whether published files are also written to the cache.
pub(super) fn caches_published(configuration: &Configuration) -> bool {
    let enabled = layers::with_default(configuration.raw.cache.enabled, "cache.enabled");
    match enabled {
        CacheSwitch::On => true,
        CacheSwitch::Off => false,
        CacheSwitch::Auto => {
            let ci = configuration.environment().get("CI");
            !ci.is_some_and(|ci| ci.eq_ignore_ascii_case("true"))
        }
    }
}

/// The default cache of the project or workspace at `root`.
pub(super) fn default_cache(root: &Path) -> PathBuf {
    absolute(root, Path::new(layers::derived("project_cache_dir")))
}

/// Reports a directory that is reserved, or that resolves to a path outside `allowed` although
/// neither the user nor the run chose it. A checkout, with the links in it, decides about the
/// workspace only.
pub(super) fn check(
    configuration: &Configuration,
    key: &str,
    directory: &Path,
    allowed: &Path,
    findings: &mut Findings,
) {
    let path: Vec<&str> = key.split('.').collect();
    let origin = configuration.origin_of(&path);
    let real = resolved(directory);
    let workspace = resolved(&configuration.root);

    let problem = if is_reserved(&real, &workspace) {
        let message = format!(
            "`{key}`: `{}` is reserved for git or for the configuration",
            shown(directory)
        );
        Problem::new(message).hint("choose a directory that nothing else uses")
    } else {
        let is_default_state =
            key == "state.dir" && origin.is_none() && configuration.state_home.is_some();
        let is_user_or_run = origin.is_some_and(|at| at.source.authority().is_user_or_run());
        let is_inside = real.starts_with(resolved(allowed)) || real.starts_with(&workspace);
        if is_default_state || is_user_or_run || is_inside {
            return;
        }

        let message = format!(
            "`{key}`: `{}` resolves to `{}`, which is outside the workspace `{}`",
            shown(directory),
            shown(&real),
            shown(&workspace)
        );
        Problem::new(message).hint(format!(
            "choose a directory inside, or set it yourself: with `{}`, `--config {key}=DIR` or your own configuration file",
            variables::variable(&path)
        ))
    };
    let given = origin.filter(|at| at.source.layer != LayerKind::Defaults);
    findings.error(problem.key(key).maybe_at(given));
}

/// Whether `directory` is reserved, so that no file of the codex may be written to it: the root of
/// the workspace, `.fractary`, `.fractary/env`, or a directory inside a `.git`. A file that is
/// written there could become a hook or configuration. Both paths are resolved.
fn is_reserved(directory: &Path, workspace: &Path) -> bool {
    let Ok(below) = directory.strip_prefix(workspace) else {
        return false;
    };
    let is_git = below
        .components()
        .any(|part| part.as_os_str().eq_ignore_ascii_case(".git"));
    let is_own = [Path::new(""), Path::new(FRACTARY_DIR)].contains(&below);
    is_git || is_own || below.starts_with(Path::new(FRACTARY_DIR).join("env"))
}
