//! Decides, without reading a file, whether it has changed.
//!
//! This is the one place that decides when a file need not be read again. All of these must hold:
//!
//! 1. Size, inode, modification time and change time are what they were.
//! 2. Both times lie before the moment at which they were recorded, by the clock of the file system: a file that is
//!    written again within the clock's resolution looks the same (git's "racy" rule).
//! 3. The change time has nanoseconds. File systems that keep none (sshfs, squashfs, iso9660, vfat) mostly have no change
//!    time either and report the modification time, which anyone can set.
//! 4. The file system is of a type that is known to set the change time on every write: not a network, FUSE or image
//!    file system (see `platform::ChangeTimes`).
//!
//! On any doubt the file is read and hashed again.

/// Seconds and nanoseconds.
pub(crate) type Time = (i64, i64);

/// The metadata of a file at one moment. The default value is not equal to that of any file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The size in bytes.
    pub size: u64,
    /// The inode number.
    pub inode: u64,
    /// The modification time.
    pub modified: Time,
    /// The change time (contents or metadata).
    pub changed: Time,
}

impl Stat {
    /// Whether the file has surely not changed since `known` was recorded. `taken` is the time of the
    /// file system at which it was recorded. `keeps_change_times` says whether the file system
    /// fulfils rule 4 at the top of this file.
    pub(crate) fn is_surely(
        &self,
        known: &Self,
        taken: Time,
        keeps_change_times: impl FnOnce() -> bool,
    ) -> bool {
        let (_, nanoseconds) = self.changed;
        self == known
            && self.modified < taken
            && self.changed < taken
            && nanoseconds != 0
            && keeps_change_times()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_settled_stat_with_a_real_change_time_is_believed() {
        let stat = Stat {
            size: 1,
            inode: 2,
            modified: (10, 0),
            changed: (10, 5),
        };
        let is_believed = |now: Stat, taken| now.is_surely(&stat, taken, || true);

        assert!(is_believed(stat, (11, 0)));
        assert!(is_believed(stat, (10, 6)));
        // Within the clock's resolution.
        assert!(!is_believed(stat, (10, 5)));
        // A file system that is not known to keep change times.
        assert!(!stat.is_surely(&stat, (11, 0), || false));
        // No nanoseconds: recorded and seen alike.
        let whole = Stat {
            changed: (10, 0),
            ..stat
        };
        assert!(!whole.is_surely(&whole, (11, 0), || true));

        for other in [
            Stat { size: 3, ..stat },
            Stat { inode: 3, ..stat },
            Stat {
                modified: (9, 0),
                ..stat
            },
            Stat {
                changed: (10, 4),
                ..stat
            },
        ] {
            assert!(!is_believed(other, (11, 0)), "{other:?}");
        }
    }
}
