//! Packet lines, in which git sends everything except packs.

use std::io::{self, Read};

use gix_packetline::blocking_io::StreamingPeekableIter;
use gix_packetline::blocking_io::encode::{data_to_write, delim_to_write, flush_to_write};
use gix_packetline::{BandRef, PacketLineRef};

use crate::codex::remote::native::failure::Failure;
use crate::codex::remote::server_message::mark;

/// Reads packets from a response, one at a time. A packet has at most 64 KiB.
pub(in crate::codex::remote::native) struct Packets<R> {
    lines: StreamingPeekableIter<R>,
}

/// One packet.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::codex::remote::native) enum Packet<'p> {
    Data(&'p [u8]),
    Flush,
    Delimiter,
    End,
}

/// A packet of a multiplexed response.
pub(in crate::codex::remote::native) enum Band<'p> {
    Data(&'p [u8]),
    /// Messages for the user.
    Message(&'p [u8]),
    /// The message of a fatal error.
    Fatal(&'p [u8]),
    Flush,
}

impl<R: Read> Packets<R> {
    pub(in crate::codex::remote::native) fn new(answer: R) -> Self {
        Self {
            lines: StreamingPeekableIter::new(answer, &[], false),
        }
    }

    /// The next packet. An error if the response ends, does not consist of packets, or contains an
    /// `ERR` packet.
    pub(in crate::codex::remote::native) fn next(&mut self) -> Result<Packet<'_>, Failure> {
        let line = self
            .lines
            .read_line()
            .unwrap_or_else(|| Err(io::Error::from(io::ErrorKind::UnexpectedEof)))?;
        let line = line.map_err(|_| Failure::NotPacketLines)?;
        if let Some(error) = line.check_error() {
            return Err(server_error(error.0));
        }
        Ok(match line {
            PacketLineRef::Data(data) => Packet::Data(data),
            PacketLineRef::Flush => Packet::Flush,
            PacketLineRef::Delimiter => Packet::Delimiter,
            PacketLineRef::ResponseEnd => Packet::End,
        })
    }

    /// The next line of text, without its newline; `None` at a flush, delimiter or end packet.
    pub(in crate::codex::remote::native) fn text(&mut self) -> Result<Option<String>, Failure> {
        Ok(match self.next()? {
            Packet::Data(data) => {
                let text = String::from_utf8_lossy(data);
                Some(text.strip_suffix('\n').unwrap_or(&text).to_owned())
            }
            Packet::Flush | Packet::Delimiter | Packet::End => None,
        })
    }

    /// The next packet of a multiplexed response.
    pub(in crate::codex::remote::native) fn band(&mut self) -> Result<Band<'_>, Failure> {
        let invalid = || Failure::invalid("a packet of the answer is in no known side band");
        match self.next()? {
            Packet::Data(data) => {
                match PacketLineRef::Data(data)
                    .decode_band()
                    .map_err(|_| invalid())?
                {
                    BandRef::Data(data) => Ok(Band::Data(data)),
                    BandRef::Progress(text) => Ok(Band::Message(text)),
                    BandRef::Error(text) => Ok(Band::Fatal(text)),
                }
            }
            Packet::Flush => Ok(Band::Flush),
            Packet::Delimiter | Packet::End => Err(invalid()),
        }
    }

    /// The data after the packets.
    pub(in crate::codex::remote::native) fn into_inner(self) -> R {
        self.lines.into_inner()
    }
}

/// The failure for an `ERR` packet or a fatal message. Its kind depends on the text, as there is no
/// code.
pub(in crate::codex::remote::native) fn server_error(text: &[u8]) -> Failure {
    use crate::codex::remote::error::RemoteErrorKind as Kind;
    use crate::codex::remote::error_messages::CORRUPTION;
    let text = String::from_utf8_lossy(text).trim().to_owned();
    let lower = text.to_lowercase();
    let contains = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let kind = if contains(&[
        "not found",
        "does not exist",
        "not appear to be a git",
        "no such",
    ]) {
        Kind::NotFound
    } else if contains(&[
        "denied",
        "not allowed",
        "unauthorized",
        "forbidden",
        "permission",
    ]) {
        Kind::Forbidden
    } else if contains(&[CORRUPTION]) {
        Kind::Damaged
    } else if contains(&["dubious ownership"]) {
        Kind::DubiousOwnership
    } else {
        Kind::Other
    };
    Failure::new(kind, mark(&text))
}

/// A request that is small enough for the memory.
#[derive(Default)]
pub(in crate::codex::remote::native) struct PacketRequest(Vec<u8>);

impl PacketRequest {
    /// Adds a line of text. It must contain no newline and fit into a packet, like ids, names and
    /// capabilities.
    pub(in crate::codex::remote::native) fn line(mut self, text: &str) -> Self {
        // Writing to memory does not fail, and the length is bounded by the callers.
        let _ = data_to_write(format!("{text}\n").as_bytes(), &mut self.0);
        self
    }

    pub(in crate::codex::remote::native) fn lines(
        self,
        lines: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let add = |request: Self, line| Self::line(request, AsRef::<str>::as_ref(&line));
        lines.into_iter().fold(self, add)
    }

    /// Adds a packet without a newline.
    pub(in crate::codex::remote::native) fn data(mut self, data: &[u8]) -> Self {
        let _ = data_to_write(data, &mut self.0);
        self
    }

    pub(in crate::codex::remote::native) fn delimiter(mut self) -> Self {
        let _ = delim_to_write(&mut self.0);
        self
    }

    pub(in crate::codex::remote::native) fn flush(mut self) -> Self {
        let _ = flush_to_write(&mut self.0);
        self
    }

    pub(in crate::codex::remote::native) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Receives each line of the server when it is complete, progress included.
type LineListener<'m> = Box<dyn Fn(&str) + 'm>;

/// Splits messages into lines. A line that ends with a carriage return is progress, which the next
/// line overwrites.
#[derive(Default)]
pub(in crate::codex::remote::native) struct Messages<'m> {
    listener: Option<LineListener<'m>>,
    lines: Vec<String>,
    /// The start of an incomplete line.
    partial: Vec<u8>,
    bytes: usize,
}

impl<'m> Messages<'m> {
    /// The maximum number of bytes that are kept.
    const MAX_BYTES: usize = 256 << 10;
    /// The maximum number of lines that are kept.
    const MAX_LINES: usize = 64 << 10;

    /// Calls `listener` with each line as soon as it is complete.
    pub(in crate::codex::remote::native) fn heard_by(listener: impl Fn(&str) + 'm) -> Self {
        Self {
            listener: Some(Box::new(listener)),
            ..Self::default()
        }
    }

    pub(in crate::codex::remote::native) fn add(&mut self, text: &[u8]) {
        for byte in text {
            match byte {
                b'\n' if self.lines.len() < Self::MAX_LINES => {
                    self.report_line();
                    self.end_line();
                }
                b'\n' => self.partial.clear(),
                b'\r' => {
                    self.report_line();
                    self.partial.clear();
                }
                _ if self.bytes < Self::MAX_BYTES => {
                    self.partial.push(*byte);
                    self.bytes += 1;
                }
                _ => {}
            }
        }
    }

    fn report_line(&self) {
        let line = String::from_utf8_lossy(&self.partial);
        if let Some(listener) = &self.listener
            && !line.trim().is_empty()
        {
            listener(line.trim_end());
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.partial).trim_end().to_owned();
        self.partial.clear();
        self.lines.push(line);
    }

    pub(in crate::codex::remote::native) fn into_lines(mut self) -> Vec<String> {
        if !self.partial.is_empty() {
            self.end_line();
        }
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packets(bytes: &[u8]) -> Packets<&[u8]> {
        Packets::new(bytes)
    }

    #[test]
    fn requests_are_framed_as_git_frames_them() {
        let bytes = PacketRequest::default()
            .line("command=ls-refs")
            .delimiter()
            .lines(["symrefs"])
            .data(b"x")
            .flush()
            .into_bytes();
        assert_eq!(bytes, b"0014command=ls-refs\n0001000csymrefs\n0005x0000");
    }

    #[test]
    fn packets_come_back_in_order() {
        let mut packets = packets(b"0006a\n00050001000000");
        assert_eq!(packets.next().unwrap(), Packet::Data(b"a\n"));
    }

    #[test]
    fn an_answer_that_ends_early_is_an_error() {
        for bytes in [&b""[..], b"00", b"000ashort", b"zzzz", b"0003"] {
            assert!(packets(bytes).next().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_error_packet_is_a_failure_in_the_servers_words() {
        let failure = packets(b"001cERR repository not found").next().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "NotFound: remote: repository not found"
        );
    }

    #[test]
    fn overwritten_progress_is_no_message() {
        let mut messages = Messages::default();
        messages.add(b"Checking: 10%\rChecking: 100%\rchecked\nno new");
        messages.add(b"line\n\nlast");
        assert_eq!(messages.into_lines(), ["checked", "no newline", "", "last"]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut plain = packets(&bytes);
            while plain.next().is_ok() {}
            let mut banded = packets(&bytes);
            while banded.band().is_ok() {}
        }

        #[test]
        fn what_was_framed_is_read_back(lines in prop::collection::vec("[ -~]{1,300}", 0..20)) {
            prop_assume!(lines.iter().all(|line| !line.starts_with("ERR ")));
            let bytes = PacketRequest::default().lines(&lines).flush().into_bytes();
            let mut packets = packets(&bytes);
            for line in &lines {
                prop_assert_eq!(packets.text().unwrap(), Some(line.clone()));
            }
            prop_assert_eq!(packets.text().unwrap(), None);
        }

        #[test]
        fn messages_are_bounded(text in prop::collection::vec(any::<u8>(), 0..3000), times in 1..200usize) {
            let mut messages = Messages::default();
            (0..times).for_each(|_| messages.add(&text));
            let kept: usize = messages.into_lines().iter().map(String::len).sum();
            // Bytes that are not UTF-8 are replaced by three.
            prop_assert!(kept <= 3 * Messages::MAX_BYTES);
        }
    }
}
