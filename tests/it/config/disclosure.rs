//! Secrets in the wrong place of a configuration: no message, hint, annotation or document repeats
//! them.

use super::{ONE, run, workspace};
use crate::support::{Output, Sandbox};

/// The secret.
const SECRET: &str = "hunter2Secret99";

#[track_caller]
fn assert_hidden(what: &str, output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let lower = text.to_lowercase();
        assert!(!lower.contains("hunter2"), "{what}: {text}");
    }
}

/// Runs commands that report the errors of the configuration or show its values.
fn run_all(
    what: &str,
    sandbox: &Sandbox,
    variables: &[(&str, &str)],
    arguments: &[&str],
    code: i32,
) {
    for command in [
        &["config", "validate"][..],
        &["doctor", "--json"],
        &["config", "show", "--origin"],
    ] {
        // A valid configuration would lead to a server.
        if command[0] == "doctor" && code == 0 {
            continue;
        }
        let variables = [variables, &[("GITHUB_ACTIONS", "true")]].concat();
        let output = run(sandbox, &variables, &[arguments, command].concat());
        assert_hidden(what, &output);
        if command[1] == "validate" {
            assert_eq!(output.code, Some(code), "{what}: {}", output.stderr);
        }
    }
}

#[test]
fn url_with_a_password_is_masked_in_every_key() {
    let url = format!("https://u:{SECRET}@git.acme.com/acme/codex.git");
    for (key, code) in [
        ("organization", 3),
        ("project", 3),
        ("remote.branch", 3),
        ("remote.transport", 3),
        ("remote.token_host", 3),
        ("forge.repository", 3),
        ("sync.environments.staging", 3),
        ("jobs", 3),
        ("commit.message", 0),
    ] {
        let sandbox = workspace(ONE);
        run_all(
            key,
            &sandbox,
            &[],
            &["--config", &format!("{key}={url}")],
            code,
        );
    }
    for text in [
        format!("codex:\n  organization: acme\n  project: p\n  codex_repo: {url}\n"),
        format!("{ONE}  projects: {{ '{url}': {{}} }}\n"),
        format!("{ONE}  '{url}': 1\n"),
        format!("{ONE}  workspace: {{ members: ['{url}'] }}\n"),
        format!("{ONE}  sync: {{ from_codex: {{ include: ['{url}'] }} }}\n"),
        format!("{ONE}  sync: {{ prune: 'https://{SECRET}@h/x' }}\n"),
        format!("{ONE}  sync: {{ prune: 'https://h/?private_token={SECRET}' }}\n"),
        format!("{ONE}  sync: {{ prune: 'u:{SECRET}@git.acme.com' }}\n"),
        // The text is cut before the `@`.
        format!(
            "{ONE}  sync: {{ prune: 'https://u:{SECRET}{}@h/x' }}\n",
            "x".repeat(60)
        ),
    ] {
        run_all(&text, &workspace(&text), &[], &[], 3);
    }

    // What a command repeats of its arguments.
    let sandbox = Sandbox::with_default_transport();
    sandbox.workspace(&["alpha"], "");
    for arguments in [
        &["fetch", &url][..],
        &["trace", &url],
        &["projects", "-p", &url],
        &["sync", "--direction", &url],
        &["config", "explain", &url],
    ] {
        for format in [&[][..], &["--json"]] {
            let output = sandbox.run(&[arguments, format].concat());
            assert_hidden(arguments[0], &output);
            assert_ne!(output.code, Some(0), "{}", output.stdout);
        }
    }
}

#[test]
fn configured_secret_is_rejected_and_masked_in_other_keys() {
    for (keys, is_in_file) in [
        (
            "  remote: { token: \"${TOK}\", token_host: \"${TOK}\" }\n",
            false,
        ),
        (
            "  remote: { token: \"${TOK}\" }\n  sync: { prune: \"${TOK}\" }\n",
            false,
        ),
        (
            "  remote: { token: \"${TOK}\", branch: \"x-${TOK}\" }\n",
            false,
        ),
        (
            "  remote: { token: \"${TOK}\" }\n  sync: { prune: \"${TOK}\" }\n",
            true,
        ),
        (
            "  remote: { token: &t hunter2Secret99, create: *t }\n",
            false,
        ),
    ] {
        let sandbox = workspace(format!("{ONE}{keys}"));
        let variables = match is_in_file {
            true => {
                sandbox.write("ws/.fractary/env/.env", format!("TOK={SECRET}\n"));
                Vec::new()
            }
            false => vec![("TOK", SECRET)],
        };
        run_all(keys, &sandbox, &variables, &[], 3);
    }
    let url = format!("  remote: {{ token: \"${{TOK}}\", url: 'https://x:{SECRET}@h/x.git' }}\n");
    let sandbox = workspace(format!("{ONE}{url}"));
    run_all("the account of a URL", &sandbox, &[("TOK", SECRET)], &[], 0);
}

#[test]
fn key_that_contains_its_value_is_shown_without_it() {
    for (text, expected) in [
        (
            "remote: {token:hunter2Secret99}",
            "`remote.token` is not followed by `: `",
        ),
        (
            "remote: {token=hunter2Secret99}",
            "write a space after the colon",
        ),
        ("remote: {token hunter2Secret99: 1}", "`token: …`"),
        ("remote: {tokn:hunter2Secret99}", "did you mean `token`?"),
    ] {
        let sandbox = workspace(format!("{ONE}  {text}\n"));
        let output = sandbox.run(&["config", "validate"]).code(3);
        assert_hidden(text, &output);
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
}

#[test]
fn line_with_the_format_of_a_secret_is_not_shown() {
    let token = "ghp_0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R";
    for text in [
        format!("jbos: {token}"),
        format!("sync: {{ prune: {token} }}"),
    ] {
        let sandbox = workspace(format!("{ONE}  {text}\n"));
        let output = sandbox.run(&["config", "validate"]).code(3);
        assert!(!output.stderr.contains("ghp_"), "{}", output.stderr);
    }
}
