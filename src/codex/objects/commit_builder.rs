//! Turns plans into commits on top of a tip: one commit a project, in name order, without a working tree.

use std::collections::{BTreeMap, HashMap};

use bstr::{BString, ByteSlice};

use super::pack::{self, Encoded, MAX_CHAIN};
use super::tree::{self, Edit, TreeError, TreeStore};
use crate::codex::identity::Identity;
use crate::codex::signing::SigningError;
use crate::codex::source_revision::SourceRevision;
use crate::codex::store::Store;
use crate::object::{self, Kind, ObjectId};
use crate::plan::ProjectPlan;
use crate::workspace::{Project, Workspace, template};

/// A commit to be made.
pub struct NewCommit<'p> {
    /// For which project.
    pub project: &'p Project,
    /// What it changes.
    pub plan: &'p ProjectPlan,
    /// Its whole message.
    pub message: String,
}

/// Commits that exist as bytes.
pub struct Built {
    /// One for each [`NewCommit`], in the same order; the last is the new tip.
    pub commits: Vec<ObjectId>,
    /// The commits and their new trees, in an order in which a delta follows its base.
    pub objects: Vec<Encoded>,
}

/// Signs the bytes of a commit.
pub type Sign<'s> = &'s mut dyn FnMut(&[u8]) -> Result<Vec<u8>, SigningError>;

/// Why commits cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A tree of the codex is missing or damaged.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A commit cannot be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Makes the commits on top of `parent`, signed if `sign` is given. If the signatures are deterministic, so are the ids of
/// the commits.
pub fn build(
    store: &Store,
    parent: Option<ObjectId>,
    new: &[NewCommit<'_>],
    identity: &Identity,
    mut sign: Option<Sign<'_>>,
) -> Result<Built, BuildError> {
    let mut builder = Builder {
        store,
        trees: HashMap::new(),
        chains: HashMap::new(),
        objects: Vec::new(),
    };
    let mut root = parent.map(|commit| store.root_tree(commit)).transpose()?;
    let mut tip = parent;
    let mut commits = Vec::with_capacity(new.len());
    for commit in new {
        let edits: BTreeMap<BString, Edit> = commit
            .plan
            .changes
            .iter()
            .map(|change| {
                let file = change.op.file().map(|file| (file.mode, file.id));
                (commit.project.to.join(change.path.as_bstr()), file)
            })
            .collect();
        let tree = match tree::edit(&mut builder, root, &edits)? {
            Some(tree) => tree,
            None => builder.write(Vec::new(), None),
        };
        let mut data = commit_bytes(tree, tip, &commit.message, identity);
        if let Some(sign) = &mut sign {
            let signature = sign(&data)?;
            data = with_signature(&data, &signature);
        }
        let id = builder.write_commit(&data);
        root = Some(tree);
        tip = Some(id);
        commits.push(id);
    }
    Ok(Built {
        commits,
        objects: builder.objects,
    })
}

/// The message of a project's commit: the template filled in, then the trailers.
pub fn message(
    workspace: &Workspace,
    branch: &str,
    project: &Project,
    plan: &ProjectPlan,
    revision: Option<&SourceRevision>,
    work_id: Option<&str>,
) -> String {
    let count = plan.counts().total().to_string();
    let text = |value: &'_ Option<String>| value.clone().unwrap_or_default();
    let (organization, codex_repo) = (text(&workspace.organization), text(&workspace.codex_repo));
    let environment = text(&workspace.environment);
    let values = [
        ("count", Some(count.as_str())),
        ("project", Some(project.name.as_str())),
        ("org", Some(organization.as_str())),
        ("codex_repo", Some(codex_repo.as_str())),
        ("env", Some(environment.as_str())),
        ("branch", Some(branch)),
    ];
    let template = &workspace.commit.message;
    let mut message = template::fill(template, &values).unwrap_or_else(|_| template.clone());
    message.retain(|c| c != '\0');
    message.truncate(message.trim_end().len());
    message.push('\n');
    if workspace.commit.trailers {
        message.push('\n');
        // What comes from elsewhere must not begin a line of its own: that would be another trailer.
        let mut trailer = |key: &str, value: &str| {
            message.push_str(&format!(
                "{key}: {}\n",
                value.replace(char::is_control, " ")
            ));
        };
        trailer("Codex-Project", project.name.as_str());
        if let Some(revision) = revision {
            if let Some(url) = &revision.url {
                trailer("Codex-Source", url);
            }
            let dirty = if revision.dirty { "-dirty" } else { "" };
            trailer(
                "Codex-Source-Commit",
                &format!("{}{dirty}", revision.commit),
            );
        }
        if let Some(id) = work_id {
            trailer("Codex-Work-Id", id);
        }
    }
    message
}

/// The bytes of a commit without a signature.
fn commit_bytes(
    tree: ObjectId,
    parent: Option<ObjectId>,
    message: &str,
    identity: &Identity,
) -> Vec<u8> {
    let mut data = format!("tree {tree}\n");
    if let Some(parent) = parent {
        data.push_str(&format!("parent {parent}\n"));
    }
    let Identity { author, committer } = identity;
    data.push_str(&format!(
        "author {}\ncommitter {}\n\n{message}",
        author.header(),
        committer.header()
    ));
    data.into_bytes()
}

/// Adds a signature to the bytes of a commit as its last header. Each further line of a header begins with a space.
fn with_signature(commit: &[u8], signature: &[u8]) -> Vec<u8> {
    let end = commit.find("\n\n").map_or(commit.len(), |end| end + 1);
    let mut signed = commit[..end].to_vec();
    signed.extend_from_slice(b"gpgsig");
    for line in signature.lines() {
        signed.push(b' ');
        signed.extend_from_slice(line);
        signed.push(b'\n');
    }
    signed.extend_from_slice(&commit[end..]);
    signed
}

struct Builder<'s> {
    store: &'s Store,
    /// The contents of trees written in this run, as long as they can be edited further: one that was replaced goes.
    trees: HashMap<ObjectId, Vec<u8>>,
    /// How many deltas lead to a written tree.
    chains: HashMap<ObjectId, u32>,
    objects: Vec<Encoded>,
}

impl Builder<'_> {
    fn write_commit(&mut self, data: &[u8]) -> ObjectId {
        let id = object::hash(Kind::Commit, data);
        self.objects.push(pack::whole(id, Kind::Commit, data));
        id
    }
}

impl TreeStore for Builder<'_> {
    fn read(&self, id: ObjectId) -> Result<Vec<u8>, TreeError> {
        self.trees
            .get(&id)
            .cloned()
            .map_or_else(|| self.store.read_tree(id), Ok)
    }

    fn write(&mut self, data: Vec<u8>, base: Option<ObjectId>) -> ObjectId {
        let id = object::hash(Kind::Tree, &data);
        let replaced = base
            .filter(|base| *base != id)
            .and_then(|base| Some((base, self.trees.remove(&base)?)));
        if !self.chains.contains_key(&id) {
            let delta = replaced.and_then(|(base, base_data)| {
                let chain = self.chains.get(&base)? + 1;
                (chain <= MAX_CHAIN).then(|| (pack::delta(id, &data, base, &base_data), chain))
            });
            let (encoded, chain) = delta.unwrap_or_else(|| (pack::whole(id, Kind::Tree, &data), 0));
            self.objects.push(encoded);
            self.chains.insert(id, chain);
        }
        self.trees.insert(id, data);
        id
    }
}
