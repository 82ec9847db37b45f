//! A conversation with a remote over a carrier that stays open: list refs, fetch, push, and list
//! refs again.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::carrier::{Carrier, RequestBody};
use super::failure::Failure;
use super::idle_timeout::IdleTimeout;
use super::incoming_pack::{self, IncomingPack};
use super::kept_trees::KeptTrees;
use super::local_repository::LocalRepository;
use super::outgoing_pack::OutgoingPack;
use super::protocol::capabilities::{self, Advertisement, Capabilities, Service, Version};
use super::protocol::packet::{Messages, Packets};
use super::protocol::push::{Report, Update};
use super::protocol::{fetch, list, push};
use super::server_notes::ServerNotes;
use crate::codex::push_contents::PushContents;
use crate::codex::remote::context::RemoteContext;
use crate::codex::remote::error::RemoteErrorKind;
use crate::codex::remote::refs::{Refs, SHA_256};
use crate::codex::remote::server_message::mark;
use crate::codex::store::Store;
use crate::interrupt::OnSignal;
use crate::object::ObjectId;

/// After a push that lost a race, an older list of refs is probably outdated, so a fetch lists the
/// refs again.
const FRESH: Duration = Duration::from_millis(500);

/// The response to a push.
pub(super) struct Answered {
    /// The report of each update, in the order of the updates.
    pub(super) reports: Vec<Report>,
    /// Messages of the server, such as those of its hooks.
    pub(super) messages: Vec<String>,
}

/// A push that failed.
pub(super) struct PushFailure {
    pub(super) failure: Failure,
    /// Whether all of the push was sent, so that the server may have updated the branches.
    pub(super) is_sent: bool,
    pub(super) messages: Vec<String>,
}

/// A conversation with one repository.
pub(super) struct Conversation {
    context: RemoteContext,
    idle_timeout: IdleTimeout,
    carrier: Box<dyn Carrier>,
    services: Services,
    listed: ListedTips,
    notes: ServerNotes,
    /// The repository of a local path, if it can be read in place.
    local: Option<LocalRepository>,
    /// The kept trees of the tip, if fetching them would take a round trip.
    kept_trees: Option<KeptTrees>,
}

/// The state of the server's two services. Over a carrier that is not stateless, each is a running
/// process, and its state ends with it.
struct Services {
    /// The capabilities of the service that sends objects; `None` if it has to be greeted first.
    upload: Option<Capabilities>,
    /// The capabilities of the service that receives objects; `None` if it has to be greeted first.
    receive: Option<Capabilities>,
    /// Whether a service of version 0 has sent its refs and received no request yet.
    greeted: bool,
    /// Whether a running service has cut the history for a fetch. For later fetches it would keep
    /// that cut.
    has_cut: bool,
    /// The new tips of the last push by the full names of the branches, as long as a running
    /// service may list the refs from before it.
    pushed: Option<Vec<(String, ObjectId)>>,
}

/// The tips of branches in the last list of refs, which a fetch can use.
#[derive(Default)]
struct ListedTips {
    /// The tips by the short names of the branches, and the time of the list.
    last: Option<(BTreeMap<String, ObjectId>, Instant)>,
    /// Whether anything was pushed. Before that, the list is used at any age: an outdated tip costs
    /// a second push, but that is rare, and another list would cost a round trip each time.
    has_pushed: bool,
}

impl ListedTips {
    /// The tips of `branches`, if the list has them and they are probably still the tips.
    fn of(&self, branches: &[&str]) -> Option<Vec<ObjectId>> {
        let (listed, at) = self.last.as_ref()?;
        let is_likely = !self.has_pushed || at.elapsed() < FRESH;
        let tips = branches.iter().map(|branch| listed.get(*branch).copied());
        tips.collect::<Option<_>>().filter(|_| is_likely)
    }
}

impl Conversation {
    pub(super) fn new(
        context: RemoteContext,
        idle_timeout: IdleTimeout,
        carrier: Box<dyn Carrier>,
        notes: ServerNotes,
        local: Option<LocalRepository>,
    ) -> Self {
        let remembered = |service| {
            let of_use = carrier.is_stateless();
            notes.capabilities(service).filter(|_| of_use)
        };
        Self {
            services: Services {
                upload: remembered(Service::UploadPack),
                receive: remembered(Service::ReceivePack),
                greeted: false,
                has_cut: false,
                pushed: None,
            },
            listed: ListedTips::default(),
            kept_trees: notes.kept_trees().filter(|_| local.is_none()),
            notes,
            local,
            context,
            idle_timeout,
            carrier,
        }
    }

    /// Lists HEAD and the refs with these prefixes.
    pub(super) fn list(
        &mut self,
        prefixes: &[String],
        on_signal: OnSignal,
    ) -> Result<Refs, Failure> {
        if let Some(local) = &self.local {
            match local.refs(prefixes) {
                Some(refs) => return Ok(refs),
                None => self.local = None,
            }
        }
        self.listen(on_signal);
        if let Some(pushed) = self.services.pushed.clone() {
            return self.list_after_push(prefixes, &pushed);
        }
        self.with_greeting(|this| this.list_once(prefixes))
    }

    /// Lists refs after a push. A running `git upload-pack` lists the branches as they were before,
    /// but it resolves HEAD again: if that points to the only pushed branch, no other session is
    /// needed.
    fn list_after_push(
        &mut self,
        prefixes: &[String],
        pushed: &[(String, ObjectId)],
    ) -> Result<Refs, Failure> {
        if self
            .services
            .upload
            .as_ref()
            .is_some_and(|known| known.version == Version::V2)
            && let [(name, commit)] = pushed
            && let Ok(mut refs) = self.list_once(prefixes)
        {
            let has = |value: &str| {
                let mut values = refs.iter().filter(|(listed, _)| listed == "HEAD");
                values.any(|(_, listed)| *listed == value)
            };
            if has(&format!("ref: {name}")) && has(&commit.to_string()) {
                refs.retain(|(listed, _)| listed != name);
                refs.push((name.clone(), commit.to_string()));
                return Ok(refs);
            }
        }
        self.services.upload = None;
        self.with_greeting(|this| this.list_once(prefixes))
    }

    /// Lists refs once. In version 2 that is a command; in version 0 the service sends all refs when
    /// it is greeted.
    fn list_once(&mut self, prefixes: &[String]) -> Result<Refs, Failure> {
        let known = self.services.upload.take();
        let is_v2 = |capabilities: &Capabilities| capabilities.version == Version::V2;
        let capabilities = match known.filter(is_v2) {
            Some(capabilities) => capabilities,
            None => {
                let greeting = self.greet(Service::UploadPack)?;
                if !is_v2(&greeting.capabilities) {
                    self.services.upload = Some(greeting.capabilities);
                    self.services.greeted = true;
                    return Ok(greeting.refs);
                }
                greeting.capabilities
            }
        };

        let request = list::request(&capabilities, prefixes);
        let mut refs = Vec::new();
        self.carrier.request(
            Service::UploadPack,
            RequestBody::Bytes(&request),
            &mut |answer| {
                refs = list::read(&mut Packets::new(answer))?;
                Ok(())
            },
        )?;
        self.services.upload = Some(capabilities);
        Ok(refs)
    }

    /// Remembers the listed tips of branches for a later fetch.
    pub(super) fn note_tips(&mut self, tips: BTreeMap<String, ObjectId>) {
        self.listed.last = Some((tips, Instant::now()));
    }

    /// The tips of `branches` in the last list, if they are probably still the tips.
    pub(super) fn listed_tips(&self, branches: &[&str]) -> Option<Vec<ObjectId>> {
        self.listed.of(branches)
    }

    /// Makes `tips` and `depth` commits of their histories available in `store`: read in place,
    /// kept from an earlier run, or fetched. The first one becomes the tip of the clone.
    pub(super) fn fetch(
        &mut self,
        store: &Store,
        tips: &[ObjectId],
        depth: u32,
        on_signal: OnSignal,
    ) -> Result<(), Failure> {
        // A persistent clone must contain its objects itself, as the repository may change.
        let local = self.local.as_ref().filter(|_| !store.is_kept());
        if local.is_some_and(|local| tips.iter().all(|tip| local.lend(store, *tip))) {
            return Ok(());
        }

        self.listen(on_signal);
        let known = store
            .tip()
            .ok()
            .filter(|known| store.read_commit(*known).is_some());
        let is_restored = match tips {
            [tip] => known.is_none() && depth == 1 && self.restore_trees(store, *tip),
            _ => false,
        };
        if !is_restored {
            self.fetch_tips(store, tips, depth, known)?;
        }
        let recorded = tips.first().map_or(Ok(()), |tip| store.set_tip(*tip));
        recorded.map_err(|error| Failure::new(RemoteErrorKind::Other, error.to_string()))
    }

    /// Fills an empty clone with the trees of `tip` from an earlier run, and returns whether they
    /// were kept.
    fn restore_trees(&mut self, store: &Store, tip: ObjectId) -> bool {
        let kept_trees = self
            .kept_trees
            .as_mut()
            .filter(|_| store.holds_no_contents());
        kept_trees.is_some_and(|kept_trees| kept_trees.restore(store, tip))
    }

    /// Fetches `tips` into a clone that contains `known`.
    fn fetch_tips(
        &mut self,
        store: &Store,
        tips: &[ObjectId],
        depth: u32,
        known: Option<ObjectId>,
    ) -> Result<(), Failure> {
        let wanted = Want {
            ids: tips,
            haves: known.as_slice(),
            depth: Some(depth),
            filter: store.filter(),
        };
        let pack = self.with_greeting(|this| this.fetch_once(store, &wanted))?;
        if let Some(kept_trees) = self
            .kept_trees
            .as_mut()
            .filter(|_| store.holds_trees_alone())
        {
            match tips {
                [tip] => {
                    kept_trees.fetched(pack, known.is_none());
                    kept_trees.keep(store, *tip);
                }
                _ => kept_trees.give_up(),
            }
        }
        Ok(())
    }

    /// Fetches blobs by their ids, or trees with those below them that pass the filter.
    pub(super) fn fetch_objects(
        &mut self,
        store: &Store,
        ids: &[ObjectId],
        filter: Option<&str>,
    ) -> Result<(), Failure> {
        self.listen(OnSignal::Stop);
        let want = Want {
            ids,
            haves: &[],
            depth: None,
            filter,
        };
        // In version 0, a capability shows whether the server sends objects that no ref points to.
        let is_unadvertised = self.services.upload.as_ref().is_some_and(|known| {
            known.version == Version::V0 && !known.has("allow-reachable-sha1-in-want")
        });
        if is_unadvertised {
            return Err(Failure::of(RemoteErrorKind::Unadvertised));
        }
        match self.with_greeting(|this| this.fetch_once(store, &want)) {
            Err(failure) if failure.is_about_objects() => {
                Err(Failure::of(RemoteErrorKind::Unadvertised))
            }
            fetched => fetched.map(drop),
        }
    }

    fn fetch_once(&mut self, store: &Store, want: &Want<'_>) -> Result<Option<PathBuf>, Failure> {
        let capabilities = self.capabilities_to_fetch(want.depth.is_some())?;
        let mut shallow = incoming_pack::shallow(store)?;
        let wanted = fetch::WantedObjects {
            wants: want.ids,
            // Version 0 would require a negotiation.
            haves: match capabilities.version {
                Version::V2 => want.haves,
                Version::V0 => &[],
            },
            shallow: &shallow,
            depth: want.depth,
            filter: want.filter,
        };
        let request = fetch::request(&capabilities, &wanted);
        let mut pack = IncomingPack::new(store, self.context.reporter.clone())?;
        let mut messages = Messages::default();
        let mut boundary = fetch::ShallowBoundary::default();
        self.services.greeted = false;
        self.services.has_cut |= want.depth.is_some();
        let asked = self.carrier.request(
            Service::UploadPack,
            RequestBody::Bytes(&request),
            &mut |answer| {
                boundary = fetch::read(&capabilities, &wanted, answer, &mut pack, &mut messages)?;
                Ok(())
            },
        );
        asked.map_err(|failure| with_messages(failure, messages.into_lines()))?;
        let pack = pack.finish()?;
        let fetch::ShallowBoundary {
            shallow: cut,
            unshallow,
        } = boundary;
        shallow.extend(cut);
        shallow.retain(|id| !unshallow.contains(id));
        incoming_pack::set_shallow(store, &shallow)?;
        if capabilities.version == Version::V2 || self.carrier.is_stateless() {
            self.services.upload = Some(capabilities);
        } else {
            self.carrier.end(Service::UploadPack);
        }
        Ok(pack)
    }

    /// The capabilities of a service that is ready for a fetch, which is started if needed.
    fn capabilities_to_fetch(&mut self, is_to_cut: bool) -> Result<Capabilities, Failure> {
        let known = self.services.upload.take();
        let ready = |known: &Capabilities| match known.version {
            _ if self.carrier.is_stateless() => true,
            Version::V2 => !(is_to_cut && self.services.has_cut),
            Version::V0 => self.services.greeted,
        };
        match known.filter(ready) {
            Some(capabilities) => Ok(capabilities),
            None => Ok(self.greet(Service::UploadPack)?.capabilities),
        }
    }

    /// Starts the service for pushes, which takes time over ssh, during the work that precedes the
    /// push.
    pub(super) fn expect_push(&mut self) {
        self.carrier.connect(Service::ReceivePack);
    }

    /// Lists the refs of the service for pushes.
    pub(super) fn list_to_push(&mut self) -> Result<Refs, Failure> {
        self.listen(OnSignal::GoOn);
        let advertisement = self.greet(Service::ReceivePack)?;
        self.carrier.end(Service::ReceivePack);
        Ok(advertisement.refs)
    }

    /// Pushes updates with the `contents` of new files. Their commits and trees are in `store`.
    pub(super) fn push(
        &mut self,
        store: &Store,
        updates: &[Update<'_>],
        contents: &mut dyn PushContents,
    ) -> Result<Answered, PushFailure> {
        self.listen(OnSignal::GoOn);
        self.listed.has_pushed = true;
        let mut progress = Sending::default();
        let context = self.context.clone();
        let mut messages = Messages::heard_by(|line| context.report_awaited(Some(line)));
        let commits: Vec<_> = updates.iter().map(|update| update.new).collect();
        let mut once = |this: &mut Self, messages: &mut Messages<'_>| {
            let mut pack = OutgoingPack {
                store,
                commits: &commits,
                contents: &mut *contents,
            };
            this.push_once(updates, Some(&mut pack), &mut progress, messages)
        };
        let mut result = once(self, &mut messages);
        if let Err(Failure::LengthRequired) = &result {
            tracing::debug!("the server wants to know the length of a push");
            self.notes.note_length_required();
            result = once(self, &mut messages);
        }
        if let Err(Failure::ContradictsNotes(what)) = &result {
            tracing::debug!(what, "the server is not as remembered");
            self.notes.distrust();
            self.services.receive = None;
            result = once(self, &mut messages);
        }

        let messages = messages.into_lines();
        if !self.carrier.is_stateless() {
            let tips = updates
                .iter()
                .map(|update| (update.name.to_owned(), update.new));
            self.services.pushed = Some(tips.collect());
        }
        match result {
            Ok(reports) => {
                if let Some(kept_trees) = &self.kept_trees
                    && let ([Report::Accepted(_)], [commit]) = (&reports[..], &commits[..])
                {
                    kept_trees.keep(store, *commit);
                }
                Ok(Answered { reports, messages })
            }
            Err(failure) => Err(PushFailure {
                failure,
                is_sent: progress.is_complete,
                messages,
            }),
        }
    }

    /// Deletes a branch with the tip `update.old`. A request that only deletes has no pack.
    pub(super) fn delete(&mut self, update: &Update<'_>) -> Result<Answered, PushFailure> {
        self.listen(OnSignal::GoOn);
        let mut progress = Sending::default();
        let mut messages = Messages::default();
        let updates = std::slice::from_ref(update);
        let result = self.push_once(updates, None, &mut progress, &mut messages);
        // The refs and the capabilities that were read before are outdated.
        self.services.receive = None;
        let messages = messages.into_lines();
        match result {
            Ok(reports) => Ok(Answered { reports, messages }),
            Err(failure) => Err(PushFailure {
                failure,
                is_sent: progress.is_complete,
                messages,
            }),
        }
    }

    fn push_once(
        &mut self,
        updates: &[Update<'_>],
        mut pack: Option<&mut OutgoingPack<'_>>,
        progress: &mut Sending,
        messages: &mut Messages<'_>,
    ) -> Result<Vec<Report>, Failure> {
        let capabilities = match self.services.receive.take() {
            Some(capabilities) => capabilities,
            None => self.greet(Service::ReceivePack)?.capabilities,
        };
        let command = push::request(&capabilities, updates);
        let is_length_required = self.carrier.is_stateless() && self.notes.is_length_required();
        let length = match &mut pack {
            Some(pack) => pack.prepare(is_length_required)?,
            None => Some(0),
        };
        let verdict = self.context.remote.timeout.push_verdict;
        let idle_timeout = self.idle_timeout.clone();
        let context = self.context.clone();
        let mut write = |out: &mut dyn Write| {
            progress.is_complete = false;
            out.write_all(&command)?;
            if let Some(pack) = &mut pack {
                pack.write(out, context.reporter.as_ref())?;
            }
            // From now on, the server may process it, and its hooks may take long.
            progress.is_complete = true;
            idle_timeout.set(OnSignal::GoOn, verdict);
            context.report_awaited(None);
            Ok(())
        };
        let body = RequestBody::Stream {
            length: length.map(|length| length + command.len() as u64),
            write: &mut write,
        };
        let mut reports = None;
        let asked = self
            .carrier
            .request(Service::ReceivePack, body, &mut |answer| {
                reports = Some(push::read(&capabilities, updates, answer, messages)?);
                Ok(())
            });
        let is_known = matches!(asked, Ok(()) | Err(Failure::LengthRequired));
        if self.carrier.is_stateless() {
            self.services.receive = Some(capabilities).filter(|_| is_known);
        } else {
            self.carrier.end(Service::ReceivePack);
        }
        asked?;
        reports.ok_or_else(|| Failure::invalid("the server sent no report of the push"))
    }

    /// Restarts a service, and reads its capabilities.
    fn greet(&mut self, service: Service) -> Result<Advertisement, Failure> {
        let carrier = &mut self.carrier;
        carrier.end(service);
        if service == Service::UploadPack {
            self.services.has_cut = false;
            self.services.pushed = None;
        }
        let timeout = self.context.remote.timeout;
        let is_stateless = carrier.is_stateless();
        if !is_stateless {
            // A program connects before it prints anything.
            self.idle_timeout.set_idle(timeout.connect + timeout.idle);
        }
        let mut advertisement = None;
        carrier.greet(service, &mut |answer| {
            advertisement = Some(capabilities::read(&mut Packets::new(answer))?);
            Ok(())
        })?;
        self.idle_timeout.set_idle(timeout.idle);
        let advertisement = advertisement
            .ok_or_else(|| Failure::invalid("the server does not introduce itself"))?;
        if advertisement.capabilities.is_sha256() {
            return Err(Failure::new(RemoteErrorKind::ObjectFormat, SHA_256));
        }
        if is_stateless {
            self.notes.learn(service, &advertisement.capabilities);
        }
        Ok(advertisement)
    }

    /// Sets the time limit for requests with an immediate response.
    fn listen(&self, on_signal: OnSignal) {
        let timeout = self.context.remote.timeout;
        self.idle_timeout.set(on_signal, timeout.idle);
    }

    /// Sends a request that can be repeated safely: once more if the remembered capabilities were
    /// wrong.
    fn with_greeting<T>(
        &mut self,
        mut request: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut result = request(self);
        if let Err(Failure::ContradictsNotes(what)) = &result {
            tracing::debug!(what, "the server is not as remembered");
            self.notes.distrust();
            self.forget_session();
            result = request(self);
        }
        if result.is_err() {
            self.forget_session();
        }
        result
    }

    /// Ends the session after a failure, as its state is unknown.
    fn forget_session(&mut self) {
        self.services.upload = None;
        self.services.greeted = false;
        self.carrier.end(Service::UploadPack);
    }
}

/// The parameters of a fetch.
struct Want<'w> {
    ids: &'w [ObjectId],
    haves: &'w [ObjectId],
    depth: Option<u32>,
    filter: Option<&'w str>,
}

/// Adds the messages that the server sent before the failure.
fn with_messages(mut failure: Failure, messages: Vec<String>) -> Failure {
    if let Failure::Remote { detail, .. } = &mut failure {
        detail.extend(messages.iter().map(|line| mark(line)));
    }
    failure
}

/// The progress of sending a push.
#[derive(Default)]
struct Sending {
    is_complete: bool,
}
