//! Opens and reads files below a project's root, and no others.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bstr::BStr;
use cap_std::fs::{Dir, File};

use super::error::ScanError;
use super::links::{DiskLinks, check_preserved};
use super::snapshot::{SkipReason, SourceFile};
use super::stat_cache::StatCache;
use crate::config::Symlinks;
use crate::object::{self, Kind, Mode, ObjectId, hash_reader};
use crate::platform::{self, FileKind, Look, bytes_of, path_of};
use crate::workspace::Project;
use crate::workspace::project::ScanPolicy;

/// A handle of a project's root. No path leads out of it.
pub(crate) struct SourceRoot {
    dir: Dir,
    path: PathBuf,
}

/// The id, mode and size of a file, or the reason why it is not published.
pub(super) type Content = Result<(ObjectId, Mode, u64), SkipReason>;

impl SourceRoot {
    /// Opens the root. It is an error if it does not exist. Whether it can be read shows when it is
    /// walked.
    pub(crate) fn open(project: &Project) -> Result<Self, ScanError> {
        let error = |source| ScanError::Root {
            root: project.root.clone(),
            source,
        };
        let path = dunce::canonicalize(&project.root).map_err(error)?;
        let dir = Dir::open_ambient_dir(&path, cap_std::ambient_authority()).map_err(error)?;
        Ok(Self { dir, path })
    }

    /// The root, with all links resolved.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a file, a directory or a link at `source`.
    pub(crate) fn contains(&self, source: &BStr) -> bool {
        self.dir.symlink_metadata(path_of(source)).is_ok()
    }

    /// Reads the file at `source` and hashes it. If `cache` shows that it is unchanged, it is not
    /// read.
    pub(super) fn hash(
        &self,
        source: &BStr,
        policy: &ScanPolicy,
        cache: &StatCache,
    ) -> Result<Content, ScanError> {
        let path = path_of(source);
        let error = |error| ScanError::Read {
            path: source.into(),
            source: error,
        };

        // Of the entry itself: the cache does not contain the targets of links.
        let entry = platform::look(&self.dir, path)
            .ok()
            .flatten()
            .filter(|look| look.kind == FileKind::File);
        if let Some(Look {
            mode, stat, device, ..
        }) = entry
            && stat.size <= policy.max_file_size
            && let Some(id) = cache.lookup(source, stat, || {
                cache.change_times.are_kept(&self.dir, path, device)
            })
        {
            cache.record(source, stat, id, false);
            return Ok(Ok((id, mode, stat.size)));
        }

        if policy.symlinks == Symlinks::Preserve
            && self.dir.symlink_metadata(path).map_err(error)?.is_symlink()
        {
            return self.hash_link(path).map_err(error);
        }

        cache.before_reading(&self.path);
        let file = self.open_file(path).map_err(error)?;
        let before = platform::look_at(&file).map_err(error)?;
        if before.kind != FileKind::File {
            return Ok(Err(SkipReason::Special));
        }
        let (size, limit) = (before.stat.size, policy.max_file_size);
        if size > limit {
            return Ok(Err(SkipReason::TooLarge { size, limit }));
        }

        let id = hash_reader(Kind::Blob, size, &file).map_err(error)?;
        let after = platform::look_at(&file).map_err(error)?;
        let Some(id) = id.filter(|_| before == after) else {
            return Err(ScanError::Changed {
                path: source.into(),
            });
        };

        // The stat from before the read is recorded, so that the next scan notices if the file was
        // written since.
        if let Some(look) = entry {
            cache.record(source, look.stat, id, true);
        }
        Ok(Ok((id, before.mode, size)))
    }

    fn hash_link(&self, path: &Path) -> io::Result<Content> {
        let target = self.dir.read_link_contents(path)?;
        let target = bytes_of(&target);
        let link = self.path.join(path);
        if let Err(reason) = check_preserved(&DiskLinks, &self.path, &link, &target) {
            return Ok(Err(reason));
        }
        Ok(Ok((
            object::hash(Kind::Blob, &target),
            Mode::Link,
            target.len() as u64,
        )))
    }

    /// Reads a scanned file again, to publish it. It is an error if its contents are not those of
    /// the scan, so that the published files are exactly the planned ones.
    pub(crate) fn contents(&self, file: &SourceFile) -> Result<Vec<u8>, ScanError> {
        let error = |source| ScanError::Read {
            path: file.source.clone(),
            source,
        };
        let path = path_of(&file.source);
        let data = if file.mode == Mode::Link {
            self.dir
                .read_link_contents(path)
                .map_err(error)?
                .into_os_string()
                .into_encoded_bytes()
        } else {
            let mut data = Vec::with_capacity(file.size as usize + 1);
            self.open_file(path)
                .map_err(error)?
                .take(file.size + 1)
                .read_to_end(&mut data)
                .map_err(error)?;
            data
        };
        if object::hash(Kind::Blob, &data) == file.id {
            Ok(data)
        } else {
            Err(ScanError::Changed {
                path: file.source.clone(),
            })
        }
    }

    /// Opens a file inside the root. The handle rejects links with an absolute target, so such a
    /// link is resolved first if its target is inside the root.
    fn open_file(&self, path: &Path) -> io::Result<File> {
        let options = platform::reading();
        self.dir.open_with(path, &options).or_else(|rejected| {
            let real = dunce::canonicalize(self.path.join(path))
                .map_err(|_| io::Error::from(rejected.kind()))?;
            match real.strip_prefix(&self.path) {
                Ok(inside) if inside != path => self.dir.open_with(inside, &options),
                _ => Err(rejected),
            }
        })
    }
}
