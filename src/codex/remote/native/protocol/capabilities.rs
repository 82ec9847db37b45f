//! The first message of a server: its capabilities.

use std::io::Read;

use super::packet::{Packet, Packets};
use crate::codex::remote::native::failure::Failure;
use crate::codex::remote::refs::Refs;

/// The maximum size of a list of refs (about four million refs), so that a hostile server cannot
/// exhaust the memory.
const MAX_BYTES: usize = 256 << 20;
/// The maximum size of a list of capabilities.
const MAX_CAPABILITY_BYTES: usize = 1 << 20;

/// A service of a git server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::codex::remote::native) enum Service {
    /// Sends refs and objects.
    UploadPack,
    /// Receives pushes.
    ReceivePack,
}

impl Service {
    pub(in crate::codex::remote::native) fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// The version of the protocol that the server chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codex::remote::native) enum Version {
    /// Version 0 or 1, in which the server sends all refs first.
    V0,
    V2,
}

/// The capabilities of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::codex::remote::native) struct Capabilities {
    pub(in crate::codex::remote::native) version: Version,
    /// The capabilities as the server sent them: `NAME` or `NAME=VALUE`.
    pub(in crate::codex::remote::native) lines: Vec<String>,
}

impl Capabilities {
    /// Whether the server has this capability.
    pub(in crate::codex::remote::native) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The value of a capability; empty if it has no value, `None` if it is missing.
    pub(in crate::codex::remote::native) fn value(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            (key == name).then_some(value)
        })
    }

    /// Whether a command of version 2 has this feature.
    pub(in crate::codex::remote::native) fn command_has(
        &self,
        command: &str,
        feature: &str,
    ) -> bool {
        let features = self.value(command).unwrap_or_default();
        features.split(' ').any(|name| name == feature)
    }

    /// Whether the server stores objects under SHA-256 ids.
    pub(in crate::codex::remote::native) fn is_sha256(&self) -> bool {
        self.value("object-format") == Some("sha256")
    }
}

/// The first message of a service: its capabilities and, in version 0, its refs.
pub(in crate::codex::remote::native) struct Advertisement {
    pub(in crate::codex::remote::native) capabilities: Capabilities,
    /// Empty in version 2.
    pub(in crate::codex::remote::native) refs: Refs,
    /// Whether the history of the server itself is cut.
    pub(in crate::codex::remote::native) is_shallow: bool,
}

/// Reads an advertisement, up to its flush packet.
pub(in crate::codex::remote::native) fn read(
    packets: &mut Packets<impl Read>,
) -> Result<Advertisement, Failure> {
    let mut first = packets.text().map_err(Failure::of_first_response)?;
    if first
        .as_deref()
        .is_some_and(|line| line.starts_with("# service="))
    {
        match packets.next()? {
            Packet::Flush => first = packets.text()?,
            _ => {
                return Err(Failure::invalid(
                    "the service line is not followed by a flush",
                ));
            }
        }
    }
    match first.as_deref() {
        Some("version 2") => read_v2(packets),
        Some("version 1") => {
            let first = packets.text()?;
            read_v0(packets, first)
        }
        _ => read_v0(packets, first),
    }
}

/// Reads the capabilities of version 2, one per line. Refs are requested later.
fn read_v2(packets: &mut Packets<impl Read>) -> Result<Advertisement, Failure> {
    let mut lines = Vec::new();
    let mut size = Size::up_to(MAX_CAPABILITY_BYTES);
    while let Some(line) = packets.text()? {
        size.add(&line)?;
        lines.push(line);
    }
    Ok(Advertisement {
        capabilities: Capabilities {
            version: Version::V2,
            lines,
        },
        refs: Vec::new(),
        is_shallow: false,
    })
}

/// Reads the refs of version 0, of which the first carries the capabilities. Version 1 only adds a
/// line before them.
fn read_v0(
    packets: &mut Packets<impl Read>,
    first: Option<String>,
) -> Result<Advertisement, Failure> {
    let mut advertisement = Advertisement {
        capabilities: Capabilities {
            version: Version::V0,
            lines: Vec::new(),
        },
        refs: Vec::new(),
        is_shallow: false,
    };
    let mut size = Size::of_ref_list();
    let mut next = first;
    while let Some(line) = next {
        size.add(&line)?;
        let reference = match line.split_once('\0') {
            Some((reference, capabilities)) => {
                let lines = capabilities.split_whitespace().map(str::to_owned);
                advertisement.capabilities.lines = lines.collect();
                reference
            }
            None => line.as_str(),
        };
        advertisement.add(reference)?;
        next = packets.text()?;
    }
    advertisement.add_symbolic_refs();
    Ok(advertisement)
}

impl Advertisement {
    /// Adds a line of version 0: `ID NAME`, or `shallow ID`.
    fn add(&mut self, line: &str) -> Result<(), Failure> {
        let (id, name) = line
            .split_once(' ')
            .ok_or_else(|| Failure::invalid("a line of the ref list has no name"))?;
        match (id, name) {
            ("shallow", _) => self.is_shallow = true,
            // A placeholder for the capabilities without refs; and objects that no ref of this
            // repository points to.
            (_, "capabilities^{}" | ".have") => {}
            (_, name) if name.ends_with("^{}") => {}
            (id, name) => self.refs.push((name.to_owned(), id.to_owned())),
        }
        Ok(())
    }

    /// Adds the symbolic refs, which version 0 announces among the capabilities, before the other
    /// refs.
    fn add_symbolic_refs(&mut self) {
        let links = self.capabilities.lines.iter();
        let links = links.filter_map(|line| line.strip_prefix("symref=")?.split_once(':'));
        let links: Vec<_> = links
            .map(|(name, target)| (name.to_owned(), format!("ref: {target}")))
            .collect();
        self.refs.splice(0..0, links);
    }
}

/// Counts the bytes of a list while it is read.
pub(super) struct Size {
    bytes: usize,
    most: usize,
}

impl Size {
    /// The limit for a list of refs.
    pub(super) fn of_ref_list() -> Self {
        Self::up_to(MAX_BYTES)
    }

    /// A limit of `most` bytes.
    fn up_to(most: usize) -> Self {
        Self { bytes: 0, most }
    }

    /// Adds a line. An error if the list is too long. Each line counts as a few more bytes, so that
    /// empty lines count too.
    pub(super) fn add(&mut self, line: &str) -> Result<(), Failure> {
        self.bytes += line.len() + 16;
        if self.bytes > self.most {
            return Err(Failure::invalid(
                "the list that the server sends does not end",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::packet::PacketRequest;
    use super::*;

    const ID: &str = "1111111111111111111111111111111111111111";

    fn advertised(bytes: Vec<u8>) -> Result<Advertisement, Failure> {
        read(&mut Packets::new(&bytes[..]))
    }

    #[test]
    fn version_2_is_capabilities_alone() {
        let request = PacketRequest::default()
            .line("# service=git-upload-pack")
            .flush()
            .lines([
                "version 2",
                "agent=git/2.47",
                "fetch=shallow filter",
                "server-option",
            ])
            .flush();
        let capabilities = advertised(request.into_bytes()).unwrap().capabilities;
        assert_eq!(capabilities.version, Version::V2);
        assert!(capabilities.command_has("fetch", "filter") && capabilities.has("server-option"));
        assert!(!capabilities.command_has("fetch", "filt") && !capabilities.has("ls-refs"));
    }

    #[test]
    fn version_0_has_refs_and_symbolic_refs() {
        let first = format!("{ID} HEAD\0multi_ack symref=HEAD:refs/heads/main agent=x");
        let request = PacketRequest::default()
            .lines([
                &first,
                &format!("{ID} refs/heads/main"),
                &format!("{ID} refs/tags/v1^{{}}"),
            ])
            .flush();
        let advertisement = advertised(request.into_bytes()).unwrap();
        assert_eq!(advertisement.capabilities.version, Version::V0);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            pair("HEAD", "ref: refs/heads/main"),
            pair("HEAD", ID),
            pair("refs/heads/main", ID),
        ];
        assert_eq!(advertisement.refs, expected);
    }

    #[test]
    fn an_empty_repository_has_capabilities_and_no_refs() {
        let line = format!("{} capabilities^{{}}\0report-status", "0".repeat(40));
        let advertisement =
            advertised(PacketRequest::default().line(&line).flush().into_bytes()).unwrap();
        assert!(advertisement.refs.is_empty() && advertisement.capabilities.has("report-status"));
        let nothing = advertised(b"0000".to_vec()).unwrap();
        assert!(nothing.refs.is_empty());
    }

    proptest! {
        #[test]
        fn hostile_advertisements_never_panic(lines in prop::collection::vec("\\PC{0,60}|version [0-3]|shallow .*|[0-9a-f]{40} \\PC*", 0..8)) {
            let _ = advertised(PacketRequest::default().lines(lines).flush().into_bytes());
        }
    }
}
