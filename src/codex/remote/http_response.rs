//! The meaning of HTTP responses, for both transports: the native one reads them, and git traces
//! them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Whether a response with status 403 limits the rate of requests, instead of denying access: by
/// `header`, which looks up a header by its name in lower case, or by `text`.
pub(in crate::codex) fn is_rate_limit<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    text: &[String],
) -> bool {
    header("retry-after").is_some()
        || header("x-ratelimit-remaining") == Some("0")
        || text
            .iter()
            .any(|line| line.to_lowercase().contains("rate limit"))
}

/// The delay in a `Retry-After` header: seconds, or the time until a date.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that is too large is a long delay, not an unknown one.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(value).ok()?.timestamp();
    let now = Timestamp::try_from(now).ok()?;
    let delay = date.duration_since(now);
    Some(delay.try_into().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_is_read_in_both_formats() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, expected) in [
            ("120", Some(120)),
            ("99999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }

    #[test]
    fn rate_limit_is_recognized_by_header_or_text() {
        let with = |name: &'static str, value: &'static str| {
            is_rate_limit(|wanted| (wanted == name).then_some(value), &[])
        };
        assert!(with("retry-after", "1"));
        assert!(with("x-ratelimit-remaining", "0"));
        assert!(!with("x-ratelimit-remaining", "12"));
        assert!(is_rate_limit(
            |_| None,
            &["API Rate Limit exceeded".to_owned()]
        ));
    }
}
