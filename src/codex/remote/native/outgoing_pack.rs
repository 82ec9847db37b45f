//! The pack of a push, written while it is sent.

use std::cell::Cell;
use std::io::{self, Write};

use super::incoming_pack::PackParts;
use crate::codex::push_contents::PushContents;
use crate::codex::store::Store;
use crate::event::{Event, Reporter, Stage};
use crate::object::ObjectId;

/// Contents up to this size are read before they are sent, so that the length of the request is
/// known. git does the same for packs of up to 1 MiB, and documents compress to about a third.
const SMALL: u64 = 4 << 20;

/// The commits and trees up to `commits`, which `store` contains, and the contents of new files.
pub(super) struct OutgoingPack<'p> {
    pub(super) store: &'p Store,
    pub(super) commits: &'p [ObjectId],
    pub(super) contents: &'p mut dyn PushContents,
}

impl OutgoingPack<'_> {
    /// Prepares the pack, and returns its length if it is known. The contents of a large pack are
    /// read while it is sent, unless `is_length_required` is set or they were read before.
    pub(super) fn prepare(&mut self, is_length_required: bool) -> io::Result<Option<u64>> {
        let pending = self.contents.pending();
        if pending.bytes <= SMALL || pending.is_begun || is_length_required {
            self.contents.keep(&mut |_| ())?;
        }
        let is_kept = self.contents.pending().count == 0;
        Ok(is_kept.then(|| self.kept().length()))
    }

    /// Writes the pack, and reads the pending contents. A repeated request sends the same pack.
    pub(super) fn write(&mut self, out: &mut dyn Write, reporter: &dyn Reporter) -> io::Result<()> {
        if self.contents.pending().is_begun {
            self.contents.keep(&mut |_| ())?;
        }
        let kept = self.kept();
        let pending = self.contents.pending().count;
        let sent = Cell::new(0);
        let mut out = PackProgress {
            out,
            reporter,
            bytes: 0,
            reported: 0,
            kept_bytes: kept.length(),
            kept_count: u64::from(kept.count()),
            sent: &sent,
            total: u64::from(kept.count()) + u64::from(pending),
        };
        kept.write_with(pending, &mut out, |out| {
            self.contents
                .send(out, &mut |count| sent.set(u64::from(count)))
        })?;
        out.report();
        Ok(())
    }

    /// The part of the pack that the clone contains.
    fn kept(&self) -> PackParts {
        PackParts::of_push(self.store, self.commits, self.contents.ids())
    }
}

/// Reports how much of a push was sent.
struct PackProgress<'p> {
    out: &'p mut dyn Write,
    reporter: &'p dyn Reporter,
    bytes: u64,
    /// The number of bytes at the last report.
    reported: u64,
    /// The size and the number of objects of the part from the clone, which is sent first.
    kept_bytes: u64,
    kept_count: u64,
    /// The number of sent objects of the other part.
    sent: &'p Cell<u64>,
    total: u64,
}

impl PackProgress<'_> {
    /// The number of bytes between two reports of progress.
    const STEP: u64 = 64 << 10;

    fn report(&mut self) {
        self.reported = self.bytes;
        // The ends of the objects in the first part are unknown.
        let share = self.bytes.min(self.kept_bytes) * self.kept_count / self.kept_bytes.max(1);
        self.reporter.event(&Event::Progress {
            stage: Stage::Push,
            done: share + self.sent.get(),
            total: Some(self.total),
            files: None,
            bytes: Some(self.bytes),
        });
    }
}

impl Write for PackProgress<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.out.write(data)?;
        self.bytes += count as u64;
        if self.bytes - self.reported >= Self::STEP {
            self.report();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
