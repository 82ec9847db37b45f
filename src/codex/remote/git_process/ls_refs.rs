//! Lists refs by prefix over http. (`git ls-remote` transfers all refs of the repository and
//! filters them locally.)
//!
//! `git remote-https` connects with the user's proxies, certificates and credentials, and then
//! transmits packets of protocol version 2 unchanged (gitprotocol-v2, gitremote-helpers:
//! `stateless-connect`).

use crate::codex::remote::refs::Refs;

/// The response to a request for refs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Refs(Refs),
    /// The server does not speak version 2.
    Fallback,
    /// The repository stores objects of another format.
    ObjectFormat,
    /// The response is incomplete or invalid.
    Broken,
}

const FLUSH: &[u8] = b"0000";
const DELIMITER: &[u8] = b"0001";

/// The messages to send, each after the response to the previous one.
pub(super) fn messages(prefixes: &[String]) -> Vec<Vec<u8>> {
    let mut request = packet("command=ls-refs\n");
    request.extend(packet("object-format=sha1\n"));
    request.extend(DELIMITER);
    request.extend(packet("symrefs\n"));
    for prefix in prefixes {
        request.extend(packet(&format!("ref-prefix {prefix}\n")));
    }
    request.extend(FLUSH);
    vec![b"stateless-connect git-upload-pack\n".to_vec(), request]
}

fn packet(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

/// Parses the complete response.
pub(super) fn read(response: &[u8]) -> Listed {
    if response.starts_with(b"fallback") {
        return Listed::Fallback;
    }
    // An empty line confirms the connection.
    let Some(packets) = response.strip_prefix(b"\n") else {
        return Listed::Broken;
    };
    let mut packets = PacketSlice(packets);
    let Some(capabilities) = packets.section() else {
        return Listed::Broken;
    };
    if capabilities.first().is_none_or(|line| *line != "version 2") {
        return Listed::Broken;
    }
    let format = capabilities
        .iter()
        .find_map(|line| line.strip_prefix("object-format="));
    if format.is_some_and(|format| format != "sha1") {
        return Listed::ObjectFormat;
    }
    match packets.section() {
        Some(refs) => Listed::Refs(refs.iter().flat_map(|line| entries(line)).collect()),
        None => Listed::Broken,
    }
}

/// `ID NAME`, and for a symbolic ref ` symref-target:NAME` after it.
fn entries(line: &str) -> Refs {
    let mut words = line.split(' ');
    let (Some(id), Some(name)) = (words.next(), words.next()) else {
        return Vec::new();
    };
    let target = words.find_map(|word| word.strip_prefix("symref-target:"));
    let target = target.map(|target| (name.to_owned(), format!("ref: {target}")));
    let id = (name.to_owned(), id.to_owned());
    target.into_iter().chain([id]).collect()
}

struct PacketSlice<'a>(&'a [u8]);

impl PacketSlice<'_> {
    /// The lines up to the next flush packet; `None` if the response ends before it.
    fn section(&mut self) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let (length, rest) = self.0.split_at_checked(4)?;
            let length = usize::from_str_radix(str::from_utf8(length).ok()?, 16).ok()?;
            if length < 4 {
                self.0 = rest;
                match length {
                    0 => return Some(lines),
                    _ => continue,
                }
            }
            let (line, rest) = rest.split_at_checked(length - 4)?;
            self.0 = rest;
            let line = String::from_utf8_lossy(line);
            lines.push(line.trim_end_matches('\n').to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(sections: &[&[&str]]) -> Vec<u8> {
        let mut response = b"\n".to_vec();
        for section in sections {
            response.extend(section.iter().flat_map(|line| packet(line)));
            response.extend(FLUSH);
        }
        response
    }

    #[test]
    fn refs_are_parsed_with_the_target_of_head() {
        let capabilities: &[&str] = &["version 2\n", "ls-refs=unborn\n", "object-format=sha1\n"];
        let refs: &[&str] = &[
            "1f HEAD symref-target:refs/heads/main\n",
            "1f refs/heads/main",
        ];
        let entry = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut whole = response(&[capabilities, refs]);
        assert_eq!(
            read(&whole),
            Listed::Refs(vec![
                entry("HEAD", "ref: refs/heads/main"),
                entry("HEAD", "1f"),
                entry("refs/heads/main", "1f"),
            ])
        );
        whole.pop();
        assert_eq!(read(&whole), Listed::Broken);
        assert_eq!(
            read(&response(&[capabilities, &[]])),
            Listed::Refs(Vec::new())
        );
    }

    #[test]
    fn other_responses_are_recognized() {
        let sha256: &[&str] = &["version 2\n", "object-format=sha256\n"];
        assert_eq!(read(&response(&[sha256])), Listed::ObjectFormat);
        assert_eq!(read(b"fallback\n"), Listed::Fallback);
        for broken in [&b""[..], b"\n", b"\nzzzz", b"\n0009hello0000", b"\nffff"] {
            assert_eq!(read(broken), Listed::Broken);
        }
    }
}
