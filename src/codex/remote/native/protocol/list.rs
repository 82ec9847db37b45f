//! The command `ls-refs` of version 2, which lists refs by prefix.

use std::io::Read;

use super::capabilities::{Capabilities, Size};
use super::packet::{PacketRequest, Packets};
use super::{AGENT, OBJECT_FORMAT};
use crate::codex::remote::native::failure::Failure;
use crate::codex::remote::refs::Refs;

/// The request for refs that start with one of `prefixes`.
pub(in crate::codex::remote::native) fn request(
    capabilities: &Capabilities,
    prefixes: &[String],
) -> Vec<u8> {
    let unborn = capabilities.command_has("ls-refs", "unborn");
    let prefixes = prefixes.iter().map(|prefix| format!("ref-prefix {prefix}"));
    command(capabilities, "ls-refs")
        .delimiter()
        .line("symrefs")
        .lines(unborn.then_some("unborn"))
        .lines(prefixes)
        .flush()
        .into_bytes()
}

/// The start of a command of version 2.
pub(super) fn command(capabilities: &Capabilities, name: &str) -> PacketRequest {
    PacketRequest::default()
        .line(&format!("command={name}"))
        .lines(capabilities.has("agent").then_some(AGENT))
        .lines(capabilities.has("object-format").then_some(OBJECT_FORMAT))
}

/// Reads the response.
pub(in crate::codex::remote::native) fn read(
    packets: &mut Packets<impl Read>,
) -> Result<Refs, Failure> {
    let mut refs = Vec::new();
    let mut size = Size::of_ref_list();
    while let Some(line) = packets.text()? {
        size.add(&line)?;
        let mut words = line.split(' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else {
            return Err(Failure::invalid("a line of the ref list has no name"));
        };
        let target = words.find_map(|word| word.strip_prefix("symref-target:"));
        // HEAD of an empty repository, which points to a missing branch.
        if id == "unborn" {
            continue;
        }
        refs.extend(target.map(|target| (name.to_owned(), format!("ref: {target}"))));
        refs.push((name.to_owned(), id.to_owned()));
    }
    Ok(refs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::capabilities::Version;
    use super::*;

    #[test]
    fn only_what_the_server_knows_is_asked() {
        let capabilities = Capabilities {
            version: Version::V2,
            lines: vec!["ls-refs=unborn".to_owned(), "object-format=sha1".to_owned()],
        };
        let text = request(&capabilities, &["HEAD".to_owned()]);
        let expected: &[u8] = b"0014command=ls-refs\n0017object-format=sha1\n0001000csymrefs\n000bunborn\n0014ref-prefix HEAD\n0000";
        assert_eq!(text, expected);
    }

    #[test]
    fn refs_and_symbolic_refs_are_read() {
        let bytes = PacketRequest::default()
            .lines([
                "11 HEAD symref-target:refs/heads/main",
                "11 refs/heads/main",
                "22 refs/tags/v1 peeled:11",
            ])
            .flush()
            .into_bytes();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read(&mut Packets::new(&bytes[..])).unwrap(),
            [
                pair("HEAD", "ref: refs/heads/main"),
                pair("HEAD", "11"),
                pair("refs/heads/main", "11"),
                pair("refs/tags/v1", "22"),
            ]
        );
    }

    #[test]
    fn an_unborn_head_is_no_ref() {
        let line = "unborn HEAD symref-target:refs/heads/main";
        let bytes = PacketRequest::default().line(line).flush().into_bytes();
        assert!(read(&mut Packets::new(&bytes[..])).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn hostile_lists_never_panic(lines in prop::collection::vec("\\PC{0,80}", 0..10)) {
            let bytes = PacketRequest::default().lines(lines).flush().into_bytes();
            let _ = read(&mut Packets::new(&bytes[..]));
        }
    }
}
