//! The request of a push (a command, then a pack), and the report of the server.

use std::io::Read;

use super::capabilities::Capabilities;
use super::packet::{Messages, Packet, PacketRequest, Packets, server_error};
use super::{AGENT, OBJECT_FORMAT};
use crate::codex::remote::native::failure::Failure;
use crate::object::ObjectId;

/// The maximum size of a report, which has a few lines for each ref.
const MAX_BYTES: usize = 1 << 20;

/// In a command, the id of no object: the branch does not exist before, or not afterwards.
pub(in crate::codex::remote::native) const NO_OBJECT: ObjectId = ObjectId([0; 20]);

/// The update of a branch. The server rejects it unless `old` is the tip of the branch, so no
/// commit is overwritten.
#[derive(Debug, Clone, Copy)]
pub(in crate::codex::remote::native) struct Update<'u> {
    /// `None` for a branch that does not exist.
    pub(in crate::codex::remote::native) old: Option<ObjectId>,
    pub(in crate::codex::remote::native) new: ObjectId,
    /// The full name of the ref.
    pub(in crate::codex::remote::native) name: &'u str,
}

/// The server's report on one update of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::codex::remote::native) enum Report {
    /// The update was accepted. For a ref other than the branch, with the name of the ref that the
    /// server updated.
    Accepted(Option<String>),
    /// The server rejected the update, for this reason.
    Rejected(String),
    /// The server could not store the objects.
    NotUnpacked(String),
}

/// The part of the request before the pack.
pub(in crate::codex::remote::native) fn request(
    capabilities: &Capabilities,
    updates: &[Update<'_>],
) -> Vec<u8> {
    let mut asked = Some(asked(capabilities).join(" "));
    let commands = updates.iter().map(|Update { old, new, name }| {
        let old = old.unwrap_or(NO_OBJECT);
        match asked.take() {
            // The first command carries the capabilities.
            Some(asked) => format!("{old} {new} {name}\0 {asked}"),
            None => format!("{old} {new} {name}"),
        }
    });
    let request = commands.fold(PacketRequest::default(), |request, command| {
        request.data(command.as_bytes())
    });
    request.flush().into_bytes()
}

/// The capabilities that the client uses: the newest kind of report, and side bands. `quiet` is not
/// among them, as the progress of the server shows what it does after the pack was sent.
fn asked(capabilities: &Capabilities) -> Vec<&'static str> {
    let report = if capabilities.has("report-status-v2") {
        "report-status-v2"
    } else {
        "report-status"
    };
    let mut asked: Vec<_> = [report, "side-band-64k"]
        .into_iter()
        .filter(|name| capabilities.has(name))
        .collect();
    asked.extend(capabilities.has("object-format").then_some(OBJECT_FORMAT));
    asked.extend(capabilities.has("agent").then_some(AGENT));
    asked
}

/// Reads the report on each of `updates`, in the same order; messages of the server, such as those
/// of its hooks, are added to `messages`.
pub(in crate::codex::remote::native) fn read(
    capabilities: &Capabilities,
    updates: &[Update<'_>],
    answer: impl Read,
    messages: &mut Messages<'_>,
) -> Result<Vec<Report>, Failure> {
    let mut packets = Packets::new(answer);
    if !capabilities.has("side-band-64k") {
        return read_report(&mut packets, updates);
    }
    let mut inner = Vec::new();
    loop {
        match packets.next()? {
            Packet::Data([1, data @ ..]) => inner.extend_from_slice(data),
            Packet::Data([2, text @ ..]) => messages.add(text),
            Packet::Data([3, text @ ..]) => return Err(server_error(text)),
            // Gitblit sends the report outside of the requested side band.
            Packet::Data(line) if line.starts_with(b"unpack ") => {
                let first = line.to_vec();
                return read_lines(&mut packets, first, updates);
            }
            Packet::Data(_) | Packet::Delimiter | Packet::End => {
                return Err(Failure::invalid(
                    "a packet of the report is in no known side band",
                ));
            }
            Packet::Flush => return read_report(&mut Packets::new(&inner[..]), updates),
        }
        if inner.len() > MAX_BYTES {
            return Err(Failure::invalid("the report of the push does not end"));
        }
    }
}

/// Reads a report that begins with the next packet.
fn read_report(
    packets: &mut Packets<impl Read>,
    updates: &[Update<'_>],
) -> Result<Vec<Report>, Failure> {
    let first = match packets.next()? {
        Packet::Data(line) => line.to_vec(),
        _ => return Err(Failure::invalid("the server sent no report of the push")),
    };
    read_lines(packets, first, updates)
}

/// Reads a report that begins with the line `first`: the result of unpacking, and one line per ref.
/// A line `option refname` names the ref that the server updated instead of the preceding one.
fn read_lines(
    packets: &mut Packets<impl Read>,
    first: Vec<u8>,
    updates: &[Update<'_>],
) -> Result<Vec<Report>, Failure> {
    let first = String::from_utf8_lossy(&first).trim_end().to_owned();
    let unpacked = first
        .strip_prefix("unpack ")
        .ok_or_else(|| Failure::invalid("the server's report of the push is not one"))?;
    let mut verdicts: Vec<(String, Report)> = Vec::new();
    // A report without its final flush is complete, too.
    while let Ok(Some(line)) = packets.text() {
        match (verdicts.last_mut(), line.strip_prefix("option refname ")) {
            (Some((reference, Report::Accepted(instead))), Some(name)) if name != reference => {
                *instead = Some(name.to_owned());
            }
            _ => verdicts.extend(verdict_of(&line)),
        }
    }
    if unpacked != "ok" {
        let report = |_| Report::NotUnpacked(unpacked.to_owned());
        return Ok(updates.iter().map(report).collect());
    }
    let report_of = |update: &Update<'_>| {
        let mut found = verdicts.iter().filter(|(name, _)| name == update.name);
        found.next().map(|(_, report)| report.clone())
    };
    updates
        .iter()
        .map(report_of)
        .collect::<Option<_>>()
        .ok_or_else(|| Failure::invalid("the server's report does not mention the branch"))
}

/// The ref in a line of the report, and the result for it.
fn verdict_of(line: &str) -> Option<(String, Report)> {
    let (verdict, rest) = line.split_once(' ')?;
    let (reference, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let report = match verdict {
        "ok" => Report::Accepted(None),
        "ng" => Report::Rejected(reason.to_owned()),
        _ => return None,
    };
    Some((reference.to_owned(), report))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::capabilities::Version;
    use super::*;

    const UPDATE: Update<'static> = Update {
        old: None,
        new: ObjectId([0x11; 20]),
        name: "refs/heads/main",
    };

    fn capabilities(lines: &[&str]) -> Capabilities {
        Capabilities {
            version: Version::V0,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    fn banded(report: &[u8]) -> Vec<u8> {
        let packet = [&[1], report].concat();
        PacketRequest::default()
            .data(b"\x02hook\n")
            .data(&packet)
            .flush()
            .into_bytes()
    }

    fn report(answer: &[u8]) -> Result<Report, Failure> {
        let capabilities = capabilities(&["report-status", "side-band-64k"]);
        let reports = read(&capabilities, &[UPDATE], answer, &mut Messages::default());
        reports.map(|mut reports| reports.remove(0))
    }

    #[test]
    fn the_command_names_the_expected_old_id() {
        let capabilities = capabilities(&["report-status", "ofs-delta", "object-format=sha1"]);
        let update = Update {
            old: Some(ObjectId([0x22; 20])),
            ..UPDATE
        };
        let line = format!(
            "{} {} refs/heads/main\0 report-status object-format=sha1",
            "22".repeat(20),
            "11".repeat(20)
        );
        let expected = format!("{:04x}{line}0000", line.len() + 4);
        assert_eq!(request(&capabilities, &[update]), expected.as_bytes());
        let created = String::from_utf8(request(&capabilities, &[UPDATE])).unwrap();
        assert!(created[4..].starts_with(&"0".repeat(40)));
    }

    #[test]
    fn every_verdict_is_read() {
        let main = "refs/heads/main";
        for (lines, expected) in [
            (
                &["unpack ok", "ok refs/heads/main"][..],
                Report::Accepted(None),
            ),
            (
                &["unpack ok", "ng refs/heads/main fetch first"],
                Report::Rejected("fetch first".to_owned()),
            ),
            (
                &["unpack disk full", "ng refs/heads/main unpacker error"],
                Report::NotUnpacked("disk full".to_owned()),
            ),
            (
                &[
                    "unpack ok",
                    "ok refs/heads/main",
                    "option refname refs/for/main",
                ],
                Report::Accepted(Some("refs/for/main".to_owned())),
            ),
        ] {
            let plain = PacketRequest::default().lines(lines).flush().into_bytes();
            assert_eq!(report(&banded(&plain)).unwrap(), expected, "{main}");
            // Outside of the side band, as Gitblit sends it.
            assert_eq!(report(&plain).unwrap(), expected);
        }
    }

    #[test]
    fn each_update_has_its_own_verdict() {
        let capabilities = capabilities(&["report-status", "side-band-64k"]);
        let updates =
            ["refs/heads/a", "refs/heads/b", "refs/heads/c"].map(|name| Update { name, ..UPDATE });
        let text = String::from_utf8(request(&capabilities, &updates)).unwrap();
        assert_eq!(text.matches('\0').count(), 1, "{text}");
        assert!(text.contains(" refs/heads/b") && text.contains(" refs/heads/c"));

        let lines = [
            "unpack ok",
            "ng refs/heads/b hook declined",
            "ok refs/heads/c",
            "ok refs/heads/a",
            "option refname refs/for/a",
        ];
        let read = |lines: &[&str]| {
            let answer = banded(&PacketRequest::default().lines(lines).flush().into_bytes());
            read(
                &capabilities,
                &updates,
                &answer[..],
                &mut Messages::default(),
            )
        };
        let expected = [
            Report::Accepted(Some("refs/for/a".to_owned())),
            Report::Rejected("hook declined".to_owned()),
            Report::Accepted(None),
        ];
        assert_eq!(read(&lines).unwrap(), expected);
        assert!(read(&lines[..3]).is_err(), "a branch is not mentioned");
    }

    #[test]
    fn a_report_that_is_missing_or_of_another_ref_is_no_success() {
        let other = ["unpack ok", "ok refs/heads/main2"];
        let other = PacketRequest::default().lines(other).flush().into_bytes();
        for answer in [&b""[..], b"0000", &banded(b"0000"), &banded(&other)] {
            assert!(report(answer).is_err());
        }
    }

    proptest! {
        #[test]
        fn hostile_reports_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let _ = report(&bytes);
            let _ = report(&banded(&bytes));
        }
    }
}
