//! The JSON Schema and the program accept the same values.

use super::*;
use crate::config::schema;

/// Values of keys: the values that both accept, and those that both reject.
const VALUES: [(&str, &[&str], &[&str]); 16] = [
    (
        "sync: { prune: ? }",
        &[
            "true",
            "'TRUE'",
            "'off'",
            "1",
            "0",
            "' yes '",
            "'${ONE}'",
            "'${ONE:-false}'",
            "",
        ],
        &["2", "maybe", "[true]"],
    ),
    (
        "cache: { enabled: ? }",
        &["auto", "AUTO", "false", "'1'", ""],
        &["never", "2"],
    ),
    (
        "push: { retries: ? }",
        &[
            "0",
            "'50'",
            "'1_000'",
            "0x10",
            "'0x10'",
            "'+5'",
            "'${ONE}0'",
            "",
        ],
        &["-1", "1.5", "'1e3'", "4294967296", "many"],
    ),
    ("jobs: ?", &["1024", "'8'"], &["1025", "-1"]),
    (
        "sync: { delete_guard: { percent: ? } }",
        &["100", "'50%'", "'007'", "'${ONE}%'"],
        &["101", "'101%'", "'%'", "1.5"],
    ),
    (
        "remote: { timeout: { idle: ? } }",
        &[
            "30s",
            "1m 30s",
            "24h",
            "1d",
            "1.5m",
            "0",
            "500 ms",
            "'${ONE}s'",
            "",
        ],
        &["30", "25h", "1y", "1 week", "soon", "30S", "-1s"],
    ),
    (
        "sync: { max_file_size: ? }",
        &[
            "50MB",
            "512 KiB",
            "50",
            "1.5 GiB",
            ".5MB",
            "'50_000_000'",
            "'${ONE}MB'",
            "",
        ],
        &["5 parsecs", "-1", "MB"],
    ),
    (
        "remote: { branch: ? }",
        &["main", "a/b", "1.10", "true", "ä", "'${ONE}'", ""],
        &[
            "''",
            "refs/heads/x",
            "refs/for/x",
            "a b",
            "a..b",
            "-x",
            "x.lock",
            "'@'",
            "HEAD",
            ".a",
            "a/",
            "'x:y'",
            "'a@{b'",
        ],
    ),
    (
        "sync: { environments: { prod: ? } }",
        &["main", "1.0", ""],
        &["a b", "refs/heads/x"],
    ),
    (
        "remote: { url: ? }",
        &[
            "https://h/x.git",
            "git@h:x.git",
            "../x",
            "ssh+git://h/x",
            "file:///x",
            "1",
        ],
        &["gopher://h/x", "'ext::sh'", "https://h:a/x", "HTTPS://h/x"],
    ),
    (
        "forge: { kind: github, api: ? }",
        &["https://h/api/v4", "http://h", ""],
        &["../x", "ssh://h/x", "https://u:p@h/x", "https:///x"],
    ),
    (
        "forge: { kind: github, repository: ? }",
        &["o/n", "o/n/m", ""],
        &["o", "/o", "o/", "a b/c"],
    ),
    (
        "sync: { direction: ? }",
        &["to-codex", "'${DIRECTION}'", ""],
        &["to_codex", "TO-CODEX", "1"],
    ),
    (
        "sync: { to_codex: { include: [?] } }",
        &[
            "docs/**",
            "./x",
            "'{a,**}/x'",
            "'[!a]/x'",
            "'a\\*b'",
            "1",
            "'@x'",
            "docs/",
        ],
        &[
            "'!x'",
            "/x",
            "a//b",
            "../x",
            "'@(a)'",
            "'{1..3}'",
            "'[[:alpha:]]'",
            "a**",
            "'***'",
            "'[/]'",
            "'[a/b]'",
            "'{}'",
            "'a}b'",
            "''",
        ],
    ),
    (
        "commit: { message: ? }",
        &["x", "'{count} {project}'", "1", "'{a b}'", ""],
        &["''", "'  '", "'{nope}'"],
    ),
    (
        "projects: { p: { to: ? } }",
        &["x", "'{org}/x'", "a/.gitignore", "1", ""],
        &["''", "/x", "a/../b", ".git", "git~1", "'.git '", "'{nope}'"],
    ),
];

#[test]
fn schema_and_program_agree() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (key, accepted, rejected) in VALUES {
        let accepted = accepted.iter().map(|value| (value, true));
        let rejected = rejected.iter().map(|value| (value, false));
        for (value, is_accepted) in accepted.chain(rejected) {
            let text = format!("{ONE}  {}\n", key.replacen('?', value, 1));
            let document: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(
                validator.is_valid(&document),
                is_accepted,
                "schema: {key} {value}"
            );

            let world = World::new(&[("ws/.fractary/config.yaml", &text)]);
            let world = world.env(&[("ONE", "1"), ("DIRECTION", "to-codex")]);
            let loaded = workspace::load(&world.request);
            assert_eq!(loaded.is_ok(), is_accepted, "program: {key} {value}");
        }
    }
}
