//! What git says of how far it is.

use bytesize::ByteSize;

/// Reads what git says behind a label: `  45% (12/27), 1.20 MiB | 3.10 MiB/s`. Bytes are told once there are some.
pub(super) fn read(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (numbers, rest) = text.split_once('(')?.1.split_once(')')?;
    let (done, total) = numbers.split_once('/')?;
    let moved = rest.strip_prefix(", ").and_then(|rest| rest.split([',', '|']).next());
    let bytes = moved.and_then(|moved| moved.trim().replace("bytes", "B").parse::<ByteSize>().ok());
    Some((done.parse().ok()?, total.parse().ok()?, bytes.map(|bytes| bytes.as_u64())))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn progress_is_read_as_git_writes_it() {
        for (text, expected) in [
            ("   3% (1/27)", Some((1, 27, None))),
            (" 100% (27/27), done.", Some((27, 27, None))),
            ("  45% (12/27), 740 bytes | 740.00 KiB/s", Some((12, 27, Some(740)))),
            (" 100% (27/27), 1.50 MiB | 3.10 MiB/s, done.", Some((27, 27, Some(1_572_864)))),
            (" all of them", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
