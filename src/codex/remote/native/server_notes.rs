//! The capabilities of a server, kept between runs, so that stateless requests need no greeting.
//!
//! A note only saves a round trip. It is discarded with the first response that contradicts it, and
//! after a day, as the server may have been updated.

use std::path::{Path, PathBuf};

use super::kept_trees::KeptTrees;
use super::protocol::capabilities::{Capabilities, Service, Version};
use crate::object::{Kind, hash};
use crate::record::{self, RecordReader};

const HEAD: &str = "fractary-codex server 2";
/// The time in seconds after which a note is discarded.
const LIFETIME: i64 = 24 * 60 * 60;
/// The capabilities of a service are only kept if there are at most so many.
const MAX_LINES: usize = 100;

/// The location of the notes.
#[derive(Debug, Clone)]
pub(crate) struct NotesLocation {
    /// A directory of the user's state.
    pub directory: PathBuf,
    /// Whether this run may write notes.
    pub is_writable: bool,
    /// The current time in seconds since the epoch.
    pub now: i64,
}

/// The note about one server.
pub(super) struct ServerNotes {
    /// The file; `None` if no notes are kept.
    place: Option<(PathBuf, NotesLocation)>,
    note: Note,
    is_changed: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Note {
    /// The time of the first entry, in seconds since the epoch.
    time: i64,
    /// Whether the server contradicted its capabilities, so that it must be greeted each time.
    is_distrusted: bool,
    /// Whether the server rejected a push of unknown length.
    is_length_required: bool,
    upload: Option<Vec<String>>,
    receive: Option<Vec<String>>,
}

impl Note {
    fn slot(&mut self, service: Service) -> &mut Option<Vec<String>> {
        match service {
            Service::UploadPack => &mut self.upload,
            Service::ReceivePack => &mut self.receive,
        }
    }
}

impl ServerNotes {
    /// Reads the note about the server of the repository at `url`.
    pub(super) fn open(place: Option<NotesLocation>, url: &str) -> Self {
        let place = place.map(|place| {
            let name = hash(Kind::Blob, url.as_bytes()).to_string();
            (place.directory.join(name), place)
        });
        let note = place.as_ref().and_then(|(file, place)| {
            let note = read(file)?;
            let age = place.now.saturating_sub(note.time);
            (0..LIFETIME).contains(&age).then_some(note)
        });
        Self {
            place,
            note: note.unwrap_or_default(),
            is_changed: false,
        }
    }

    /// The kept trees of the tip of this repository.
    pub(super) fn kept_trees(&self) -> Option<KeptTrees> {
        let (file, place) = self.place.as_ref()?;
        Some(KeptTrees::new(
            file.with_extension("trees"),
            place.is_writable,
        ))
    }

    /// The remembered capabilities of a service.
    pub(super) fn capabilities(&self, service: Service) -> Option<Capabilities> {
        let mut note = self.note.clone();
        let lines = note.slot(service).take().filter(|_| !note.is_distrusted)?;
        Some(Capabilities {
            version: match service {
                Service::UploadPack => Version::V2,
                Service::ReceivePack => Version::V0,
            },
            lines,
        })
    }

    /// Records the capabilities of a service. Not in version 0, in which the greeting also has the
    /// refs.
    pub(super) fn learn(&mut self, service: Service, capabilities: &Capabilities) {
        let is_useful = match service {
            Service::UploadPack => capabilities.version == Version::V2,
            Service::ReceivePack => true,
        };
        let lines = is_useful.then(|| capabilities.lines.clone());
        let lines = lines.filter(|lines| lines.len() <= MAX_LINES);
        let slot = self.note.slot(service);
        if *slot != lines {
            *slot = lines;
            self.is_changed = true;
        }
    }

    /// Records that the server contradicted the note.
    pub(super) fn distrust(&mut self) {
        self.note.is_distrusted = true;
        self.is_changed = true;
    }

    /// Records that the server requires the length of a push in advance.
    pub(super) fn note_length_required(&mut self) {
        self.note.is_length_required = true;
        self.is_changed = true;
    }

    /// Whether the server requires the length of a push in advance.
    pub(super) fn is_length_required(&self) -> bool {
        self.note.is_length_required
    }
}

impl Drop for ServerNotes {
    fn drop(&mut self) {
        let Some((file, place)) = &self.place else {
            return;
        };
        if !self.is_changed || !place.is_writable {
            return;
        }
        if self.note.time == 0 {
            self.note.time = place.now;
        }
        if let Err(error) = record::write(file, HEAD, &encode(&self.note)) {
            tracing::debug!(%error, "what the server can do is not remembered");
        }
    }
}

fn read(file: &Path) -> Option<Note> {
    decode(&record::read(file, HEAD)?)
}

fn encode(note: &Note) -> Vec<u8> {
    let mut body = note.time.to_le_bytes().to_vec();
    for is_set in [note.is_distrusted, note.is_length_required] {
        record::push_bytes(&mut body, if is_set { b"1" } else { b"" });
    }
    for lines in [&note.upload, &note.receive] {
        // Capabilities contain no newline. An unknown service has no line.
        let text = lines.as_ref().map(|lines| lines.join("\n"));
        record::push_bytes(&mut body, text.unwrap_or_default().as_bytes());
    }
    body
}

fn decode(body: &[u8]) -> Option<Note> {
    let mut reader = RecordReader(body);
    let time = reader.number()?.cast_signed();
    let is_distrusted = !reader.bytes()?.is_empty();
    let is_length_required = !reader.bytes()?.is_empty();
    let mut lines = || {
        let text = std::str::from_utf8(reader.bytes()?).ok()?;
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        Some(Some(lines).filter(|lines| !lines.is_empty()))
    };
    Some(Note {
        time,
        is_distrusted,
        is_length_required,
        upload: lines()?,
        receive: lines()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn notes(directory: &Path, now: i64) -> ServerNotes {
        let place = NotesLocation {
            directory: directory.to_owned(),
            is_writable: true,
            now,
        };
        ServerNotes::open(Some(place), "https://h/x")
    }

    fn capabilities(version: Version) -> Capabilities {
        Capabilities {
            version,
            lines: vec!["fetch=filter".to_owned(), "agent=x".to_owned()],
        }
    }

    #[test]
    fn capabilities_are_remembered_for_a_day() {
        let directory = tempfile::tempdir().unwrap();
        let known = capabilities(Version::V2);
        notes(directory.path(), NOW).learn(Service::UploadPack, &known);
        let later = |now| notes(directory.path(), now).capabilities(Service::UploadPack);
        assert_eq!(later(NOW + 60), Some(known));
        assert_eq!(later(NOW + LIFETIME), None);
        assert_eq!(later(NOW - 60), None);
        let receive = notes(directory.path(), NOW).capabilities(Service::ReceivePack);
        assert_eq!(receive, None);
    }

    #[test]
    fn a_server_that_surprised_is_greeted_from_then_on() {
        let directory = tempfile::tempdir().unwrap();
        let known = capabilities(Version::V2);
        notes(directory.path(), NOW).distrust();
        notes(directory.path(), NOW).learn(Service::UploadPack, &known);
        let later = notes(directory.path(), NOW).capabilities(Service::UploadPack);
        assert_eq!(later, None);
    }

    #[test]
    fn version_0_is_not_remembered() {
        let directory = tempfile::tempdir().unwrap();
        notes(directory.path(), NOW).learn(Service::UploadPack, &capabilities(Version::V0));
        let later = notes(directory.path(), NOW).capabilities(Service::UploadPack);
        assert_eq!(later, None);
    }
}
