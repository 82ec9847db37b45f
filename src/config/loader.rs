//! Reads the files, variables and flags of a workspace into layers.

use std::path::{Path, PathBuf};

use super::diagnostics::Diagnostics;
use super::file::CodexSection;
use super::layers::Layer;
use super::location::LayerKind;
use super::ownership::Ownership;
use super::request::LoadRequest;
use super::tree::Node;
use super::variables::Variables;
use super::{check, compat, env, file, flags, values};
use crate::environment::Environment;

/// The context in which the layers of a workspace are read.
pub(crate) struct Loader<'e> {
    /// The workspace's directory.
    pub(crate) root: PathBuf,
    /// The variables for `${VAR}`.
    pub(crate) environment: &'e Environment,
    pub(crate) ownership: &'e Ownership<'e>,
    /// The text of the workspace's file, if it is not read from the disk.
    pub(crate) workspace_text: Option<&'e str>,
}

impl Loader<'_> {
    /// Reads the layer `kind` from `file`. Relative paths in it start from `base`.
    pub(crate) fn layer(
        &self,
        kind: LayerKind,
        file: &Path,
        base: &Path,
        diagnostics: &mut Diagnostics,
    ) -> Option<Layer> {
        let tree = self.section(kind, file, base, diagnostics)?;
        Some(Layer::new(kind, tree))
    }

    /// Reads the section `codex` of `file`: checked, with variables expanded and absolute paths.
    /// Returns `None` if the file has no such section, or if it cannot be read, which is reported.
    pub(crate) fn section(
        &self,
        kind: LayerKind,
        file: &Path,
        base: &Path,
        diagnostics: &mut Diagnostics,
    ) -> Option<Node> {
        let text = self.workspace_text.filter(|_| kind == LayerKind::Workspace);
        let section = match text {
            Some(text) => file::section_of_text(file, text.as_bytes(), kind, base),
            None => file::section(file, kind, base),
        };
        let CodexSection { mut tree, is_flat } = match section {
            Ok(section) => section?,
            Err(problem) => {
                diagnostics.problems.push(problem);
                return None;
            }
        };
        if is_flat {
            diagnostics.warnings.push(compat::flat_file(&tree.at));
        }
        check::drop_nulls(&mut tree);
        compat::migrate_old_keys(&mut tree, diagnostics);
        values::expand(&mut tree, self.environment, diagnostics);
        compat::rename_values(&mut tree, &mut diagnostics.warnings);
        values::drop_empty_tokens(&mut tree);
        check::check(&mut tree, &mut diagnostics.problems);
        values::make_absolute(&mut tree, base);
        Some(tree)
    }

    /// Reads the layers of the environment and of the flags.
    pub(crate) fn run_layers(
        &self,
        request: &LoadRequest,
        variables: &Variables,
        diagnostics: &mut Diagnostics,
    ) -> [Layer; 2] {
        let trees = [
            (
                LayerKind::Environment,
                env::layer(variables, &request.cwd, &mut diagnostics.problems),
            ),
            (
                LayerKind::Flags,
                flags::layer(request, &mut diagnostics.problems),
            ),
        ];
        trees.map(|(kind, mut tree)| {
            compat::migrate_old_keys(&mut tree, diagnostics);
            compat::rename_values(&mut tree, &mut diagnostics.warnings);
            values::drop_empty_tokens(&mut tree);
            check::check(&mut tree, &mut diagnostics.problems);
            values::make_absolute(&mut tree, &self.root);
            Layer::new(kind, tree)
        })
    }
}
