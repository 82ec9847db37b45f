//! One call into libgit2 that cannot hang: it runs in a thread of its own, and whoever waits for it looks at signals and
//! at how long nothing moved. libgit2 waits for a socket without end and cannot be called back meanwhile, so a call
//! that is given up is left to itself: it finds at its next step that nobody wants it, and ends with the program at last.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use git2::RemoteCallbacks;

use super::classify;
use super::ssh::Keys;
use crate::codex::error::{RemoteError, RemoteErrorKind};
use crate::codex::transport::bound::Bound;
use crate::codex::transport::classify::telling;
use crate::codex::transport::{OnSignal, process::TICK};
use crate::event::{Event, Stage};

/// How long a call that is given up may take to notice, so that it leaves nothing behind.
const GRACE: Duration = Duration::from_millis(250);
/// Of what the server says besides, so many bytes are kept.
const WORDS: usize = 64 << 10;

thread_local! {
    /// The call that this thread works for: libgit2 makes a transport from a URL alone.
    static CURRENT: RefCell<Option<Arc<Call>>> = const { RefCell::new(None) };
}

/// What a call and whoever waits for it share.
pub(super) struct Call {
    pub(super) bound: Bound,
    /// Nobody waits any more.
    given_up: AtomicBool,
    /// All of a push was handed to the network.
    sent: AtomicBool,
    moved: Mutex<Instant>,
    /// Why it fails, where libgit2's own error would not tell.
    cause: Mutex<Option<(RemoteErrorKind, Vec<String>)>>,
    /// What the server says besides.
    words: Mutex<Vec<u8>>,
}

impl Call {
    pub(super) fn new(bound: &Bound) -> Arc<Self> {
        Arc::new(Self {
            bound: bound.clone(),
            given_up: AtomicBool::new(false),
            sent: AtomicBool::new(false),
            moved: Mutex::new(Instant::now()),
            cause: Mutex::default(),
            words: Mutex::default(),
        })
    }

    /// The call that this thread works for.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Something moved. `false` if nobody waits for it any more.
    pub(super) fn moved(&self) -> bool {
        *held(&self.moved) = Instant::now();
        !self.given_up.load(Ordering::SeqCst)
    }

    /// All of a push was handed to the network: from now on the verdict is waited for.
    pub(super) fn set_sent(&self) {
        self.sent.store(true, Ordering::SeqCst);
        self.moved();
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::SeqCst)
    }

    /// Notes why the call fails, for the error that it ends with. The first cause counts.
    pub(super) fn fails(&self, kind: RemoteErrorKind, detail: Vec<String>) -> git2::Error {
        held(&self.cause).get_or_insert((kind, detail));
        git2::Error::from_str("see the cause")
    }

    /// What the server said besides, a line each.
    pub(super) fn words(&self) -> Vec<String> {
        let words = held(&self.words);
        let text = String::from_utf8_lossy(&words);
        text.split(['\n', '\r'])
            .filter(|line| !line.trim().is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Callbacks that notice what moves and tell how far `stage` is.
    pub(super) fn callbacks(self: &Arc<Self>, stage: Option<Stage>) -> RemoteCallbacks<'static> {
        let mut callbacks = RemoteCallbacks::new();
        if self.bound.remote.url.is_ssh() {
            let (call, mut keys) = (self.clone(), Keys::new(&self.bound));
            callbacks.credentials(move |_, user, allowed| {
                call.moved();
                keys.next(user, allowed)
            });
        }
        let call = self.clone();
        // Over ssh this is all that is heard of a fetch: once for each object and every 100 KB.
        callbacks.transfer_progress(move |progress| {
            let (done, total) = (
                progress.received_objects() as u64,
                progress.total_objects() as u64,
            );
            call.tell(stage, done, total, progress.received_bytes() as u64);
            call.moved()
        });
        let call = self.clone();
        callbacks.sideband_progress(move |bytes| {
            let mut words = held(&call.words);
            let room = WORDS.saturating_sub(words.len());
            words.extend(bytes.iter().take(room));
            drop(words);
            call.moved()
        });
        let call = self.clone();
        callbacks.push_transfer_progress(move |done, total, bytes| {
            call.moved();
            call.tell(stage, done as u64, total as u64, bytes as u64);
            // Over http the pack is not on its way yet: there the request tells.
            if done == total && !call.bound.remote.url.is_http() {
                call.set_sent();
            }
        });
        callbacks
    }

    fn tell(&self, stage: Option<Stage>, done: u64, total: u64, bytes: u64) {
        if let Some(stage) = stage.filter(|_| !self.given_up.load(Ordering::SeqCst)) {
            self.bound.reporter.event(&Event::Progress {
                stage,
                done,
                total: Some(total),
                files: None,
                bytes: Some(bytes),
            });
        }
    }

    /// How long nothing may move now.
    fn patience(&self) -> Duration {
        let timeout = &self.bound.remote.timeout;
        if self.is_sent() {
            timeout.push_verdict
        } else {
            timeout.connect + timeout.idle
        }
    }

    /// Does `work` in a thread of its own and waits for it; an error if it does not end by itself.
    pub(super) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        on_signal: OnSignal,
        work: impl FnOnce(&Arc<Self>) -> Result<T, git2::Error> + Send + 'static,
    ) -> Result<T, RemoteError> {
        let (sender, receiver) = mpsc::channel();
        let call = self.clone();
        let started = thread::Builder::new()
            .name("libgit2".to_owned())
            .spawn(move || {
                CURRENT.set(Some(call.clone()));
                let result = work(&call);
                CURRENT.set(None);
                let _ = sender.send(result);
            });
        if let Err(error) = started {
            return Err(self
                .bound
                .error(RemoteErrorKind::Other, vec![error.to_string()]));
        }
        loop {
            let (kind, detail) = match receiver.recv_timeout(TICK) {
                Ok(result) => return result.map_err(|error| self.failure(&error)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self
                        .bound
                        .error(RemoteErrorKind::Other, vec!["libgit2 broke off".to_owned()]));
                }
                Err(RecvTimeoutError::Timeout) => match (self.bound.interrupt.check(), on_signal) {
                    (Err(interrupted), OnSignal::Stop) => {
                        (RemoteErrorKind::Interrupted(interrupted), Vec::new())
                    }
                    _ if held(&self.moved).elapsed() > self.patience() => {
                        let limit = humantime::format_duration(self.patience());
                        (
                            RemoteErrorKind::TimedOut,
                            vec![format!("nothing moved for {limit}")],
                        )
                    }
                    _ => continue,
                },
            };
            self.given_up.store(true, Ordering::SeqCst);
            let _ = receiver.recv_timeout(GRACE);
            return Err(self.bound.error(kind, detail));
        }
    }

    /// What an error of libgit2 means.
    fn failure(&self, error: &git2::Error) -> RemoteError {
        tracing::debug!(code = ?error.code(), class = ?error.class(), "libgit2 failed");
        let words = self
            .words()
            .into_iter()
            .map(|line| format!("remote: {line}"));
        let (kind, lines) = match held(&self.cause).take() {
            Some((kind, lines)) => (kind, words.chain(lines).collect::<Vec<_>>()),
            None => {
                let lines: Vec<_> = words.chain([error.message().to_owned()]).collect();
                (classify::kind(error, &lines, &self.bound), lines)
            }
        };
        self.bound
            .error(kind, telling(&self.bound.redacted(&lines)))
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
