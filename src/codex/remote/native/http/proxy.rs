//! The proxy of a request, by git's rules: `http.proxy` (and `http.URL.proxy`), else the
//! environment.

use std::net::IpAddr;

use super::challenge;
use super::logins::{Helper, Login};
use super::message::Head;
use crate::codex::remote::context::RemoteContext;
use crate::codex::remote::credential::basic;
use crate::codex::remote::error::RemoteErrorKind;
use crate::codex::remote::native::address::Address;
use crate::codex::remote::native::failure::Failure;
use crate::environment::Environment;
use crate::secret::Secret;
use crate::url::percent_decoded;

/// The port of a proxy whose URL has none, as for curl.
const DEFAULT_PORT: u16 = 1080;

/// An http proxy.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    pub(super) address: Address,
    /// The value of a `Proxy-Authorization` header.
    pub(super) authorization: Option<Secret>,
}

/// The proxy for requests to `address`. An error for kinds of proxies that only git can use.
pub(super) fn choose(address: &Address, context: &RemoteContext) -> Result<Option<Proxy>, Failure> {
    let environment = &context.environment;
    let configured = context.settings.http(address, "proxy").map(str::to_owned);
    let chosen = configured
        .or_else(|| from_environment(address, environment))
        .filter(|proxy| !proxy.is_empty() && !is_exempt(address, environment));
    let Some(url) = chosen else {
        return Ok(None);
    };

    let method = environment
        .get("GIT_HTTP_PROXY_AUTHMETHOD")
        .or(context.settings.http(address, "proxyauthmethod"));
    if let Some(method) = method.filter(|method| !["anyauth", "basic"].contains(method)) {
        let reason = format!("`http.proxyAuthMethod` is `{method}`");
        return Err(Failure::NeedsGit(reason));
    }
    let (mut proxy, user) = parse(&url)?;
    if let Some(user) = user {
        let login = Helper::new(&proxy.address, Some(&user), context).fill(&[])?;
        proxy.authorization = login.as_ref().map(Login::header);
    }
    if let Some(authorization) = &proxy.authorization {
        let secrets = &context.sent_secrets;
        secrets.add_authorization(authorization.reveal());
    }
    Ok(Some(proxy))
}

/// The lower-case variable takes precedence. `HTTP_PROXY` does not count: CGI programs get it from
/// their clients.
fn from_environment(address: &Address, environment: &Environment) -> Option<String> {
    let names: &[&str] = if address.is_tls {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "all_proxy", "ALL_PROXY"]
    };
    let set = names.iter().find_map(|name| environment.get(name));
    set.map(str::to_owned)
}

/// Whether `no_proxy` names the host: `*`, a name that covers its subdomains, an IP address or a
/// block of them.
fn is_exempt(address: &Address, environment: &Environment) -> bool {
    let list = environment.get("no_proxy").or(environment.get("NO_PROXY"));
    let names = list.unwrap_or_default().split([',', ' ']).map(str::trim);
    let ip: Option<IpAddr> = address.host.parse().ok();
    names.filter(|name| !name.is_empty()).any(|name| match ip {
        _ if name == "*" => true,
        Some(ip) => is_in_block(ip, name.trim_matches(['[', ']'])),
        None => {
            let name = name.trim_matches('.').to_ascii_lowercase();
            let above = address.host.strip_suffix(&name);
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        }
    })
}

/// Whether an address is in `block`, an address with or without the length of a prefix.
fn is_in_block(ip: IpAddr, block: &str) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    };
    let (base, length) = match block.split_once('/') {
        Some((base, length)) => (base, length.parse::<u32>().ok()),
        None => (block, Some(128)),
    };
    let (Ok(base), Some(length)) = (base.parse::<IpAddr>(), length) else {
        return false;
    };
    let ((ip, width), (base, base_width)) = (bits(ip), bits(base));
    let ignored = 128 - length.min(width);
    let mask = u128::MAX.checked_shl(ignored).unwrap_or(0);
    width == base_width && ip & mask == base & mask
}

/// Takes the URL of a proxy apart. A user name without a password is returned with it: the
/// credential helpers have the password.
fn parse(text: &str) -> Result<(Proxy, Option<String>), Failure> {
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let Some(mut address) = Address::parse(&url).filter(|address| !address.is_tls) else {
        let scheme = text.split("://").next().unwrap_or_default();
        return Err(Failure::NeedsGit(format!(
            "the proxy is not an http proxy but `{scheme}`"
        )));
    };
    let (_, rest) = url.split_once("://").unwrap_or(("", &url));
    let authority = rest.split('/').next().unwrap_or_default();
    let (user_info, host) = match authority.rsplit_once('@') {
        Some((user_info, host)) => (Some(user_info), host),
        None => (None, authority),
    };
    let after_address = host.rsplit(']').next().unwrap_or_default();
    if !after_address.contains(':') {
        address.port = DEFAULT_PORT;
    }

    let mut user_only = None;
    let authorization = match user_info.map(|user_info| (user_info, user_info.split_once(':'))) {
        Some((_, Some((user, password)))) => {
            Some(basic(&percent_decoded(user), &percent_decoded(password)))
        }
        Some((user, None)) => {
            user_only = Some(String::from_utf8_lossy(&percent_decoded(user)).into_owned());
            None
        }
        None => None,
    };
    let proxy = Proxy {
        address,
        authorization,
    };
    Ok((proxy, user_only))
}

impl Proxy {
    /// The failure behind a response with status 407. Only git supports another scheme than Basic.
    pub(super) fn rejection(&self, head: &Head) -> Failure {
        let schemes = challenge::schemes(head.values("proxy-authenticate"));
        if schemes.iter().any(|scheme| scheme != "basic") {
            let schemes = schemes.join("`, `");
            return Failure::NeedsGit(format!("the proxy asks for `{schemes}` authentication"));
        }
        let proxy = self.address.authority();
        let detail = match &self.authorization {
            Some(_) => format!("the proxy `{proxy}` rejected the credentials in its URL"),
            None => {
                format!(
                    "the proxy `{proxy}` asks for credentials: add them, or a user name, to its URL"
                )
            }
        };
        Failure::new(RemoteErrorKind::Proxy, detail)
    }
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
        from_environment(&Address::parse(url).unwrap(), &environment(variables))
    }

    #[test]
    fn scheme_decides_which_variable_counts() {
        let variables = [("http_proxy", "plain:1"), ("HTTPS_PROXY", "http://tls:2")];
        assert_eq!(chosen("http://h/x", &variables).as_deref(), Some("plain:1"));
        assert_eq!(
            chosen("https://h/x", &variables).as_deref(),
            Some("http://tls:2")
        );
        assert_eq!(chosen("http://h/x", &[("HTTP_PROXY", "cgi:1")]), None);
        assert_eq!(
            chosen("http://h/x", &[("ALL_PROXY", "all")]).as_deref(),
            Some("all")
        );
    }

    #[test]
    fn exempt_hosts_are_reached_directly() {
        for (host, list, expected) in [
            ("git.acme.com", "acme.com", true),
            ("git.acme.com", ".acme.com", true),
            ("git.acme.com", "other, git.acme.com", true),
            ("git.acme.com", "*", true),
            ("git.acme.com", "me.com", false),
            ("git.acme.com", "git.acme.com.org", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "2.3", false),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("10.1.2.3", "10.2.0.0/16", false),
            ("10.1.2.3", "::/0", false),
            ("[fd00::1]", "[fd00::1]", true),
            ("[fd00::1]", "fd00::/8", true),
        ] {
            let address = Address::parse(&format!("https://{host}/x")).unwrap();
            let exempt = is_exempt(&address, &environment(&[("NO_PROXY", list)]));
            assert_eq!(exempt, expected, "{host} {list}");
        }
    }

    #[test]
    fn credentials_of_a_proxy_are_decoded() {
        let (proxy, user) = parse("http://me:p%40ss@proxy:3128").unwrap();
        let header = proxy.authorization.as_ref().map(Secret::reveal);
        assert_eq!((header, user), (Some(basic(b"me", b"p@ss").reveal()), None));
        assert_eq!(proxy.address.authority(), "proxy:3128");

        let (proxy, user) = parse("me%2b@proxy").unwrap();
        assert!(proxy.authorization.is_none());
        assert_eq!(user.as_deref(), Some("me+"));
        assert_eq!(proxy.address.authority(), "proxy:1080");
    }

    #[test]
    fn other_proxies_are_left_to_git() {
        for proxy in ["socks5://h:1", "https://h:1"] {
            assert!(matches!(parse(proxy), Err(Failure::NeedsGit(_))), "{proxy}");
        }
    }
}
