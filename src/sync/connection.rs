//! One connection to the remote for all steps of a run: publishing, pulling, and reading the
//! history.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use crate::codex::remote::{Purpose, Transport};

/// Keeps the transport of a run between its steps. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct ConnectionSlot(Arc<Mutex<Option<Open>>>);

/// An open transport. One that publishes may use another URL than one that only reads.
struct Open {
    transport: Box<dyn Transport>,
    purpose: Purpose,
}

impl ConnectionSlot {
    /// Takes the transport for `purpose` out of the slot, or opens one.
    pub(super) fn take<E>(
        &self,
        purpose: Purpose,
        open: impl FnOnce() -> Result<Box<dyn Transport>, E>,
    ) -> Result<Connection, E> {
        let kept = self.lock().take().filter(|open| open.purpose == purpose);
        let open = match kept {
            Some(open) => open,
            None => Open {
                transport: open()?,
                purpose,
            },
        };
        Ok(Connection {
            open: Some(open),
            slot: self.clone(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transport in use. It is put back into its slot when it is dropped, with its connections open.
pub(super) struct Connection {
    open: Option<Open>,
    slot: ConnectionSlot,
}

impl Deref for Connection {
    type Target = dyn Transport;

    fn deref(&self) -> &Self::Target {
        match &self.open {
            Some(open) => open.transport.as_ref(),
            None => unreachable!("only dropping takes the transport"),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        *self.slot.lock() = self.open.take();
    }
}
