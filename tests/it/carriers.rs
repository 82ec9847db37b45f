//! How servers are reached: TLS, proxies, logins, and git's settings for them. Each test runs on
//! both transports, except where only one of them is concerned.

use std::fs;

use serde_json::Value;

use crate::support::http::{HttpServer, Reaction, Stage};
use crate::support::proxy::Proxy;
use crate::support::ssh::SshServer;
use crate::support::tls::{self, Certificate, TlsServer};
use crate::support::{Codex, Output, Sandbox, World, executable};

/// One project with a change to publish.
fn world() -> (Sandbox, Codex) {
    let World { sandbox, codex, .. } = World::new();
    (sandbox, codex)
}

/// The same, for the default transport, whatever transport the test run is for.
fn native_world() -> (Sandbox, Codex) {
    let World { sandbox, codex, .. } = World::builder().default_transport().build();
    (sandbox, codex)
}

fn sync(sandbox: &Sandbox, url: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = sandbox.program(&["sync", "--all", "--json", "-v"]);
    command
        .env("FRACTARY_CODEX_REMOTE__URL", url)
        .envs(variables.iter().copied());
    sandbox.finish(command)
}

/// Publishes a change.
#[track_caller]
fn publishes(sandbox: &Sandbox, codex: &Codex, url: &str, variables: &[(&str, &str)]) -> Output {
    let content = format!("{:?} {url}", codex.tip());
    sandbox.write("ws/alpha/README.md", &content);
    let output = sync(sandbox, url, variables).code(0);
    assert_eq!(codex.file("projects/alpha/README.md"), content);
    output
}

/// The error of a run that could not use the remote.
#[track_caller]
fn error(output: Output) -> Value {
    output.code(4).json()["error"].take()
}

#[track_caller]
fn assert_contains(value: impl std::fmt::Display, texts: &[&str]) {
    let value = value.to_string();
    for text in texts {
        assert!(value.contains(text), "{text}: {value}");
    }
}

const FALLBACK: &str = "the `git` program takes over";

/// Asserts that git was used for `reason`, if the native transport is tested.
#[track_caller]
fn assert_fallback(sandbox: &Sandbox, output: &Output, reason: &str) {
    let expected = !sandbox.uses_git();
    let has_fallen_back = output.stderr.contains(FALLBACK) && output.stderr.contains(reason);
    assert_eq!(has_fallen_back, expected, "{}", output.stderr);
}

// TLS.

/// The native transport, and a server behind TLS.
fn behind_tls(
    certificate: Certificate,
    configuration: &str,
) -> Option<(Sandbox, Codex, HttpServer, TlsServer)> {
    let (sandbox, codex) = native_world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let upstream = server.url("").trim_end_matches('/').to_owned();
    let tls = TlsServer::start_with(&sandbox, &upstream, certificate, configuration)?;
    Some((sandbox, codex, server, tls))
}

#[test]
fn named_authorities_replace_those_of_the_system() {
    let Some((sandbox, codex, server, tls)) = behind_tls(Certificate::OfAuthority, "") else {
        return;
    };
    let url = tls.url("codex.git");
    tls::make(
        &sandbox.path("tls"),
        "other",
        &["-x509", "-subj", "/CN=Other"],
    );
    let other = sandbox.path("tls/other").display().to_string();

    let named = ("GIT_SSL_CAINFO", tls.certificate());
    let output = publishes(&sandbox, &codex, &url, &[named]);
    assert!(!output.stderr.contains(FALLBACK), "{}", output.stderr);
    // The system's authorities are those of this file.
    let system = ("SSL_CERT_FILE", tls.certificate());
    let output = publishes(&sandbox, &codex, &url, &[system]);
    assert!(!output.stderr.contains(FALLBACK), "{}", output.stderr);

    let requests = server.requests().len();
    let other = ("GIT_SSL_CAINFO", other.as_str());
    let only_native = ("FRACTARY_CODEX_REMOTE__TRANSPORT", "native");
    // Whether git also trusts the system's depends on its TLS library.
    let failed = error(sync(&sandbox, &url, &[other, system, only_native]));
    assert_eq!(failed["kind"], "needs-git", "{failed}");
    assert_contains(&failed, &["none in `http.sslCAInfo`"]);
    let failed = error(sync(&sandbox, &url, &[other, only_native]));
    assert_eq!(failed["kind"], "tls", "{failed}");
    let failed = error(sync(&sandbox, &url, &[only_native]));
    assert_eq!(failed["kind"], "tls", "{failed}");
    assert_eq!(server.requests().len(), requests);
}

#[test]
fn verification_is_as_the_settings_say() {
    let Some((sandbox, codex, _server, tls)) = behind_tls(Certificate::SelfSigned, "") else {
        return;
    };
    let url = tls.url("codex.git");
    let off = [("GIT_SSL_NO_VERIFY", "1")];
    publishes(&sandbox, &codex, &url, &off);
    let scoped = |key: &str| {
        let place = tls.place();
        sandbox.write(
            "home/.gitconfig",
            format!("[http \"https://{place}\"]\n\t{key}\n"),
        );
    };
    scoped("sslVerify = false");
    publishes(&sandbox, &codex, &url, &[]);
    scoped(&format!("sslCAInfo = {}", tls.certificate()));
    publishes(&sandbox, &codex, &url, &[]);
    // The variable takes precedence, and a file without certificates vouches for no server.
    sandbox.write("empty.pem", "");
    let empty = sandbox.path("empty.pem").display().to_string();
    let failed = error(sync(&sandbox, &url, &[("GIT_SSL_CAINFO", &empty)]));
    assert_eq!(failed["kind"], "tls", "{failed}");
    scoped("sslVerify = true");
    let failed = error(sync(&sandbox, &url, &[]));
    assert_eq!(failed["kind"], "tls", "{failed}");
}

#[test]
fn certificate_that_only_git_accepts_is_left_to_git() {
    let Some((sandbox, codex, _server, tls)) = behind_tls(Certificate::SubjectOnly, "") else {
        return;
    };
    let trusted = [("GIT_SSL_CAINFO", tls.certificate())];
    let output = publishes(&sandbox, &codex, &tls.url("codex.git"), &trusted);
    assert_fallback(&sandbox, &output, "the server's certificate is not valid");
}

#[test]
fn cipher_that_only_git_knows_is_left_to_git() {
    let old = "ssl_protocols TLSv1.2;\nssl_ciphers ECDHE-ECDSA-AES128-SHA;";
    let Some((sandbox, codex, _server, tls)) = behind_tls(Certificate::SelfSigned, old) else {
        return;
    };
    let trusted = [("GIT_SSL_CAINFO", tls.certificate())];
    let output = publishes(&sandbox, &codex, &tls.url("codex.git"), &trusted);
    assert_fallback(&sandbox, &output, "no TLS version or cipher");
}

#[test]
fn client_certificate_is_left_to_git() {
    let asking =
        "ssl_verify_client optional_no_ca;\nif ($ssl_client_verify = NONE) { return 403; }";
    let Some((sandbox, codex, _server, tls)) = behind_tls(Certificate::SelfSigned, asking) else {
        return;
    };
    let url = tls.url("codex.git");
    let trusted = ("GIT_SSL_CAINFO", tls.certificate());
    let failed = error(sync(&sandbox, &url, &[trusted]));
    assert_eq!(failed["kind"], "forbidden", "{failed}");

    tls::make(
        &sandbox.path("tls"),
        "client",
        &["-x509", "-subj", "/CN=Ada"],
    );
    let client = sandbox.path("tls/client").display().to_string();
    sandbox.write(
        "home/.gitconfig",
        format!("[http]\n\tsslCert = {client}\n\tsslKey = {client}.key\n"),
    );
    let output = publishes(&sandbox, &codex, &url, &[trusted]);
    assert_fallback(&sandbox, &output, "`http.sslCert` is set");
}

// Proxies.

#[test]
fn proxy_is_chosen_by_the_rules_of_git() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let url = server.url("codex.git");
    let proxy = Proxy::start();
    let place = proxy.place();
    let used = |variables: &[(&str, &str)]| {
        let before = proxy.requests().len();
        publishes(&sandbox, &codex, &url, variables);
        proxy.requests().len() > before
    };
    assert!(used(&[("http_proxy", &place)]));
    assert_contains(&proxy.requests()[0], &["GET http://127.0.0.1:"]);
    assert!(used(&[("ALL_PROXY", &format!("http://{place}"))]));
    assert!(!used(&[("HTTP_PROXY", &place)]));
    assert!(!used(&[("https_proxy", &place)]));
    for exempt in ["127.0.0.1", "localhost, 127.0.0.0/8", "*"] {
        let variables = [("http_proxy", place.as_str()), ("no_proxy", exempt)];
        assert!(!used(&variables), "{exempt}");
    }
    let variables = [("http_proxy", place.as_str()), ("NO_PROXY", "0.0.1")];
    assert!(used(&variables));

    let configure = |text: String| sandbox.write("home/.gitconfig", text);
    configure(format!("[http]\n\tproxy = {place}\n"));
    assert!(used(&[]));
    assert!(!used(&[("NO_PROXY", "127.0.0.1")]));
    configure(format!(
        "[http]\n\tproxy = {place}\n[http \"http://{}/\"]\n\tproxy =\n",
        server.place()
    ));
    assert!(!used(&[]));
    configure(format!(
        "[http]\n\tproxy =\n[http \"http://*.0.0.1:*/\"]\n\tproxy =\n[http \"{url}\"]\n\tproxy = {place}\n"
    ));
    assert!(used(&[("http_proxy", "")]));
    codex.assert_sound();
}

#[test]
fn https_passes_through_a_proxy() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let upstream = server.url("").trim_end_matches('/').to_owned();
    let Some(tls) = TlsServer::start(&sandbox, &upstream) else {
        return;
    };
    let proxy = Proxy::start();
    let place = proxy.place();
    let variables = [
        ("HTTPS_PROXY", place.as_str()),
        ("GIT_SSL_CAINFO", tls.certificate()),
    ];
    publishes(&sandbox, &codex, &tls.url("codex.git"), &variables);
    let requests = proxy.requests();
    let tunnel = format!("CONNECT {} HTTP/1.1", tls.place());
    assert!(
        requests.iter().all(|request| *request == tunnel),
        "{requests:?}"
    );
    if !sandbox.uses_git() {
        assert_eq!(requests.len(), 1);
    }
}

/// `ada:s3cret` for the scheme Basic.
const BASIC: &str = "Basic YWRhOnMzY3JldA==";

#[test]
fn proxy_that_asks_for_credentials_gets_those_of_its_url() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let upstream = server.url("").trim_end_matches('/').to_owned();
    let Some(tls) = TlsServer::start(&sandbox, &upstream) else {
        return;
    };
    let proxy = Proxy::with_credentials(BASIC, "Basic realm=\"proxy\"");
    let trusted = ("GIT_SSL_CAINFO", tls.certificate());
    let through = |user_info: &str| format!("http://{user_info}{}", proxy.place());
    for (url, variable) in [
        (server.url("codex.git"), "http_proxy"),
        (tls.url("codex.git"), "https_proxy"),
    ] {
        let with_password = through("ada:s3cret@");
        let output = publishes(
            &sandbox,
            &codex,
            &url,
            &[(variable, &with_password), trusted],
        );
        assert!(!output.stderr.contains("s3cret"), "{}", output.stderr);
        for user_info in ["", "ada:wrong@"] {
            let failed = error(sync(
                &sandbox,
                &url,
                &[(variable, &through(user_info)), trusted],
            ));
            assert_eq!(failed["kind"], "proxy", "{failed}");
            assert!(!failed.to_string().contains("wrong"), "{failed}");
            if !sandbox.uses_git() {
                let words = match user_info {
                    "" => "asks for credentials",
                    _ => "rejected the credentials",
                };
                assert_contains(&failed, &[words]);
            }
        }
    }
    // The credential helpers have the password of a user.
    let helper = "!f() { grep -q ^host=127.0.0.1 && echo password=s3cret; }; f";
    sandbox.write(
        "home/.gitconfig",
        format!("[credential]\n\thelper = \"{helper}\"\n"),
    );
    let with_user = through("ada@");
    publishes(
        &sandbox,
        &codex,
        &server.url("codex.git"),
        &[("http_proxy", &with_user)],
    );
}

#[test]
fn other_proxies_are_left_to_git() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let url = server.url("codex.git");
    let proxy = Proxy::start();
    for scheme in ["socks5", "socks5h"] {
        let socks = format!("{scheme}://{}", proxy.place());
        let output = publishes(&sandbox, &codex, &url, &[("all_proxy", &socks)]);
        assert_fallback(
            &sandbox,
            &output,
            &format!("not an http proxy but `{scheme}`"),
        );
    }
    assert!(
        proxy
            .requests()
            .iter()
            .all(|request| request.starts_with("SOCKS "))
    );

    // git cannot answer this one either, and says so.
    let negotiating = Proxy::with_credentials("none", "Negotiate");
    let place = negotiating.place();
    let output = sync(&sandbox, &url, &[("http_proxy", &place)]);
    assert_fallback(
        &sandbox,
        &output,
        "the proxy asks for `negotiate` authentication",
    );
    assert_eq!(error(output)["kind"], "proxy");
}

// Logins.

/// A credential helper that records what it is asked, and the configuration for it.
fn helper(sandbox: &Sandbox, answer: &str) {
    let record = sandbox.path("asked").display().to_string();
    let script = format!(
        "echo \"$1\" >> {record}; cat >> {record}; [ \"$1\" = get ] && printf '{answer}'; exit 0"
    );
    executable::script(&sandbox.path("helper"), &script);
    sandbox.write(
        "home/.gitconfig",
        format!(
            "[credential]\n\thelper = {}\n",
            sandbox.path("helper").display()
        ),
    );
}

fn asked(sandbox: &Sandbox) -> String {
    let record = sandbox.path("asked");
    let text = fs::read_to_string(&record).unwrap_or_default();
    let _ = fs::remove_file(record);
    text
}

#[test]
fn credential_helper_learns_whether_its_login_was_right() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), Some("ada:s3cret"));
    let url = server.url("codex.git");
    helper(&sandbox, "username=ada\\npassword=s3cret\\n");
    publishes(&sandbox, &codex, &url, &[]);
    let text = asked(&sandbox);
    assert_contains(
        &text,
        &[
            "get\n",
            &format!("host={}\n", server.place()),
            "store\n",
            "password=s3cret",
        ],
    );
    assert!(!text.contains("erase"), "{text}");
    if !sandbox.uses_git() {
        assert_contains(&text, &["wwwauth[]=Basic realm=\"codex\""]);
        assert_eq!(
            (
                text.matches("get\n").count(),
                text.matches("store\n").count()
            ),
            (1, 1)
        );
    }

    helper(&sandbox, "username=ada\\npassword=wrong\\n");
    let failed = error(sync(&sandbox, &url, &[]));
    assert_eq!(failed["kind"], "wrong-credentials", "{failed}");
    assert!(!failed.to_string().contains("wrong\""), "{failed}");
    let text = asked(&sandbox);
    assert_contains(&text, &["get\n", "erase\n", "password=wrong"]);
    assert!(!text.contains("store"), "{text}");
}

#[test]
fn credential_helper_can_give_another_scheme() {
    let (sandbox, codex) = world();
    // The server takes this one for `Basic`.
    let server = HttpServer::start(&sandbox.path(""), Some("ada:s3cret"));
    helper(
        &sandbox,
        "capability[]=authtype\\nauthtype=Basic\\ncredential=YWRhOnMzY3JldA==\\n",
    );
    publishes(&sandbox, &codex, &server.url("codex.git"), &[]);
}

#[test]
fn rejected_login_is_not_reported_as_missing() {
    let (sandbox, _codex) = world();
    let server = HttpServer::start(&sandbox.path(""), Some("ada:s3cret"));
    let url = server.url("codex.git");
    let failed = error(sync(&sandbox, &url, &[]));
    assert_eq!(failed["kind"], "no-credentials", "{failed}");
    assert_contains(
        &failed,
        &["no token applies to this host", "credential helpers"],
    );

    sandbox.write(
        "home/.netrc",
        "machine 127.0.0.1 login ada password wr0ng\n",
    );
    let failed = error(sync(&sandbox, &url, &[]));
    assert_eq!(failed["kind"], "wrong-credentials", "{failed}");
    assert_contains(&failed, &["the login of `~/.netrc` was sent"]);

    sandbox.remove("home/.netrc");
    sandbox.write(
        "home/.gitconfig",
        "[http]\n\textraHeader = Authorization: Basic d3IwbmctdG9rZW4=\n",
    );
    let failed = error(sync(&sandbox, &url, &[]));
    assert_eq!(failed["kind"], "wrong-credentials", "{failed}");
    assert_contains(&failed, &["`http.extraHeader` was sent"]);
    assert!(!failed.to_string().contains("d3IwbmctdG9rZW4"), "{failed}");
}

#[test]
fn scheme_that_only_git_knows_is_left_to_git() {
    for challenges in [
        &["Negotiate"][..],
        &["NTLM", "Negotiate"],
        &["Negotiate, Basic realm=x"],
    ] {
        let (sandbox, codex) = world();
        let server = HttpServer::start(&sandbox.path(""), Some("ada:s3cret"));
        challenges
            .iter()
            .for_each(|scheme| server.challenge(scheme));
        let output = sync(&sandbox, &server.url("codex.git"), &[]);
        assert_fallback(&sandbox, &output, "the server asks for `");
        let failed = error(output);
        assert_contains(&failed["kind"], &["credentials"]);
        if !sandbox.uses_git() {
            assert_contains(
                &failed,
                &["the `git` program was used because the server asks for"],
            );
        }
        assert_eq!(codex.subjects().len(), 1);
    }
    // With a login, Basic is enough.
    let (sandbox, codex) = native_world();
    let server = HttpServer::start(&sandbox.path(""), Some("ada:s3cret"));
    server.challenge("Negotiate");
    server.challenge("Basic realm=\"codex\"");
    sandbox.write(
        "home/.netrc",
        "machine 127.0.0.1 login ada password s3cret\n",
    );
    let output = publishes(&sandbox, &codex, &server.url("codex.git"), &[]);
    assert!(!output.stderr.contains(FALLBACK), "{}", output.stderr);
}

#[test]
fn cookies_and_the_git_protocol_are_left_to_git() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    for file in ["/dev/null", ""] {
        sandbox.write(
            "home/.gitconfig",
            format!("[http]\n\tcookieFile = {file}\n"),
        );
        let output = publishes(&sandbox, &codex, &server.url("codex.git"), &[]);
        assert_fallback(&sandbox, &output, "`http.cookieFile` is set");
    }
    sandbox.remove("home/.gitconfig");
    let output = sync(&sandbox, "git://127.0.0.1:1/codex.git", &[]);
    assert_fallback(&sandbox, &output, "`git://127.0.0.1:1/codex.git`");
    assert_eq!(error(output)["kind"], "connection-refused");
}

#[test]
fn remote_helpers_are_never_run() {
    let (sandbox, codex) = world();
    for url in ["ext::sh -c touch% ran", "foo::bar"] {
        sync(&sandbox, url, &[]).code(3);
        let rule = format!(
            "[url \"{url}\"]\n\tinsteadOf = {}\n",
            codex.path().display()
        );
        sandbox.write("home/.gitconfig", rule);
        let failed = error(sync(&sandbox, &codex.path().display().to_string(), &[]));
        assert_eq!(failed["kind"], "rewritten-url", "{failed}");
        sandbox.remove("home/.gitconfig");
    }
    assert!(!sandbox.path("ws/ran").exists());
}

// git's settings.

#[test]
fn broken_included_file_of_git_is_named_with_and_without_git() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    sandbox.write("home/.gitconfig", "[include]\n\tpath = other\n");
    sandbox.write("home/other", "[user]\n\tname = Ada\n[http\n\tproxy = x\n");
    for url in [server.url("codex.git"), codex.path().display().to_string()] {
        let failed = error(sync(&sandbox, &url, &[]));
        assert_eq!(failed["kind"], "git-configuration", "{failed}");
        assert_contains(&failed["causes"], &["home/other", "3"]);
    }
    if !sandbox.uses_git() {
        let own = sandbox.path("bin").display().to_string();
        let failed = error(sync(&sandbox, &server.url("codex.git"), &[("PATH", &own)]));
        assert_eq!(failed["kind"], "git-configuration", "{failed}");
        assert_contains(&failed["causes"], &["home/other"]);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn protocol_that_git_forbids_is_not_used() {
    let (sandbox, codex) = world();
    let server = HttpServer::start(&sandbox.path(""), None);
    let path = codex.path().display().to_string();
    let http = server.url("codex.git");
    for (url, setting, variables) in [
        (
            &path,
            "`GIT_ALLOW_PROTOCOL` is `https`",
            &[("GIT_ALLOW_PROTOCOL", "https")][..],
        ),
        (
            &http,
            "`GIT_ALLOW_PROTOCOL` is `https`",
            &[("GIT_ALLOW_PROTOCOL", "https")],
        ),
        (&path, "`protocol.file.allow` is `never`", &[]),
    ] {
        sandbox.write("home/.gitconfig", "[protocol \"file\"]\n\tallow = never\n");
        let failed = error(sync(&sandbox, url, variables));
        assert_eq!(failed["kind"], "protocol-not-allowed", "{failed}");
        assert_contains(&failed["causes"], &[setting]);
        assert_contains(&failed["hints"], &["GIT_ALLOW_PROTOCOL"]);
    }
    assert!(server.requests().is_empty());
    publishes(&sandbox, &codex, &http, &[]);
    publishes(
        &sandbox,
        &codex,
        &path,
        &[("GIT_ALLOW_PROTOCOL", "http:file")],
    );
}

#[test]
fn repository_that_cannot_be_created_is_named() {
    let (sandbox, _codex) = world();
    sandbox.write("file", "");
    for (url, reason) in [
        ("/proc/none/codex.git", "No such file or directory"),
        ("../file/codex.git", "Not a directory"),
    ] {
        let failed = error(sync(
            &sandbox,
            url,
            &[("FRACTARY_CODEX_REMOTE__CREATE", "true")],
        ));
        assert_eq!(failed["kind"], "not-created", "{failed}");
        assert_contains(&failed, &["codex.git", reason, "`remote.url`"]);
    }
}

// Words of servers.

#[test]
fn words_of_a_hook_that_aborts_the_transaction_are_shown() {
    let (sandbox, codex) = world();
    codex.hook(
        "reference-transaction",
        "[ \"$1\" = prepared ] || exit 0\necho 'frozen until Monday' >&2\nexit 1",
    );
    let mut urls = vec![(codex.path().display().to_string(), String::new())];
    let ssh = SshServer::start(&sandbox);
    if let Some(ssh) = &ssh {
        let client = ssh.client(&sandbox, "user", "known_hosts");
        urls.push((ssh.url(codex.path()), client));
    }
    for (url, ssh) in &urls {
        let output = sync(&sandbox, url, &[("GIT_SSH_COMMAND", ssh)]).code(5);
        let failed = output.json()["error"].take();
        assert_eq!(failed["kind"], "declined", "{failed}");
        assert_contains(&failed["message"], &["aborted by hook"]);
        assert_contains(&failed["causes"], &["remote: frozen until Monday"]);
    }
}

#[test]
fn words_beside_a_lost_answer_are_shown() {
    let (sandbox, codex) = world();
    let server = sandbox.serve();
    codex.hook("pre-receive", "echo 'welcome to the codex' >&2");
    // Without the end of the report, which comes last.
    server.fail(Stage::Push, Reaction::Cut(10), 1);
    let output = sandbox.run(&["sync", "--all"]).code(0);
    assert_contains(&output.stderr, &["remote: welcome to the codex"]);
    assert_eq!(codex.subjects().len(), 2);
}
