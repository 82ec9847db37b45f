//! Masks the secrets of URLs in a text: of URLs in messages, in which nobody has parsed them. A URL that
//! was parsed masks itself ([`url`](crate::url)).

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::url::PUBLIC_USERS;
use crate::url_query::UrlQuery;

/// Masks passwords and tokens before the host of a URL.
pub(crate) fn mask_accounts(text: &str) -> Cow<'_, str> {
    /// A scheme and an account: everything up to the last `@` before the path, or a password with a
    /// slash in it.
    static ACCOUNT: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?i)\b([a-z][a-z0-9+.-]*)://(?:([^\s/?#`]+)|([^\s/?#:`@]*:[^\s`]+))@")
    });
    if !text.contains("://") || !text.contains('@') {
        return Cow::Borrowed(text);
    }
    ACCOUNT.replace_all(text, |found: &Captures<'_>| {
        let scheme = &found[1];
        let (account, can_be_port) = match (found.get(2), found.get(3)) {
            (Some(account), _) => (account.as_str(), false),
            (_, account) => (account.map_or("", |account| account.as_str()), true),
        };
        let masked = match account.split_once(':') {
            Some((_, rest)) if can_be_port && is_port(rest) => account.to_owned(),
            Some((_, "" | "x-oauth-basic")) => "***".to_owned(),
            Some((user, _)) => format!("{user}:***"),
            None if can_be_user(scheme, account) => account.to_owned(),
            None => "***".to_owned(),
        };
        format!("{scheme}://{masked}@")
    })
}

/// Masks passwords and tokens before a host, also if the scheme is missing, and the values of queries.
///
/// This is for texts that quote what a user has written. Addresses in the texts of servers have queries
/// that are meant to be followed.
pub(crate) fn mask_urls(text: &str) -> Cow<'_, str> {
    /// `user:password@host` without a scheme.
    static WITHOUT_SCHEME: LazyLock<Regex> =
        LazyLock::new(|| regex(r#"(@?)([^\s/:@`'"(,=]+):([^\s/@`][^\s@`]*)@([\w\[])"#));
    /// An http URL with its query and its fragment.
    static HTTP_URL: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?i)https?://[^\s`?#]*(?:\?[^\s`#\x1b]*)?(?:#[^\s`\x1b]*)?"));

    let mut text = mask_accounts(text);
    if text.contains('@') && text.contains(':') {
        let masked = WITHOUT_SCHEME.replace_all(&text, |found: &Captures<'_>| {
            let (before, user, rest, host) = (&found[1], &found[2], &found[3], &found[4]);
            match before.is_empty() && !is_port(rest) {
                true => format!("{user}:***@{host}"),
                false => format!("{before}{user}:{rest}@{host}"),
            }
        });
        text = Cow::Owned(masked.into_owned());
    }
    if text.contains("://") && text.contains(['?', '#']) {
        let masked = HTTP_URL.replace_all(&text, |found: &Captures<'_>| {
            UrlQuery::of(&found[0]).to_string()
        });
        text = Cow::Owned(masked.into_owned());
    }
    text
}

/// Whether the text after a host's colon begins with the number of a port.
fn is_port(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let end = end.unwrap_or(text.len());
    end > 0 && text[end..].starts_with(['/', '?', '#'])
}

/// Whether the text before `@` is a name and no token: in http URLs, a token can be there alone.
fn can_be_user(scheme: &str, account: &str) -> bool {
    const WITH_USERS: [&str; 4] = ["ssh", "git+ssh", "ssh+git", "git"];
    const LONG: usize = 20;
    let has_users = WITH_USERS
        .iter()
        .any(|one| one.eq_ignore_ascii_case(scheme));
    PUBLIC_USERS.contains(&account) || has_users && account.len() < LONG
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|_| unreachable!("the pattern is valid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_urls_are_masked() {
        for (text, masked) in [
            ("`https://u:s3cret@h/x`", "`https://u:***@h/x`"),
            ("https://s3cret@h/x.", "https://***@h/x."),
            (
                "https://s3cret:@h https://u:a@b@h",
                "https://***@h https://u:***@h",
            ),
            ("HTTPS://s3cret:x-oauth-basic@h", "HTTPS://***@h"),
            ("https://u:a/s3cret@h/x", "https://u:***@h/x"),
            (
                "https://git@h ssh://ada@h ssh://ada:s3@h",
                "https://git@h ssh://ada@h ssh://ada:***@h",
            ),
            (
                "https://h:80/x@y https://h/a@b",
                "https://h:80/x@y https://h/a@b",
            ),
            ("codex://acme/p/a?.md#x", "codex://acme/p/a?.md#x"),
            ("`u:s3cret@h/x` git@h:a/b", "`u:***@h/x` git@h:a/b"),
            ("https:/u:s3cret@h", "https:/u:***@h"),
            ("https://h/x?a=s3&b&c= y", "https://h/x?a=***&***&c= y"),
            (
                "https://h/x#s3cret, https://h/?",
                "https://h/x#*** https://h/?",
            ),
            ("a: b@c, Ada <a@h>, x", "a: b@c, Ada <a@h>, x"),
        ] {
            assert_eq!(mask_urls(text), masked, "{text}");
            assert_eq!(mask_urls(masked), masked, "{masked}");
        }
        let with_query = "see https://h/new?branch=x and https://u:s3@h/?a=b";
        assert_eq!(
            mask_accounts(with_query),
            "see https://h/new?branch=x and https://u:***@h/?a=b"
        );
    }
}
