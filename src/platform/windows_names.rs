//! Names and paths of Windows, as text: which names it cannot have, and its separators. Nothing here
//! calls the system.

use std::borrow::Cow;

use bstr::{BStr, ByteSlice};

/// Names of devices. A file cannot have one, whatever extension follows.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// The reason for which no file or directory can have this name. Windows removes dots and spaces at
/// the end of a name, reads a colon as the beginning of a stream's name, and opens a device for others,
/// so that another file would be read or written.
pub(super) fn problem(name: &[u8]) -> Option<&'static str> {
    let Ok(text) = name.to_str() else {
        return Some("the name is not UTF-8, which Windows needs");
    };
    if text.chars().any(|c| c < ' ' || r#"<>:"/\|?*"#.contains(c)) {
        return Some("the name has a character that Windows does not allow in names");
    }
    if text.ends_with(['.', ' ']) {
        return Some("the name ends with a dot or a space, which Windows would remove");
    }
    is_device(text).then_some("the name is that of a device of Windows")
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end_matches(' ').to_uppercase();
    let is_port = ["COM", "LPT"].iter().any(|kind| {
        let number = stem.strip_prefix(kind);
        let mut number = number.unwrap_or_default().chars();
        let digit = number.next();
        digit.is_some_and(|c| c.is_ascii_digit() || "¹²³".contains(c)) && number.next().is_none()
    });
    is_port || DEVICES.contains(&stem.as_str())
}

/// The path with the separator of git.
pub(super) fn with_slashes(path: &[u8]) -> Cow<'_, BStr> {
    match path.contains(&b'\\') {
        true => Cow::Owned(path.replace(b"\\", b"/").into()),
        false => Cow::Borrowed(path.as_bstr()),
    }
}

/// Whether `text` begins with the letter of a drive.
pub(super) fn has_drive(text: &str) -> bool {
    let after = match text.as_bytes() {
        [letter, b':', after @ ..] if letter.is_ascii_alphabetic() => after,
        _ => return false,
    };
    matches!(after, [] | [b'/' | b'\\', ..])
}

/// The path of a `file://` URL, `/C:/codex`, as a path, `C:/codex`.
pub(super) fn without_root(path: &[u8]) -> &[u8] {
    match path {
        [b'/', below @ ..] if below.to_str().is_ok_and(has_drive) => below,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_would_change_or_open_as_a_device_are_rejected() {
        for name in [
            "con",
            "NUL",
            "nul.md",
            "Aux.tar.gz",
            "com1",
            "LPT9.txt",
            "com¹",
            "con .md",
            "CONIN$",
            "a.",
            "a ",
            "...",
            "a:b",
            "c:",
            "a\\b",
            "a/b",
            "a?",
            "*",
            "a|b",
            "<",
            "\"",
            "a\tb",
        ] {
            assert!(problem(name.as_bytes()).is_some(), "{name}");
        }
        assert!(problem(b"\xff.md").is_some());
        for name in [
            "a.md",
            ".gitignore",
            "console",
            "com",
            "com10",
            "lpt",
            "nul-1",
            "a b",
            " a",
            "ä.md",
            "com_1",
            "auxiliary.md",
            "COMx",
            "x.con",
        ] {
            assert_eq!(problem(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn both_separators_are_the_same_path() {
        let slashes = |path: &str| with_slashes(path.as_bytes()).to_string();
        assert_eq!(slashes(r"docs\api/v1\a.md"), "docs/api/v1/a.md");
        assert_eq!(slashes("docs/a.md"), "docs/a.md");
        assert!(matches!(with_slashes(b"docs/a.md"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_drive_is_no_scheme_and_no_host() {
        for text in ["C:", r"c:\codex.git", "D:/codex.git"] {
            assert!(has_drive(text), "{text}");
        }
        for text in [
            "host:codex.git",
            "C:codex",
            "https://host/c",
            "/C:/codex",
            "",
            "é:/",
        ] {
            assert!(!has_drive(text), "{text}");
        }
        assert_eq!(without_root(b"/C:/codex"), b"C:/codex");
        assert_eq!(without_root(b"/srv/C:/codex"), b"/srv/C:/codex");
        assert_eq!(without_root(b"//server/share"), b"//server/share");
    }
}
