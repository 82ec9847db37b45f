//! Builds commits from plans, on top of a tip: one commit per project, in name order, without a
//! working tree.

use std::collections::{BTreeMap, HashMap};

use bstr::{BString, ByteSlice};

use super::pack::{self, Encoded, MAX_CHAIN};
use super::tree::{self, Edit, TreeError, TreeStore};
use crate::codex::identity::Identity;
use crate::codex::signing::SigningError;
use crate::codex::store::Store;
use crate::object::{self, Kind, ObjectId};
use crate::plan::ProjectPlan;
use crate::workspace::Project;

/// A commit to build.
pub(crate) struct NewCommit<'p> {
    /// The project.
    pub project: &'p Project,
    /// The changes.
    pub plan: &'p ProjectPlan,
    /// The complete message, with trailers.
    pub message: String,
}

/// The result of [`build`], which nothing has stored yet.
pub(crate) struct Built {
    /// The id of each [`NewCommit`], in the same order. The last one is the new tip.
    pub commits: Vec<ObjectId>,
    /// The commits and their new trees, in an order in which a delta follows its base.
    pub objects: Vec<Encoded>,
}

/// Signs the bytes of a commit.
pub(crate) type Sign<'s> = &'s mut dyn FnMut(&[u8]) -> Result<Vec<u8>, SigningError>;

/// The reason why commits cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A tree of the codex is missing or damaged.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A commit cannot be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Builds the commits on top of `parent`, and signs them if `sign` is given. The same input gives
/// the same ids, if the signatures are deterministic.
pub(crate) fn build(
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
        let tree = builder.write_tree(root, commit)?;
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

/// Adds a signature to the bytes of a commit as its last header. Each further line of a header
/// begins with a space.
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

/// The objects that were built so far.
struct Builder<'s> {
    store: &'s Store,
    /// The contents of new trees. A tree is removed when it is replaced, because no later commit
    /// edits it.
    trees: HashMap<ObjectId, Vec<u8>>,
    /// The length of the delta chain of each new tree.
    chains: HashMap<ObjectId, u32>,
    objects: Vec<Encoded>,
}

impl Builder<'_> {
    /// Applies the changes of a commit to the tree `root`.
    fn write_tree(
        &mut self,
        root: Option<ObjectId>,
        commit: &NewCommit<'_>,
    ) -> Result<ObjectId, TreeError> {
        let changes = commit.plan.changes.iter();
        let edits: BTreeMap<BString, Edit> = changes
            .map(|change| {
                let path = commit.project.to.join(change.path.as_bstr());
                let file = change.op.file().map(|file| (file.mode, file.id));
                (path, file)
            })
            .collect();
        Ok(match tree::edit(self, root, &edits)? {
            Some(tree) => tree,
            None => self.write(Vec::new(), None),
        })
    }

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
            // A delta against the replaced tree, unless the chain becomes too long.
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
