//! The request for objects, and its response.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use super::capabilities::{Capabilities, Version};
use super::list::command;
use super::packet::{Band, Messages, PacketRequest, Packets, server_error};
use super::{AGENT, OBJECT_FORMAT};
use crate::codex::remote::native::failure::Failure;
use crate::object::ObjectId;

/// The parameters of a fetch. There is no negotiation: the request lists the known commits, and the
/// server sends the rest.
pub(in crate::codex::remote::native) struct WantedObjects<'w> {
    /// The commits or blobs to fetch.
    pub(in crate::codex::remote::native) wants: &'w [ObjectId],
    /// The commits that the clone has, with their history down to `shallow`.
    pub(in crate::codex::remote::native) haves: &'w [ObjectId],
    /// The commits whose parents the clone lacks.
    pub(in crate::codex::remote::native) shallow: &'w BTreeSet<ObjectId>,
    /// The number of commits of each history to fetch; `None` for the whole history.
    pub(in crate::codex::remote::native) depth: Option<u32>,
    /// The filter for objects that the server omits.
    pub(in crate::codex::remote::native) filter: Option<&'w str>,
}

/// The changes that a fetch makes to the boundary of the clone's history.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::codex::remote::native) struct ShallowBoundary {
    /// The commits whose parents the clone lacks from now on.
    pub(in crate::codex::remote::native) shallow: Vec<ObjectId>,
    /// The commits whose parents the clone lacked before, and now has.
    pub(in crate::codex::remote::native) unshallow: Vec<ObjectId>,
}

/// The request of a fetch.
pub(in crate::codex::remote::native) fn request(
    capabilities: &Capabilities,
    wanted: &WantedObjects<'_>,
) -> Vec<u8> {
    match capabilities.version {
        Version::V2 => request_v2(capabilities, wanted),
        Version::V0 => request_v0(capabilities, wanted),
    }
}

/// The request in version 2: one command that ends with `done`, so that the server sends the pack
/// at once.
fn request_v2(capabilities: &Capabilities, wanted: &WantedObjects<'_>) -> Vec<u8> {
    let can_filter = capabilities.command_has("fetch", "filter");
    command(capabilities, "fetch")
        .delimiter()
        .lines(["no-progress", "ofs-delta"])
        .lines(wanted.shallow.iter().map(|id| format!("shallow {id}")))
        .lines(wanted.depth.map(|depth| format!("deepen {depth}")))
        .lines(wanted.filter_line(can_filter))
        .lines(wanted.wants.iter().map(|id| format!("want {id}")))
        .lines(wanted.haves.iter().map(|id| format!("have {id}")))
        .line("done")
        .flush()
        .into_bytes()
}

/// The request in version 0. The first `want` carries the capabilities that the client uses.
fn request_v0(capabilities: &Capabilities, wanted: &WantedObjects<'_>) -> Vec<u8> {
    // The pack is not thin, as no haves are sent, but dulwich requires a client that supports thin
    // packs.
    let known = [
        "thin-pack",
        "side-band-64k",
        "ofs-delta",
        "no-progress",
        "shallow",
        "filter",
    ];
    let mut asked: Vec<&str> = known
        .into_iter()
        .filter(|name| capabilities.has(name))
        .collect();
    asked.extend(capabilities.has("object-format").then_some(OBJECT_FORMAT));
    asked.extend(capabilities.has("agent").then_some(AGENT));
    let asked = asked.join(" ");
    let mut wants = wanted.wants.iter();
    let first = wants.next().map(|id| format!("want {id} {asked}"));
    PacketRequest::default()
        .lines(first)
        .lines(wants.map(|id| format!("want {id}")))
        // Before the shallow commits: git accepts any order, dulwich only this one.
        .lines(wanted.filter_line(capabilities.has("filter")))
        .lines(wanted.shallow.iter().map(|id| format!("shallow {id}")))
        .lines(wanted.depth.map(|depth| format!("deepen {depth}")))
        .flush()
        .line("done")
        .into_bytes()
}

impl WantedObjects<'_> {
    /// The line that requests the filter, if the server supports filters. Without one, it sends all
    /// objects.
    fn filter_line(&self, can_filter: bool) -> Option<String> {
        let filter = self.filter.filter(|_| can_filter);
        filter.map(|filter| format!("filter {filter}"))
    }
}

/// Reads the response: the pack is written to `pack`, messages of the server to `messages`.
pub(in crate::codex::remote::native) fn read(
    capabilities: &Capabilities,
    wanted: &WantedObjects<'_>,
    answer: impl Read,
    pack: &mut dyn Write,
    messages: &mut Messages<'_>,
) -> Result<ShallowBoundary, Failure> {
    let mut packets = Packets::new(answer);
    match capabilities.version {
        Version::V2 => read_v2(&mut packets, pack, messages),
        Version::V0 => {
            let boundary = match wanted.depth {
                Some(_) => read_boundary(&mut packets)?,
                None => ShallowBoundary::default(),
            };
            expect_nak(&mut packets)?;
            if capabilities.has("side-band-64k") {
                read_pack(&mut packets, pack, messages)?;
            } else {
                io::copy(&mut packets.into_inner(), pack)?;
            }
            Ok(boundary)
        }
    }
}

/// Reads the sections of a response in version 2, of which the last one holds the pack.
fn read_v2(
    packets: &mut Packets<impl Read>,
    pack: &mut dyn Write,
    messages: &mut Messages<'_>,
) -> Result<ShallowBoundary, Failure> {
    let mut boundary = ShallowBoundary::default();
    loop {
        let section = packets.text()?;
        match section.as_deref() {
            Some("shallow-info") => boundary = read_boundary(packets)?,
            Some("packfile") => {
                read_pack(packets, pack, messages)?;
                return Ok(boundary);
            }
            // Sections that a client without negotiation does not need.
            Some("acknowledgments" | "wanted-refs" | "packfile-uris") => {
                while packets.text()?.is_some() {}
            }
            _ => return Err(Failure::invalid("the answer to a fetch holds no pack")),
        }
    }
}

/// Reads lines `shallow ID` and `unshallow ID`, up to the end of their section.
fn read_boundary(packets: &mut Packets<impl Read>) -> Result<ShallowBoundary, Failure> {
    /// The maximum number of shallow commits.
    const MAX_SHALLOW: usize = 1_000_000;
    let mut boundary = ShallowBoundary::default();
    while let Some(line) = packets.text()? {
        let (list, id) = match line.split_once(' ') {
            Some(("shallow", id)) => (&mut boundary.shallow, id),
            Some(("unshallow", id)) => (&mut boundary.unshallow, id),
            _ => return Err(Failure::invalid("the server describes no shallow history")),
        };
        let id = ObjectId::from_hex(id)
            .filter(|_| list.len() < MAX_SHALLOW)
            .ok_or_else(|| Failure::invalid("the server describes no shallow history"))?;
        list.push(id);
    }
    Ok(boundary)
}

/// Reads the response of version 0 to a client without commits.
fn expect_nak(packets: &mut Packets<impl Read>) -> Result<(), Failure> {
    match packets.text()?.as_deref() {
        Some("NAK") => Ok(()),
        _ => Err(Failure::invalid("the answer to a fetch holds no pack")),
    }
}

/// Reads the side bands up to the flush packet: the pack, and messages of the server.
fn read_pack(
    packets: &mut Packets<impl Read>,
    pack: &mut dyn Write,
    messages: &mut Messages<'_>,
) -> Result<(), Failure> {
    loop {
        match packets.band()? {
            Band::Data(data) => pack.write_all(data)?,
            Band::Message(text) => messages.add(text),
            Band::Fatal(text) => return Err(server_error(text)),
            Band::Flush => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn capabilities(version: Version, lines: &[&str]) -> Capabilities {
        Capabilities {
            version,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    fn id(byte: u8) -> ObjectId {
        ObjectId([byte; 20])
    }

    fn with_wanted<T>(depth: Option<u32>, test: impl FnOnce(&WantedObjects<'_>) -> T) -> T {
        let shallow = BTreeSet::from([id(2)]);
        test(&WantedObjects {
            wants: &[id(1)],
            haves: &[id(3)],
            shallow: &shallow,
            depth,
            filter: Some("blob:none"),
        })
    }

    #[test]
    fn a_filter_is_asked_only_of_servers_that_have_it() {
        for (lines, asked) in [
            (&["fetch=shallow filter"][..], true),
            (&["fetch=shallow"], false),
        ] {
            let capabilities = capabilities(Version::V2, lines);
            let bytes = with_wanted(Some(1), |wanted| request(&capabilities, wanted));
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(text.contains("filter blob:none"), asked, "{text}");
            assert!(text.contains("deepen 1\n") && text.contains(&format!("have {}", id(3))));
        }
    }

    #[test]
    fn version_0_names_capabilities_with_the_first_want() {
        let capabilities = capabilities(Version::V0, &["side-band-64k", "multi_ack", "shallow"]);
        let bytes = with_wanted(None, |wanted| request(&capabilities, wanted));
        let text = String::from_utf8(bytes).unwrap();
        let first = format!("want {} side-band-64k shallow\n", id(1));
        assert!(
            text.contains(&first) && text.ends_with("00000009done\n"),
            "{text}"
        );
    }

    #[test]
    fn a_pack_and_the_ends_of_history_are_read() {
        let bytes = PacketRequest::default()
            .line("shallow-info")
            .line(&format!("shallow {}", id(7)))
            .delimiter()
            .line("packfile")
            .data(b"\x01PACK")
            .data(b"\x02hello\n")
            .data(b"\x01more")
            .flush()
            .into_bytes();
        let mut pack = Vec::new();
        let mut messages = Messages::default();
        let boundary = with_wanted(Some(1), |wanted| {
            let capabilities = capabilities(Version::V2, &[]);
            read(&capabilities, wanted, &bytes[..], &mut pack, &mut messages)
        });
        assert_eq!(boundary.unwrap().shallow, [id(7)]);
        assert_eq!(
            (pack, messages.into_lines()),
            (b"PACKmore".to_vec(), vec!["hello".to_owned()])
        );
    }

    #[test]
    fn a_server_that_gives_up_is_quoted() {
        let bytes = PacketRequest::default()
            .line("packfile")
            .data(b"\x03out of memory")
            .flush();
        let failure = with_wanted(None, |wanted| {
            let capabilities = capabilities(Version::V2, &[]);
            let bytes = bytes.into_bytes();
            read(
                &capabilities,
                wanted,
                &bytes[..],
                &mut Vec::new(),
                &mut Messages::default(),
            )
        });
        assert_eq!(
            failure.unwrap_err().to_string(),
            "Other: remote: out of memory"
        );
    }

    proptest! {
        #[test]
        fn hostile_answers_never_panic(
            lines in prop::collection::vec("shallow-info|packfile|NAK|shallow [0-9a-f]{38,42}|\\PC{0,40}", 0..8),
            tail in prop::collection::vec(any::<u8>(), 0..200),
            v2 in any::<bool>(),
        ) {
            let mut bytes = PacketRequest::default().lines(lines).into_bytes();
            bytes.extend(tail);
            let version = if v2 { Version::V2 } else { Version::V0 };
            let capabilities = capabilities(version, &["side-band-64k"]);
            let _ = with_wanted(Some(1), |wanted| {
                read(&capabilities, wanted, &bytes[..], &mut Vec::new(), &mut Messages::default())
            });
        }
    }
}
