//! Which proxy a request goes through, by git's rules: `http.proxy` (and `http.URL.proxy`), else the environment.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::codex::git_config::Settings;
use crate::codex::remote::address::Address;
use crate::codex::remote::failure::Failure;
use crate::environment::Environment;

/// An http proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) address: Address,
    /// The value of a `Proxy-Authorization` header.
    pub(super) authorization: Option<String>,
}

/// The proxy for requests to `address`. An error for kinds of proxies that only git can use.
pub(super) fn choose(
    address: &Address,
    settings: &Settings,
    environment: &Environment,
) -> Result<Option<Proxy>, Failure> {
    let configured = settings.http(address, "proxy").map(str::to_owned);
    let chosen = match configured {
        Some(proxy) => Some(proxy),
        None if is_exempt(address, environment) => None,
        None => from_environment(address, environment),
    };
    match chosen {
        Some(proxy) if !proxy.is_empty() => parse(&proxy).map(Some),
        _ => Ok(None),
    }
}

/// The lower-case variable counts first; `HTTP_PROXY` does not count at all, as CGI programs get it from their clients.
fn from_environment(address: &Address, environment: &Environment) -> Option<String> {
    let names: &[&str] = if address.is_tls {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "all_proxy", "ALL_PROXY"]
    };
    let set = names.iter().find_map(|name| environment.get(name));
    set.map(str::to_owned)
}

/// Whether `no_proxy` names the host: `*`, or a list of names that each cover their subdomains.
fn is_exempt(address: &Address, environment: &Environment) -> bool {
    let list = environment.get("no_proxy").or(environment.get("NO_PROXY"));
    let names = list.unwrap_or_default().split([',', ' ']).map(str::trim);
    names.filter(|name| !name.is_empty()).any(|name| {
        let name = name.trim_start_matches('.').to_ascii_lowercase();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let above = address.host.strip_suffix(name);
        name == "*" || above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    })
}

fn parse(text: &str) -> Result<Proxy, Failure> {
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let address = Address::parse(&with_scheme).filter(|address| !address.is_tls);
    let Some(mut address) = address else {
        let scheme = text.split("://").next().unwrap_or_default();
        return Err(Failure::NeedsGit(format!(
            "the proxy is not an http proxy but `{scheme}`"
        )));
    };
    // Without a port, a proxy listens where curl assumes it.
    let authority = with_scheme.trim_start_matches("http://").split('/').next();
    let (credentials, host) = match authority.unwrap_or_default().rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials), host),
        None => (None, authority.unwrap_or_default()),
    };
    let has_port = host
        .rsplit(']')
        .next()
        .is_some_and(|rest| rest.contains(':'));
    if !has_port {
        address.port = 1080;
    }
    let authorization = credentials.map(|credentials| {
        let plain = decoded(credentials);
        format!("Basic {}", BASE64_STANDARD.encode(plain))
    });
    Ok(Proxy {
        address,
        authorization,
    })
}

/// Replaces `%XX`.
fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables = variables.iter();
        Environment::from_iter(
            variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let address = Address::parse(url).unwrap();
        let proxy = choose(&address, &Settings::default(), &environment(variables)).unwrap();
        proxy.map(|proxy| proxy.address.authority())
    }

    #[test]
    fn the_scheme_decides_which_variable_counts() {
        let variables = [("http_proxy", "plain:1"), ("HTTPS_PROXY", "http://tls:2")];
        assert_eq!(chosen("http://h/x", &variables).as_deref(), Some("plain:1"));
        assert_eq!(chosen("https://h/x", &variables).as_deref(), Some("tls:2"));
        assert_eq!(chosen("http://h/x", &[("HTTP_PROXY", "cgi:1")]), None);
        assert_eq!(
            chosen("http://h/x", &[("ALL_PROXY", "all")]).as_deref(),
            Some("all:1080")
        );
    }

    #[test]
    fn exempt_hosts_are_reached_directly() {
        for (list, exempt) in [
            ("acme.com", true),
            (".acme.com", true),
            ("other, git.acme.com", true),
            ("*", true),
            ("me.com", false),
            ("git.acme.com.org", false),
        ] {
            let variables = [("https_proxy", "p:1"), ("NO_PROXY", list)];
            let chosen = chosen("https://git.acme.com/x", &variables);
            assert_eq!(chosen.is_none(), exempt, "{list}");
        }
    }

    #[test]
    fn credentials_of_a_proxy_are_decoded() {
        let proxy = parse("http://me:p%40ss@proxy:3128").unwrap();
        let expected = format!("Basic {}", BASE64_STANDARD.encode("me:p@ss"));
        assert_eq!(proxy.authorization, Some(expected));
        assert_eq!(proxy.address.authority(), "proxy:3128");
    }

    #[test]
    fn other_proxies_are_left_to_git() {
        for proxy in ["socks5://h:1", "https://h:1"] {
            assert!(matches!(parse(proxy), Err(Failure::NeedsGit(_))), "{proxy}");
        }
    }
}
