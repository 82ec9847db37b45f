//! What the codex held of a project when it was last seen: with it, a run in which nothing changed needs no fetch, and
//! a dry run without network has something to compare with.
//!
//! A recorded listing is a fact about a tip: it is used only where the remote's tip is still that one (or where the
//! user asks for no network), and the plan is made from it by the same code as from a fetched tree. So it need not know
//! the configuration or the sources of the time.

use std::io;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

use crate::object::{Kind, Mode, ObjectId, hash};
use crate::plan::{Entry, Listing};
use crate::record::{self, Reader};
use crate::workspace::{Project, Workspace};

const HEAD: &str = "fractary-codex listing 2";

/// The records for one branch of one remote.
#[derive(Debug, Clone)]
pub struct State {
    directory: PathBuf,
}

/// What was recorded of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The branch.
    pub branch: String,
    /// Its tip, of which the listing is true; `None` for a codex without commits.
    pub tip: Option<ObjectId>,
    /// When, in seconds since the epoch.
    pub time: i64,
    /// What stood at the project's place.
    pub listing: Listing,
}

impl State {
    /// The records of the workspace's remote and branch.
    pub fn of(workspace: &Workspace) -> Self {
        let remote = &workspace.remote;
        Self::new(
            &workspace.state_dir,
            &remote.url.for_git(),
            remote.branch.as_deref(),
        )
    }

    /// The records below `state_dir` for the remote whose URL without secrets is `url`, and the branch that was asked
    /// for, or `None` for whatever its HEAD names.
    pub fn new(state_dir: &Path, url: &str, branch: Option<&str>) -> Self {
        let key = hash(
            Kind::Blob,
            format!("{url}\n{}", branch.unwrap_or_default()).as_bytes(),
        );
        Self {
            directory: state_dir.join("codex").join(key.to_string()),
        }
    }

    fn path(&self, project: &Project) -> PathBuf {
        // Places differ in more than case, names may not.
        self.directory
            .join(hash(Kind::Blob, project.to.as_bstr()).to_string())
    }

    /// What is recorded of `project`; `None` if nothing is, or if it is damaged.
    pub fn read(&self, project: &Project) -> Option<Recorded> {
        let body = record::read(&self.path(project), HEAD)?;
        let mut reader = Reader(&body);
        if reader.bytes()? != project.to.as_bstr().as_bytes() {
            return None;
        }
        let branch = String::from_utf8(reader.bytes()?.to_vec()).ok()?;
        let time = reader.number()?.cast_signed();
        let tip = ObjectId(reader.array()?);
        let mut entries = Vec::new();
        while !reader.0.is_empty() {
            let path = reader.bytes()?;
            let mode = Mode::from_octal(reader.bytes()?)?;
            entries.push((
                path.into(),
                Entry {
                    mode,
                    id: ObjectId(reader.array()?),
                },
            ));
        }
        let listing = Listing {
            entries: entries.into_iter().collect(),
            obstacle: None,
        };
        Some(Recorded {
            branch,
            tip: Some(tip).filter(|tip| tip.0 != [0; 20]),
            time,
            listing,
        })
    }

    /// Records what stands at the project's place. State that cannot be kept only costs a fetch next time.
    pub fn write(&self, project: &Project, recorded: &Recorded) -> io::Result<()> {
        // What obstructs a place is rare and looked at anew each time.
        if recorded.listing.obstacle.is_some() {
            return Ok(());
        }
        let mut body = Vec::with_capacity(recorded.listing.entries.len() * 80);
        record::push_bytes(&mut body, project.to.as_bstr());
        record::push_bytes(&mut body, recorded.branch.as_bytes());
        body.extend_from_slice(&recorded.time.to_le_bytes());
        body.extend_from_slice(&recorded.tip.map_or([0; 20], |tip| tip.0));
        for (path, entry) in &recorded.listing.entries {
            record::push_bytes(&mut body, path);
            record::push_bytes(&mut body, entry.mode.octal());
            body.extend_from_slice(&entry.id.0);
        }
        record::write(&self.path(project), HEAD, &body)
    }
}
