//! The encoding of the files that are checked.

use std::borrow::Cow;

/// The text of a file in UTF-16 with a byte order mark, as UTF-8; any other contents as they are.
/// All checks of a file use this text, so that their positions agree.
pub(crate) fn as_utf8(contents: &[u8]) -> Cow<'_, [u8]> {
    let (read, text): (fn([u8; 2]) -> u16, _) = match contents {
        [0xff, 0xfe, text @ ..] => (u16::from_le_bytes, text),
        [0xfe, 0xff, text @ ..] => (u16::from_be_bytes, text),
        _ => return Cow::Borrowed(contents),
    };
    let units = text.chunks_exact(2).map(|unit| read([unit[0], unit[1]]));
    let characters =
        char::decode_utf16(units).map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER));
    Cow::Owned(characters.collect::<String>().into_bytes())
}
