//! Builds commits from plans, on top of the tips of branches: one commit per project, in name order,
//! without a working tree.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use bstr::{BString, ByteSlice};
use rayon::prelude::*;

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
    /// The commit that the chain goes on top of; `None` for a branch without commits.
    pub parent: Option<ObjectId>,
    /// The merge that comes before the commits of the projects, if there is one.
    pub merge: Option<NewMerge<'p>>,
    /// The commits of the projects.
    pub commits: Vec<NewCommit<'p>>,
}

/// The commits of one [`NewChain`].
pub(crate) struct BuiltChain {
    /// The last commit; `None` if the chain is empty.
    pub head: Option<ObjectId>,
    /// The ids of the commits of the projects, in the order of [`NewChain::commits`].
    pub commits: Vec<ObjectId>,
}

/// The result of [`build`], which nothing has stored yet.
pub(crate) struct Built {
    /// The built chains, in the order in which [`build`] was given them.
    pub chains: Vec<BuiltChain>,
    /// The commits and their new trees, each once, in an order in which a delta follows its base.
    pub objects: Vec<Encoded>,
}

/// Signs the bytes of a commit.
pub(crate) type Sign<'s> = &'s (dyn Fn(&[u8]) -> Result<Vec<u8>, SigningError> + Sync);

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

/// A commit whose tree was built.
struct CommitOfTree<'c> {
    tree: ObjectId,
    /// The second parent, if the commit is a merge.
    merged: Option<ObjectId>,
    message: &'c str,
}

/// A commit with its id.
struct FinishedCommit {
    id: ObjectId,
    data: Vec<u8>,
}

/// Builds the commits of `chains`, and signs them if `sign` is given. The same input gives the same
/// ids, if the signatures are deterministic.
///
/// The chains are signed side by side, but the first signature is made alone: if it needs a
/// passphrase, the user is asked once, and an error ends the run before another program starts.
pub(crate) fn build(
    store: &Store,
    chains: &[NewChain<'_>],
    identity: &Identity,
    sign: Option<Sign<'_>>,
) -> Result<Built, BuildError> {
    let mut builder = Builder::new(store);
    let trees: Vec<_> = tracing::debug_span!("add", branches = chains.len()).in_scope(|| {
        let chains = chains.iter();
        chains
            .map(|chain| trees_of(&mut builder, chain))
            .collect::<Result<_, _>>()
    })?;

    let mut first = match (sign, trees.iter().position(|trees| !trees.is_empty())) {
        (Some(sign), Some(index)) => {
            let commit = commit_bytes(&trees[index][0], chains[index].parent, identity);
            Some((index, sign(&commit)?))
        }
        _ => None,
    };
    let first = |index: usize| first.take_if(|(of, _)| *of == index).map(|(_, one)| one);
    let starts: Vec<_> = (0..chains.len()).map(first).collect();
    let finished = chains.par_iter().zip(&trees).zip(starts);
    let finished: Vec<_> = finished
        .map(|((chain, trees), first)| finish(trees, chain.parent, identity, sign, first))
        .collect::<Result<_, _>>()?;

    let mut built = Vec::with_capacity(chains.len());
    for (chain, finished) in chains.iter().zip(finished) {
        let merges = usize::from(chain.merge.is_some());
        built.push(BuiltChain {
            head: finished.last().map(|commit| commit.id),
            commits: finished.iter().skip(merges).map(|one| one.id).collect(),
        });
        let packed = finished
            .iter()
            .map(|commit| pack::whole(commit.id, Kind::Commit, &commit.data));
        builder.objects.extend(packed);
    }
    Ok(Built {
        chains: built,
        objects: builder.objects,
    })
}

/// Builds the trees of the commits of a chain.
fn trees_of<'c>(
    builder: &mut Builder<'_>,
    chain: &'c NewChain<'_>,
) -> Result<Vec<CommitOfTree<'c>>, TreeError> {
    let mut commits = Vec::with_capacity(chain.commits.len() + 1);
    let mut root = match chain.parent {
        Some(commit) => Some(builder.store.root_tree(commit)?),
        None => None,
    };
    if let Some(merge) = &chain.merge {
        let base = builder.store.root_tree(merge.base)?;
        let tree = builder.edit(Some(base), merge.edits)?;
        commits.push(CommitOfTree {
            tree,
            merged: Some(merge.base),
            message: &merge.message,
        });
        root = Some(tree);
    }
    for commit in &chain.commits {
        let tree = builder.edit(root, &edits(builder, root, commit)?)?;
        commits.push(CommitOfTree {
            tree,
            merged: None,
            message: &commit.message,
        });
        root = Some(tree);
    }
    Ok(commits)
}

/// Makes the commits of a chain on top of `parent`. `first` is the signature of the first one, if it
/// is known.
fn finish(
    commits: &[CommitOfTree<'_>],
    parent: Option<ObjectId>,
    identity: &Identity,
    sign: Option<Sign<'_>>,
    mut first: Option<Vec<u8>>,
) -> Result<Vec<FinishedCommit>, SigningError> {
    let mut tip = parent;
    let mut finished = Vec::with_capacity(commits.len());
    for commit in commits {
        let mut data = commit_bytes(commit, tip, identity);
        if let Some(sign) = sign {
            let signature = match first.take() {
                Some(signature) => signature,
                None => sign(&data)?,
            };
            data = with_signature(&data, &signature);
        }
        let id = object::hash(Kind::Commit, &data);
        finished.push(FinishedCommit { id, data });
        tip = Some(id);
    }
    Ok(finished)
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

/// The bytes of a commit on top of `parent`, without a signature.
fn commit_bytes(
    commit: &CommitOfTree<'_>,
    parent: Option<ObjectId>,
    identity: &Identity,
) -> Vec<u8> {
    let CommitOfTree {
        tree,
        merged,
        message,
    } = commit;
    let mut data = format!("tree {tree}\n");
    for parent in parent.iter().chain(merged) {
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
    /// For each new tree, the number of deltas that must be applied to read it.
    delta_depths: HashMap<ObjectId, u32>,
    objects: Vec<Encoded>,
}

impl<'s> Builder<'s> {
    fn new(store: &'s Store) -> Self {
        Self {
            store,
            trees: HashMap::new(),
            delta_depths: HashMap::new(),
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
        if !self.delta_depths.contains_key(&id) {
            // A delta against the replaced tree, unless the chain becomes too long.
            let delta = base.and_then(|base| {
                let replaced = self.trees.get(&base)?;
                let depth = self.delta_depths.get(&base)? + 1;
                let encode = || pack::delta(id, &data, base, &replaced.data);
                (depth <= MAX_CHAIN).then(|| (encode(), depth))
            });
            let (encoded, depth) = delta.unwrap_or_else(|| (pack::whole(id, Kind::Tree, &data), 0));
            self.objects.push(encoded);
            self.delta_depths.insert(id, depth);
        }
        if let Some(base) = base {
            self.replace(base);
        }
        let new = self.trees.entry(id).or_insert(NewTree { data, places: 0 });
        new.places += 1;
        id
    }
}
