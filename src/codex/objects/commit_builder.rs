//! Builds commits from plans, on top of the tips of branches: one commit per project, in name order,
//! without a working tree.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use bstr::{BString, ByteSlice};

use super::listing::Lister;
use super::pack::{self, Encoded, MAX_CHAIN};
use super::tree::{self, Edit, TreeError, TreeStore, entry_at};
use crate::codex::identity::Identity;
use crate::codex::signing::SigningError;
use crate::codex::store::Store;
use crate::object::{self, Kind, ObjectId};
use crate::plan::{Listing, ProjectPlan};
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

/// A merge of the base into a sync branch.
pub(crate) struct NewMerge<'p> {
    /// The tip of the base.
    pub base: ObjectId,
    /// The differences of the merged tree from that of the base.
    pub edits: &'p BTreeMap<BString, Edit>,
    /// The complete message, with trailers.
    pub message: String,
}

/// The commits to build on one branch.
pub(crate) struct NewChain<'p> {
    /// The commit that they go on top of; `None` for a branch without commits.
    pub parent: Option<ObjectId>,
    /// The first commit, if it is a merge.
    pub merge: Option<NewMerge<'p>>,
    /// The commits of the projects.
    pub commits: Vec<NewCommit<'p>>,
}

/// The commits of one [`NewChain`].
pub(crate) struct BuiltChain {
    /// The last commit; `None` if the chain is empty.
    pub head: Option<ObjectId>,
    /// The id of each [`NewCommit`], in the same order.
    pub commits: Vec<ObjectId>,
}

/// The result of [`build`], which nothing has stored yet.
pub(crate) struct Built {
    /// The chains, in the same order.
    pub chains: Vec<BuiltChain>,
    /// The commits and their new trees, each once, in an order in which a delta follows its base.
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

/// Builds the commits of `chains`, and signs them if `sign` is given. The same input gives the same
/// ids, if the signatures are deterministic.
pub(crate) fn build(
    store: &Store,
    chains: &[NewChain<'_>],
    identity: &Identity,
    mut sign: Option<Sign<'_>>,
) -> Result<Built, BuildError> {
    let mut builder = Builder::new(store);
    let mut write = |builder: &mut Builder<'_>, tree, parents: &[ObjectId], message: &str| {
        let mut data = commit_bytes(tree, parents, message, identity);
        if let Some(sign) = &mut sign {
            let signature = sign(&data)?;
            data = with_signature(&data, &signature);
        }
        Ok::<_, BuildError>(builder.write_commit(&data))
    };

    let mut built = Vec::with_capacity(chains.len());
    for chain in chains {
        let mut tip = chain.parent;
        let mut root = tip.map(|commit| store.root_tree(commit)).transpose()?;
        if let Some(merge) = &chain.merge {
            let base = store.root_tree(merge.base)?;
            let tree = builder.edit(Some(base), merge.edits)?;
            let parents: Vec<_> = tip.into_iter().chain([merge.base]).collect();
            tip = Some(write(&mut builder, tree, &parents, &merge.message)?);
            root = Some(tree);
        }
        let mut commits = Vec::with_capacity(chain.commits.len());
        for commit in &chain.commits {
            let tree = builder.edit(root, &edits(&builder, root, commit)?)?;
            let id = write(&mut builder, tree, tip.as_slice(), &commit.message)?;
            root = Some(tree);
            tip = Some(id);
            commits.push(id);
        }
        let is_empty = chain.merge.is_none() && commits.is_empty();
        built.push(BuiltChain {
            head: tip.filter(|_| !is_empty),
            commits,
        });
    }
    Ok(Built {
        chains: built,
        objects: builder.objects,
    })
}

/// Lists the directories of `projects` in the tree that a merge with these `edits` makes of the
/// tree of `base`.
pub(crate) fn list_merged(
    store: &Store,
    base: ObjectId,
    edits: &BTreeMap<BString, Edit>,
    projects: &[&Project],
) -> Result<Vec<Listing>, TreeError> {
    let mut builder = Builder::new(store);
    let root = builder.edit(Some(store.root_tree(base)?), edits)?;
    let read = |id| builder.read(id);
    let mut lister = Lister::new(&read, Some(root));
    projects
        .iter()
        .map(|project| lister.list(&project.to))
        .collect()
}

/// The changes of a commit to the tree `root`, by path in the codex.
fn edits(
    builder: &Builder<'_>,
    root: Option<ObjectId>,
    commit: &NewCommit<'_>,
) -> Result<BTreeMap<BString, Edit>, TreeError> {
    let to = &commit.project.to;
    let changes = commit.plan.changes.iter();
    let mut edits: BTreeMap<_, _> = changes
        .map(|change| {
            let file = change.op.file().map(|file| (file.mode, file.id));
            (to.join(change.path.as_bstr()), file)
        })
        .collect();

    if let (Some(moved), Some(root)) = (&commit.plan.moved, root) {
        // The tree itself is reused, so that no object below it is read or sent.
        let read = |id| builder.read(id);
        let tree = entry_at(&read, root, moved.from.as_bstr())?;
        let files = moved.files.entries.keys();
        edits.extend(files.map(|path| (moved.from.join(path.as_bstr()), None)));
        edits.extend(tree.map(|tree| (to.as_bstr().to_owned(), Some(tree))));
    }
    Ok(edits)
}

/// The bytes of a commit without a signature.
fn commit_bytes(
    tree: ObjectId,
    parents: &[ObjectId],
    message: &str,
    identity: &Identity,
) -> Vec<u8> {
    let mut data = format!("tree {tree}\n");
    for parent in parents {
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

/// A tree that commits have put at one place or several.
struct NewTree {
    data: Vec<u8>,
    /// The number of places. Equal directories have the same tree.
    places: usize,
}

/// The objects that were built so far.
struct Builder<'s> {
    store: &'s Store,
    /// The new trees. A tree is removed when it is replaced at all of its places, because no later
    /// commit edits it.
    trees: HashMap<ObjectId, NewTree>,
    /// The length of the delta chain of each new tree.
    chains: HashMap<ObjectId, u32>,
    objects: Vec<Encoded>,
}

impl<'s> Builder<'s> {
    fn new(store: &'s Store) -> Self {
        Self {
            store,
            trees: HashMap::new(),
            chains: HashMap::new(),
            objects: Vec::new(),
        }
    }

    /// Applies `edits` to the tree `root`, and returns the new tree.
    fn edit(
        &mut self,
        root: Option<ObjectId>,
        edits: &BTreeMap<BString, Edit>,
    ) -> Result<ObjectId, TreeError> {
        Ok(match tree::edit(self, root, edits)? {
            Some(tree) => tree,
            None => self.write(Vec::new(), None),
        })
    }

    /// Notes that a tree is replaced at one place.
    fn replace(&mut self, id: ObjectId) {
        if let Entry::Occupied(mut tree) = self.trees.entry(id) {
            tree.get_mut().places -= 1;
            if tree.get().places == 0 {
                tree.remove();
            }
        }
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
            .map_or_else(|| self.store.read_tree(id), |tree| Ok(tree.data.clone()))
    }

    fn write(&mut self, data: Vec<u8>, base: Option<ObjectId>) -> ObjectId {
        let id = object::hash(Kind::Tree, &data);
        if base == Some(id) {
            return id;
        }
        if !self.chains.contains_key(&id) {
            // A delta against the replaced tree, unless the chain becomes too long.
            let delta = base.and_then(|base| {
                let replaced = self.trees.get(&base)?;
                let chain = self.chains.get(&base)? + 1;
                let encode = || pack::delta(id, &data, base, &replaced.data);
                (chain <= MAX_CHAIN).then(|| (encode(), chain))
            });
            let (encoded, chain) = delta.unwrap_or_else(|| (pack::whole(id, Kind::Tree, &data), 0));
            self.objects.push(encoded);
            self.chains.insert(id, chain);
        }
        if let Some(base) = base {
            self.replace(base);
        }
        let new = self.trees.entry(id).or_insert(NewTree { data, places: 0 });
        new.places += 1;
        id
    }
}
