//! Loads the configuration: finds the workspace, reads the layers, and merges them.

use std::path::{Path, PathBuf};

use figment::Figment;

use super::configuration::Configuration;
use super::configured_secrets::ConfiguredSecrets;
use super::diagnostics::Diagnostics;
use super::layers::{self, Layer, Layers};
use super::loader::Loader;
use super::location::{LayerKind, Location, Origin};
use super::model::RawConfig;
use super::ownership::Ownership;
use super::problem::{Problem, Problems};
use super::request::LoadRequest;
use super::variables::{self, Variables};
use super::{discover, file, members, tree};
use crate::paths::shown;

/// Loads the configuration. Returns all of its problems as one error.
pub fn load(request: &LoadRequest) -> Result<Configuration, Problems> {
    let (configuration, problems) = gather(request);
    Problems::none_of(problems)?;
    Ok(configuration)
}

/// Loads the configuration without the values that have a problem, and returns the problems beside
/// it.
pub(crate) fn gather(request: &LoadRequest) -> (Configuration, Vec<Problem>) {
    let mut diagnostics = Diagnostics::default();
    variables::check_encoding(
        &request.environment,
        &request.cwd,
        &mut diagnostics.problems,
    );

    let named = discover::named_file(request);
    let ownership = Ownership::new(request, named.as_deref());
    let user = user_layer(request, &ownership, &mut diagnostics);
    let discovered = discover::workspace(
        request,
        &ownership,
        user.as_ref(),
        &mut diagnostics.problems,
    );
    let root = discovered.root;
    let files = WorkspaceFiles::trusted(
        &root,
        discovered.file.as_deref(),
        named.is_some(),
        &ownership,
        &mut diagnostics,
    );

    let mut variables = Variables::of_process(&request.environment, &root);
    if files.has_env {
        variables.read_file(&mut diagnostics);
    }
    let loader = Loader {
        root: root.clone(),
        environment: variables.all(),
        ownership: &ownership,
        workspace_text: request.config_text.as_deref(),
    };
    let (organization, undetected) = detected_organization(request, &root);

    let mut layers = Layers::default();
    layers.add(layers::defaults(&root, organization.as_deref()));
    for layer in user
        .into_iter()
        .chain(files.layers(&loader, &mut diagnostics))
        .chain(loader.run_layers(request, &variables, &mut diagnostics))
    {
        layers.add(layer);
    }
    let outline = extract(&layers.merged(), &layers, &mut diagnostics.problems);
    let members = members::read(&loader, &layers, &outline, &mut diagnostics);
    layers.add(members.layer);

    let (environment_name, environment_origin) = environment_name(request, &variables).unzip();
    let mut configuration = Configuration {
        raw: extract(&layers.merged(), &layers, &mut diagnostics.problems),
        file: discovered.file,
        environment: variables.of_run(),
        environment_name,
        environment_origin,
        members: members.by_name,
        warnings: diagnostics.warnings,
        unset_tokens: diagnostics.unset_tokens,
        undetected,
        state_home: request.state_home.clone(),
        clone_home: request.clone_home.clone(),
        root,
        layers,
    };
    if let Some(problem) = unusable_root(&configuration.root) {
        return (configuration, vec![problem]);
    }
    let secrets = ConfiguredSecrets::of(&configuration);
    let mut problems = diagnostics.problems;
    problems.extend(secrets.misplaced(&configuration));
    secrets.mask(&mut problems);
    secrets.mask(&mut configuration.warnings);
    (configuration, problems)
}

/// The error for a workspace whose path is not UTF-8, which no value of the configuration can hold.
pub(crate) fn unusable_root(root: &Path) -> Option<Problem> {
    let is_text = root.to_str().is_some();
    (!is_text).then(|| {
        let message = format!("the path of the workspace, `{}`, is not UTF-8", shown(root));
        Problem::new(message).hint("rename the directory, or move the workspace")
    })
}

/// Reads the layer of the user's own file. Only variables of the process are expanded in it: the
/// workspace's `.env` file must not change a value of the user.
fn user_layer(
    request: &LoadRequest,
    ownership: &Ownership<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Layer> {
    let directory = request.user_config_dir.as_ref()?.join("fractary");
    let file = file::find(&directory, "config", &mut diagnostics.problems)?;
    let loader = Loader {
        root: directory.clone(),
        environment: &request.environment,
        ownership,
        workspace_text: None,
    };
    loader.layer(LayerKind::User, &file, &directory, diagnostics)
}

/// Returns the organization if it can be detected, or the reason why it cannot.
fn detected_organization(request: &LoadRequest, root: &Path) -> (Option<String>, Option<String>) {
    match request.detect_organization.map(|detect| detect(root)) {
        None => (None, None),
        Some(Ok(organization)) => (organization, None),
        Some(Err(reason)) => (None, Some(reason)),
    }
}

/// The workspace's own files that exist and that the user trusts.
struct WorkspaceFiles {
    workspace: Option<PathBuf>,
    local: Option<PathBuf>,
    /// Whether the `.env` file is read.
    has_env: bool,
}

impl WorkspaceFiles {
    /// Checks the owners of the workspace's file `file` and of the files beside it. If `file` is
    /// not read, neither are these. A file that the user named on the command line or in a variable
    /// is trusted.
    fn trusted(
        root: &Path,
        file: Option<&Path>,
        is_named: bool,
        ownership: &Ownership<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let problems = &mut diagnostics.problems;
        let is_trusted = |file: &Path, layer, problems: &mut Vec<Problem>| {
            let checked = ownership.check(file, layer, &[root]);
            checked.map_err(|problem| problems.push(problem)).is_ok()
        };

        let workspace =
            file.filter(|file| is_named || is_trusted(file, LayerKind::Workspace, problems));
        let env = Variables::file(root);
        let has_env = workspace.is_some()
            && (env.symlink_metadata().is_err()
                || is_trusted(&env, LayerKind::Environment, problems));
        let local = workspace
            .and_then(Path::parent)
            .and_then(|directory| file::find(directory, "config.local", problems))
            .filter(|file| is_trusted(file, LayerKind::Local, problems));
        Self {
            workspace: workspace.map(Path::to_owned),
            local,
            has_env,
        }
    }

    /// Reads the files.
    fn layers(&self, loader: &Loader<'_>, diagnostics: &mut Diagnostics) -> Vec<Layer> {
        let files = [
            (LayerKind::Workspace, &self.workspace),
            (LayerKind::Local, &self.local),
        ];
        files
            .into_iter()
            .filter_map(|(kind, file)| {
                let file = file.as_deref()?;
                loader.layer(kind, file, &loader.root, diagnostics)
            })
            .collect()
    }
}

/// Returns the name of the selected environment, and its origin.
fn environment_name(request: &LoadRequest, variables: &Variables) -> Option<(String, Origin)> {
    if let Some(name) = &request.env_name {
        let flag = Location::Flag("--env".to_owned());
        return Some((
            name.clone(),
            Origin::whole(LayerKind::Flags, flag, &request.cwd),
        ));
    }
    let name = variables.all().get(variables::ENV)?;
    let location = variables.location(variables::ENV);
    Some((
        name.to_owned(),
        Origin::whole(LayerKind::Environment, location, &request.cwd),
    ))
}

/// Converts merged layers into their types. Each layer was checked on its own, so this fails only
/// if two of them cannot be merged. The defaults are returned in that case.
fn extract(merged: &Figment, layers: &Layers, problems: &mut Vec<Problem>) -> RawConfig {
    merged.extract().unwrap_or_else(|error| {
        let key = tree::key_path(&error.path);
        problems.push(Problem::new(format!("`{key}`: the layers do not agree")));
        layers.defaults()
    })
}
