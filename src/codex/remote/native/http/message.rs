//! HTTP/1.1 messages as bytes, by the rules of RFC 9112: heads, and bodies with a length or in
//! chunks.

use std::io::{self, BufRead, Read, Write};

use crate::codex::remote::native::failure::Failure;

/// The maximum length of a head.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The maximum number of fields in a head.
const MAX_HEADERS: usize = 128;
/// The maximum length of a line between chunks.
const MAX_CHUNK_LINE: u64 = 4096;

/// The head of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::codex::remote::native) struct Head {
    pub(super) status: u16,
    /// Pairs of name, in lower case, and value.
    headers: Vec<(String, String)>,
    is_http_1_0: bool,
}

/// The way in which the end of a body is determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    /// The body ends with the connection.
    ToTheEnd,
}

impl Head {
    /// The first value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All values of a header, by its name in lower case.
    pub(super) fn values<'h, 'n>(
        &'h self,
        name: &'n str,
    ) -> impl Iterator<Item = &'h str> + use<'h, 'n> {
        let matching = self.headers.iter().filter(move |(key, _)| key == name);
        matching.map(|(_, value)| value.as_str())
    }

    /// Whether the connection can be used for another request after this response.
    fn keeps_alive(&self) -> bool {
        let mut options = self.values("connection").flat_map(|value| value.split(','));
        let mut has = |name: &str| options.any(|option| option.trim().eq_ignore_ascii_case(name));
        if self.is_http_1_0 {
            has("keep-alive")
        } else {
            !has("close")
        }
    }

    /// Determines the end of the body by the rules of RFC 9112: a transfer coding overrides the
    /// length, and contradictory lengths are an error.
    fn framing(&self) -> Result<Framing, Failure> {
        let invalid = || Failure::invalid("the server's response has no usable length");
        if matches!(self.status, 204 | 304) {
            return Ok(Framing::Length(0));
        }
        if let Some(coding) = self.values("transfer-encoding").last() {
            let is_chunked = coding.trim().eq_ignore_ascii_case("chunked");
            return is_chunked.then_some(Framing::Chunked).ok_or_else(invalid);
        }
        let mut lengths = self.values("content-length").map(str::trim);
        match lengths.next() {
            None => Ok(Framing::ToTheEnd),
            Some(length) if lengths.all(|other| other == length) => {
                length.parse().map(Framing::Length).map_err(|_| invalid())
            }
            Some(_) => Err(invalid()),
        }
    }
}

/// Reads the head of the final response. Interim responses (1xx) are skipped.
pub(super) fn read_head(stream: &mut impl BufRead) -> Result<Head, Failure> {
    /// The maximum number of interim responses.
    const MAX_INTERIM: usize = 16;
    for _ in 0..MAX_INTERIM {
        let head = read_one_head(stream)?;
        if !(100..200).contains(&head.status) {
            return Ok(head);
        }
    }
    Err(Failure::invalid("the server sends no final response"))
}

/// Reads a head line by line. Bytes after it are left in `stream`.
fn read_one_head(stream: &mut impl BufRead) -> Result<Head, Failure> {
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = parse_head(&bytes)? {
            return Ok(head);
        }
        let room = MAX_HEAD_BYTES.saturating_sub(bytes.len()) as u64;
        let read = stream.take(room).read_until(b'\n', &mut bytes)?;
        match read {
            0 if room == 0 => return Err(Failure::invalid("the head of the response is too long")),
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => {}
        }
    }
}

/// Parses the head in `bytes`; `None` if it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Failure> {
    if !bytes.ends_with(b"\n") {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .map_err(|_| Failure::invalid("the server's response is not http"))?;
    if parsed.is_partial() {
        return Ok(None);
    }
    let headers = response.headers.iter().map(|header| {
        let value = String::from_utf8_lossy(header.value).trim().to_owned();
        (header.name.to_ascii_lowercase(), value)
    });
    Ok(Some(Head {
        status: response.code.unwrap_or_default(),
        headers: headers.collect(),
        is_http_1_0: response.version == Some(0),
    }))
}

/// Reads the body of a response to its end.
pub(super) struct ResponseBody<S> {
    stream: S,
    state: BodyState,
    keeps_alive: bool,
}

/// The position in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyState {
    /// The number of remaining bytes.
    Length(u64),
    /// The number of remaining bytes of this chunk.
    InChunk(u64),
    BetweenChunks {
        is_first: bool,
    },
    ToTheEnd,
    Ended,
}

impl<S: BufRead> ResponseBody<S> {
    /// Begins to read the body of the response with the head `head`.
    pub(super) fn new(stream: S, head: &Head) -> Result<Self, Failure> {
        let state = match head.framing()? {
            Framing::Length(0) => BodyState::Ended,
            Framing::Length(length) => BodyState::Length(length),
            Framing::Chunked => BodyState::BetweenChunks { is_first: true },
            Framing::ToTheEnd => BodyState::ToTheEnd,
        };
        Ok(Self {
            stream,
            state,
            keeps_alive: head.keeps_alive() && state != BodyState::ToTheEnd,
        })
    }

    /// Whether the whole body was read and the connection can be used for another request.
    pub(super) fn is_reusable(&self) -> bool {
        self.state == BodyState::Ended && self.keeps_alive
    }

    /// Reads at most `left` bytes. The end of the stream is an error, because more bytes must
    /// follow.
    fn read_some(&mut self, buffer: &mut [u8], left: u64) -> io::Result<u64> {
        let room = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        match self.stream.read(&mut buffer[..room])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count as u64),
        }
    }

    /// Reads the size of the next chunk, and the trailers after the last one.
    fn next_chunk(&mut self, is_first: bool) -> io::Result<()> {
        if !is_first && !self.line()?.is_empty() {
            return Err(invalid_chunk());
        }
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let digits = (1..=15).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_hexdigit());
        let size = u64::from_str_radix(size, 16).ok().filter(|_| digits);
        self.state = match size {
            Some(0) => {
                for _ in 0..MAX_HEADERS {
                    if self.line()?.is_empty() {
                        self.state = BodyState::Ended;
                        return Ok(());
                    }
                }
                return Err(invalid_chunk());
            }
            Some(size) => BodyState::InChunk(size),
            None => return Err(invalid_chunk()),
        };
        Ok(())
    }

    /// Reads a line of the framing, without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream)
            .take(MAX_CHUNK_LINE)
            .read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8(line).map_err(|_| invalid_chunk())?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// The error of a body that is not divided into chunks correctly.
fn invalid_chunk() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the response is not in chunks")
}

impl<S: BufRead> Read for ResponseBody<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                BodyState::Ended => return Ok(0),
                BodyState::ToTheEnd => return self.stream.read(buffer),
                BodyState::BetweenChunks { is_first } => self.next_chunk(is_first)?,
                BodyState::Length(left) => {
                    let count = self.read_some(buffer, left)?;
                    self.state = match left - count {
                        0 => BodyState::Ended,
                        left => BodyState::Length(left),
                    };
                    return Ok(count as usize);
                }
                BodyState::InChunk(left) => {
                    let count = self.read_some(buffer, left)?;
                    self.state = match left - count {
                        0 => BodyState::BetweenChunks { is_first: false },
                        left => BodyState::InChunk(left),
                    };
                    return Ok(count as usize);
                }
            }
        }
    }
}

/// Writes a body in chunks.
pub(super) struct Chunks<W>(pub(super) W);

impl<W: Write> Chunks<W> {
    /// Writes the end of the body. Without it, the server rejects the body as incomplete.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.0.write_all(b"0\r\n\r\n")
    }
}

impl<W: Write> Write for Chunks<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // An empty chunk would end the body.
        if !data.is_empty() {
            write!(self.0, "{:x}\r\n", data.len())?;
            self.0.write_all(data)?;
            self.0.write_all(b"\r\n")?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The status, the body, and whether the connection can be used again.
    fn parse(bytes: &[u8]) -> Result<(u16, Vec<u8>, bool), Failure> {
        let mut stream = bytes;
        let head = read_head(&mut stream)?;
        let mut body = ResponseBody::new(stream, &head)?;
        let mut text = Vec::new();
        (&mut body).take(1 << 20).read_to_end(&mut text)?;
        Ok((head.status, text, body.is_reusable()))
    }

    #[test]
    fn head_determines_the_end_of_the_body() {
        for (bytes, body, reusable) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
                "ab",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab",
                "ab",
                false,
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "a", false),
            ("HTTP/1.1 200 OK\r\n\r\nall of it", "all of it", false),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
                "",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n",
                "abcde",
                true,
            ),
        ] {
            let (_, text, is_reusable) = parse(bytes.as_bytes()).unwrap();
            assert_eq!(
                (text, is_reusable),
                (body.as_bytes().to_vec(), reusable),
                "{bytes}"
            );
        }
    }

    #[test]
    fn incomplete_or_contradictory_responses_are_errors() {
        for bytes in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "garbage\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nab\r\n0\r\n\r\n",
        ] {
            assert!(parse(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }

    #[test]
    fn endless_head_is_rejected() {
        let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        bytes.extend(b"X: y\r\n".repeat(100_000));
        assert!(parse(&bytes).is_err());
        assert!(parse(&vec![b'x'; 1 << 20]).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_responses_never_panic(
            head in "(HTTP/1.1 [0-9]{3} x\r\n)?((Content-Length|Transfer-Encoding|Connection): ?(chunked|[0-9]{1,20}|close)\r\n){0,3}\r\n",
            body in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = parse(&[head.as_bytes(), &body].concat());
        }

        #[test]
        fn chunks_are_read_back(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 0..10)) {
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            let mut chunks = Chunks(&mut bytes);
            for part in &parts {
                chunks.write_all(part).unwrap();
            }
            chunks.end().unwrap();
            prop_assert_eq!(parse(&bytes).unwrap().1, parts.concat());
        }
    }
}
