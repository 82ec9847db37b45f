//! The authentication schemes in `WWW-Authenticate` and `Proxy-Authenticate` headers.

/// The schemes that the values of such headers offer, in lower case. A value can hold several
/// challenges.
pub(super) fn schemes<'v>(values: impl Iterator<Item = &'v str>) -> Vec<String> {
    let parts = values.flat_map(comma_separated);
    parts
        .filter_map(|part| {
            let word = part.split_whitespace().next()?;
            // A part that begins with `NAME=` continues the challenge before it.
            (!word.contains('=')).then(|| word.to_ascii_lowercase())
        })
        .collect()
}

/// Whether only another scheme than Basic is offered. Without any offer, Basic is assumed, as curl
/// does.
pub(super) fn excludes_basic(schemes: &[String]) -> bool {
    !schemes.is_empty() && !schemes.iter().any(|scheme| scheme == "basic")
}

/// Splits at commas outside quotes.
fn comma_separated(value: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, c) in value.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                parts.push(&value[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_challenge_of_every_header_counts() {
        for (values, expected) in [
            (&["Basic realm=\"codex\""][..], &["basic"][..]),
            (&["Negotiate", "NTLM TlRMTVNT=="], &["negotiate", "ntlm"]),
            (
                &["Negotiate, Digest realm=\"a, \\\"b\", nonce=\"c\", BASIC realm=d"],
                &["negotiate", "digest", "basic"],
            ),
            (&["", " , "], &[]),
        ] {
            assert_eq!(schemes(values.iter().copied()), expected, "{values:?}");
        }
    }
}
