//! Parses the types of keys from the text in the configuration.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};

use crate::secret::Secret;
use crate::token_host::TokenHost;

/// A type that is parsed from the text of a scalar.
pub(crate) trait FromText: Sized {
    /// The expected form, for the error message.
    const EXPECTED: &'static str;

    /// Parses `text`, which has no surrounding spaces.
    fn from_text(text: &str) -> Option<Self>;
}

/// Deserializes an optional key of such a type, for serde's `deserialize_with`.
pub(crate) fn read<'de, D: Deserializer<'de>, T: FromText>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct TextVisitor<T>(PhantomData<T>);

    impl<T: FromText> Visitor<'_> for TextVisitor<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let read = T::from_text(text.trim());
            read.map(Some)
                .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_str(TextVisitor(PhantomData))
}

impl FromText for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }
}

impl FromText for u32 {
    const EXPECTED: &'static str = "a whole number";

    fn from_text(text: &str) -> Option<Self> {
        whole_number(text)?.try_into().ok()
    }
}

impl FromText for u64 {
    const EXPECTED: &'static str = "a whole number";

    fn from_text(text: &str) -> Option<Self> {
        whole_number(text)
    }
}

/// Parses a whole number in the forms that TOML and YAML have for one: with a base, as in `0x1f`, and
/// with separators, as in `50_000_000`.
fn whole_number(text: &str) -> Option<u64> {
    let digits = without_separators(text)?;
    match digits.get(..2) {
        Some("0x") => u64::from_str_radix(&digits[2..], 16).ok(),
        Some("0o") => u64::from_str_radix(&digits[2..], 8).ok(),
        Some("0b") => u64::from_str_radix(&digits[2..], 2).ok(),
        _ => digits.parse().ok(),
    }
}

/// Removes the `_` between the digits of a number; `None` if one is in another place.
fn without_separators(text: &str) -> Option<String> {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
    let mut digits = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '_' {
            digits.push(c);
        } else if !is_digit(digits.chars().next_back()) || !is_digit(characters.peek().copied()) {
            return None;
        }
    }
    Some(digits)
}

/// The greatest duration. A longer one makes no sense for a server, and this one cannot overflow a
/// clock.
const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

impl FromText for Duration {
    const EXPECTED: &'static str = "a duration of at most 24h, such as `30s` or `5m`";

    fn from_text(text: &str) -> Option<Self> {
        humantime::parse_duration(text)
            .ok()
            .filter(|duration| *duration <= MAX_DURATION)
    }
}

impl FromText for Secret {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Option<Self> {
        Some(Secret::new(text))
    }
}

impl FromText for TokenHost {
    const EXPECTED: &'static str = "a host, such as `git.acme.com` or `git.acme.com:8443`";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A number of threads; 0 means one per core. The limit protects the machine from a mistyped
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Jobs(pub usize);

impl FromText for Jobs {
    const EXPECTED: &'static str = "a number of threads from 0 to 1024";

    fn from_text(text: &str) -> Option<Self> {
        let jobs = usize::try_from(whole_number(text)?).ok()?;
        (jobs <= 1024).then_some(Self(jobs))
    }
}

/// A percentage from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percent(pub u8);

impl FromText for Percent {
    const EXPECTED: &'static str = "a whole number from 0 to 100";

    fn from_text(text: &str) -> Option<Self> {
        let number = whole_number(text.strip_suffix('%').unwrap_or(text))?;
        let number = u8::try_from(number).ok()?;
        (number <= 100).then_some(Self(number))
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSize(pub u64);

impl FromText for ByteSize {
    const EXPECTED: &'static str = "a size such as `50MB` or `512KiB`";

    fn from_text(text: &str) -> Option<Self> {
        if let Some(bytes) = whole_number(text) {
            return Some(Self(bytes));
        }
        let size = without_separators(text)?.parse::<bytesize::ByteSize>();
        size.ok().map(|size| Self(size.as_u64()))
    }
}

/// The value of `cache.enabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheSwitch {
    /// Write published files to the cache, except if `CI=true`.
    Auto,
    /// Write published files to the cache.
    On,
    /// Do not write published files to the cache.
    Off,
}

impl FromText for CacheSwitch {
    const EXPECTED: &'static str = "auto, true or false";

    fn from_text(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("auto") {
            return Some(Self::Auto);
        }
        bool::from_text(text).map(|on| if on { Self::On } else { Self::Off })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_percentages_and_limits_are_parsed() {
        assert_eq!(ByteSize::from_text("50MB"), Some(ByteSize(50_000_000)));
        assert_eq!(ByteSize::from_text("1 KiB"), Some(ByteSize(1024)));
        assert_eq!(ByteSize::from_text("7"), Some(ByteSize(7)));
        assert_eq!(
            ByteSize::from_text("50_000_000"),
            Some(ByteSize(50_000_000))
        );
        assert_eq!(
            (u64::from_text("0x1_0"), u32::from_text("0o17")),
            (Some(16), Some(15))
        );
        for bad in ["_1", "1_", "1__0", "0x", "0x_1", "1 0"] {
            assert_eq!(u64::from_text(bad), None, "{bad}");
        }
        for bad in ["", "MB", "5 parsecs", "-1", "5_MB"] {
            assert_eq!(ByteSize::from_text(bad), None, "{bad}");
        }
        assert_eq!(Percent::from_text("50%"), Some(Percent(50)));
        assert_eq!(Percent::from_text("101"), None);
        let longest = Duration::from_text("24h");
        assert_eq!(
            (longest, Duration::from_text("86401s")),
            (Some(MAX_DURATION), None)
        );
        assert_eq!(Duration::from_text("18446744073709551615s"), None);
        assert_eq!(
            (Jobs::from_text("1024"), Jobs::from_text("1025")),
            (Some(Jobs(1024)), None)
        );
    }
}
