//! The author, the committer and the signer of a run's commits.

use std::cell::OnceCell;

use super::request::SyncRequest;
use crate::codex::git_config::Settings;
use crate::codex::identity::{Identity, identity};
use crate::codex::signing::{Signer, SigningError, is_wanted};

/// Author, committer and signer of a run's commits.
pub(super) struct Authorship<'r> {
    request: &'r SyncRequest<'r>,
    settings: Settings,
    pub(super) identity: Identity,
    /// Holds `None` if commits are not signed.
    signer: OnceCell<Option<Signer>>,
}

impl<'r> Authorship<'r> {
    pub(super) fn new(request: &'r SyncRequest<'r>) -> Self {
        let settings = Settings::read(request.environment);
        let policy = &request.workspace.commit;
        let identity = identity(policy, &settings, request.environment, request.now);
        Self {
            request,
            settings,
            identity,
            signer: OnceCell::new(),
        }
    }

    /// The signer of the commits; `None` if they are not signed. The key is determined by the first
    /// call, so that a run without commits needs no key.
    pub(super) fn signer(&self) -> Result<Option<&Signer>, SigningError> {
        if let Some(signer) = self.signer.get() {
            return Ok(signer.as_ref());
        }
        let signer = self.open()?;
        Ok(self.signer.get_or_init(|| signer).as_ref())
    }

    fn open(&self) -> Result<Option<Signer>, SigningError> {
        let request = self.request;
        if !is_wanted(request.workspace.commit.sign, &self.settings)? {
            return Ok(None);
        }
        Signer::open(
            &self.settings,
            request.environment,
            &self.identity.committer,
            &request.workspace.root,
            &request.temporary,
            &request.interrupt,
        )
        .map(Some)
    }
}
