//! Finds damage in a kept clone before git works with it.
//!
//! git reads most of a repository without checks, and some damage makes it loop or report an error
//! of the server. Only this program writes a kept clone, so each file has one known form, and any
//! difference is damage. A damaged clone is deleted and fetched again.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::Path;

use rayon::prelude::*;
use sha1::{Digest, Sha1};

use super::objects::tree::{TreeError, decode};
use crate::object::{Mode, ObjectId};

/// The configuration of every clone. The settings for the remote are passed to each `git` process
/// instead.
pub(super) const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";
/// The branch that HEAD of every clone names. It never exists, so HEAD names no commit.
pub(super) const HEAD: &str = "none";
/// The ref of the clone that names the fetched tip.
pub(super) const TIP: &str = "refs/codex/tip";

/// Checks the files of the clone at `path`. The error describes the damage.
pub(super) fn check_files(path: &Path) -> Result<(), String> {
    let read = |name: &str| {
        fs::read_to_string(path.join(name)).map_err(|error| format!("{name}: {error}"))
    };
    if read("config")? != CONFIG {
        return Err("config was changed".to_owned());
    }
    if read("HEAD")? != format!("ref: refs/heads/{HEAD}\n") {
        return Err("HEAD was changed".to_owned());
    }
    if path.join("packed-refs").exists() || path.join("objects/info/alternates").exists() {
        return Err("packed refs or alternate objects exist".to_owned());
    }
    if path.join("shallow.lock").exists() {
        return Err("a fetch was interrupted".to_owned());
    }
    check_refs(path)?;
    check_objects(&path.join("objects"))
}

/// Checks that the only ref is the fetched tip.
fn check_refs(path: &Path) -> Result<(), String> {
    let mut found = Vec::new();
    let mut pending = vec![path.join("refs")];
    while let Some(directory) = pending.pop() {
        for entry in entries(&directory)? {
            if entry.path().is_dir() {
                pending.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    if found != [path.join(TIP)] {
        return Err(format!("expected one ref, found {}", found.len()));
    }
    let tip = fs::read_to_string(&found[0]).map_err(|error| format!("{TIP}: {error}"))?;
    match tip.strip_suffix('\n').and_then(ObjectId::from_hex) {
        Some(_) => Ok(()),
        None => Err(format!("{TIP} is damaged")),
    }
}

/// Checks that all objects are in packs, and that every pack, index and reverse index ends with its
/// correct checksum.
fn check_objects(objects: &Path) -> Result<(), String> {
    for entry in entries(objects)? {
        let name = entry.file_name();
        let is_known = name == "pack" || name == "info";
        if !is_known && entries(&entry.path())?.next().is_some() {
            return Err(format!("objects/{} is not empty", name.display()));
        }
    }
    let directory = objects.join("pack");
    let mut checked = Vec::new();
    let (mut packs, mut indexes) = (HashSet::new(), HashSet::new());
    for entry in entries(&directory)? {
        let path = entry.path();
        let stem = path.file_stem().unwrap_or_default().to_owned();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("pack") => drop(packs.insert(stem)),
            Some("idx") => drop(indexes.insert(stem)),
            Some("rev") => {}
            Some("promisor" | "keep") => continue,
            _ => return Err(format!("{} is not part of a pack", path.display())),
        }
        checked.push(path);
    }
    if packs != indexes {
        return Err("a pack or an index is missing".to_owned());
    }
    checked.par_iter().try_for_each(|path| {
        check_trailer(path).map_err(|error| format!("{}: {error}", path.display()))
    })
}

fn entries(directory: &Path) -> Result<impl Iterator<Item = fs::DirEntry>, String> {
    let read = |error: io::Error| format!("{}: {error}", directory.display());
    let entries: Result<Vec<_>, _> = fs::read_dir(directory).map_err(read)?.collect();
    Ok(entries.map_err(read)?.into_iter())
}

/// Checks the SHA-1 at the end of a file, and that an index belongs to the pack with the same name.
fn check_trailer(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let Some(body) = length.checked_sub(20) else {
        return Err(io::Error::other("too short"));
    };
    let mut sha = Sha1::new();
    let mut rest = body;
    let mut chunk = vec![0; 64 << 10];
    let mut end_of_body = Vec::new();
    while rest > 0 {
        let count = chunk.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        file.read_exact(&mut chunk[..count])?;
        sha.update(&chunk[..count]);
        end_of_body.extend_from_slice(&chunk[..count]);
        end_of_body.drain(..end_of_body.len().saturating_sub(20));
        rest -= count as u64;
    }
    let mut trailer = [0; 20];
    file.read_exact(&mut trailer)?;
    if sha.finalize()[..] != trailer {
        return Err(io::Error::other("wrong checksum"));
    }
    if path
        .extension()
        .is_some_and(|extension| extension != "pack")
        && end_of_body != trailer_of(&path.with_extension("pack"))?
    {
        return Err(io::Error::other("belongs to another pack"));
    }
    Ok(())
}

/// The last 20 bytes of a file.
fn trailer_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut trailer = Vec::new();
    file.seek(io::SeekFrom::End(-20))?;
    file.read_to_end(&mut trailer)?;
    Ok(trailer)
}

/// Checks that all commits in the history of `tip` exist, up to the boundary in the file `shallow`.
pub(super) fn check_history(
    shallow: &Path,
    tip: ObjectId,
    parents_of: impl Fn(ObjectId) -> Option<Vec<ObjectId>>,
) -> Result<(), String> {
    let cut: HashSet<ObjectId> = match fs::read_to_string(shallow) {
        Ok(text) => {
            let ids = text.split_terminator('\n').map(ObjectId::from_hex);
            let ids: Option<HashSet<_>> = ids.collect();
            ids.filter(|_| text.ends_with('\n'))
                .ok_or("shallow is damaged")?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => HashSet::new(),
        Err(error) => return Err(format!("shallow: {error}")),
    };
    let mut seen = HashSet::new();
    let mut pending: Vec<_> = cut.iter().copied().chain([tip]).collect();
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        let parents = parents_of(id).ok_or_else(|| format!("the commit {id} is missing"))?;
        if !cut.contains(&id) {
            pending.extend(parents);
        }
    }
    Ok(())
}

/// Checks that the tree `root` and all trees below it exist and are valid.
pub(super) fn check_trees(
    root: ObjectId,
    read: impl Fn(ObjectId) -> Result<Vec<u8>, TreeError>,
) -> Result<(), TreeError> {
    let mut seen = HashSet::new();
    let mut pending = vec![root];
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        let entries = decode(&read(id)?).ok_or(TreeError::Damaged(id))?;
        let trees = entries
            .iter()
            .filter(|entry| entry.mode == Mode::Directory)
            .map(|entry| entry.id);
        pending.extend(trees);
    }
    Ok(())
}
