//! Pointers of git LFS: small texts that git has in the place of a large file. A pointer in a
//! project means that the file itself is not in the checkout, so the codex would get the pointer.

use bstr::ByteSlice;

use super::finding::{ContentCheck, Detection};

/// The first line of every pointer.
const VERSION: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// A pointer has fewer bytes than this, by its specification.
const LIMIT: usize = 1024;

/// Detects a file that is a pointer.
pub(super) fn detect(contents: &[u8]) -> Option<Detection> {
    if contents.len() >= LIMIT || !contents.starts_with(VERSION) {
        return None;
    }
    let mut lines = contents.lines();
    let id = lines.find_map(|line| line.strip_prefix(b"oid sha256:"))?;
    let is_id = id.len() == 64 && id.iter().all(u8::is_ascii_hexdigit);
    let has_size = contents.lines().any(|line| line.starts_with(b"size "));
    (is_id && has_size).then(|| Detection {
        check: ContentCheck::LfsPointers,
        kind: "lfs-pointer",
        offset: 0,
        message: "a pointer of git LFS instead of the file: run `git lfs pull`".to_owned(),
        subject: id.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_pointer_is_detected() {
        let pointer = format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
            "4d7a".repeat(16)
        );
        assert!(detect(pointer.as_bytes()).is_some());
        for other in [
            format!("An example:\n{pointer}"),
            pointer.replace("size", "length"),
            pointer.replace("sha256:4", "sha256:"),
            pointer.replace("git-lfs", "git-lfz"),
            format!("{pointer}{}", "x".repeat(1024)),
            String::new(),
        ] {
            assert!(detect(other.as_bytes()).is_none(), "{other}");
        }
    }
}
