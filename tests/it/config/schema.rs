//! The schemas: those in `schemas/` are up to date, accept valid documents, and reject invalid
//! ones.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

use super::mistakes::WRONG;
use super::samples::SAMPLES;
use super::{ONE, workspace};
use crate::support::Sandbox;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn printed(of: &str) -> String {
    Sandbox::with_default_transport()
        .run(&["config", "schema", of])
        .code(0)
        .stdout
}

fn validator(of: &str) -> Validator {
    jsonschema::validator_for(&serde_json::from_str(&printed(of)).unwrap()).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[track_caller]
fn accepts(validator: &Validator, name: &str, document: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}\n{document:#}");
}

/// All files `.fractary/config.yaml` below `directory`.
fn configurations(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(configurations(&path));
        } else if path.ends_with(".fractary/config.yaml") {
            found.push(path);
        }
    }
    found
}

#[test]
fn schemas_in_the_repository_are_up_to_date() {
    for of in [
        "config",
        "sync",
        "events",
        "matrix",
        "plan",
        "fetch",
        "init",
        "update",
        "validate",
        "path",
        "keys",
        "projects",
        "doctor",
        "error",
        "cache-list",
        "cache-status",
        "cache-clear",
        "log",
        "trace",
    ] {
        let path = repository(&format!("schemas/{of}.schema.json"));
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, printed(of)).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == printed(of),
            "{} is out of date: run the tests with UPDATE_SCHEMAS=1, and commit it",
            path.display()
        );
    }
}

#[test]
fn examples_and_samples_match_the_schema() {
    let validator = validator("config");
    let examples = configurations(&repository("examples"));
    assert!(!examples.is_empty());
    let own = Some(repository(".fractary/config.yaml")).filter(|path| path.exists());
    for path in examples.into_iter().chain(own) {
        accepts(
            &validator,
            &path.display().to_string(),
            &yaml(&fs::read_to_string(&path).unwrap()),
        );
    }
    for (name, text) in SAMPLES {
        accepts(&validator, name, &yaml(text));
    }
}

#[test]
fn defaults_match_the_schema_and_are_complete() {
    let shown = Sandbox::with_default_transport()
        .run(&["config", "show", "--json"])
        .code(0)
        .json();
    let mut codex = serde_json::json!({});
    for key in shown["keys"].as_array().unwrap() {
        let value = key["key"]
            .as_str()
            .unwrap()
            .split('.')
            .fold(&mut codex, |at, segment| &mut at[segment]);
        *value = key["value"].clone();
    }
    assert_eq!(codex["remote"]["timeout"]["push_verdict"], "5m");
    accepts(
        &validator("config"),
        "the defaults",
        &serde_json::json!({ "codex": codex }),
    );
}

#[test]
fn unusual_valid_files_are_accepted_by_schema_and_program() {
    let validator = validator("config");
    for more in [
        "jobs: '${JOBS:-2}'\n  cache: { enabled: '${CACHE:-auto}', ttl: 5 }",
        "remote: { create: '${NEW:-false}', branch: 1.10, token: 007, url: 'git@h:x.git' }",
        "remote: { url: ../codex.git }\n  sync: { max_file_size: '${SIZE:-1MB}', delete_guard: { percent: '${P:-5}' } }",
        "remote: { url: 'ssh+git://h/x.git', timeout: { connect: 1m 30s } }\n  sync: { max_file_size: 1.5 GiB }",
        "commit: { message: \"{count} {\\n}{ {}${NO:-x{y z}\" }",
        "projects: { 1.10: { to: .github/v..2/.gitkeep/... }, a_B-c.9: { to: '{org}/{codex_repo}-{project}/' } }",
        "projects: { a: { mappings: [{ from: '{a,b}/[!x]/?.md', to: b.git/ }], root: ../elsewhere } }",
        "projects:\n    a:\n    b:",
        "workspace: { members: ['*/', '{x,y}-*/z'] }\n  remotes: { o/r: { token: '${T}', more: [1] } }",
        "sync: { environments: { 1.0: 2.0, prod: main }, exclude: [a], to_codex: { include: [.hidden/**, '**'] } }",
    ] {
        let text = format!("version: 3\n{ONE}  {more}\n");
        accepts(&validator, more, &yaml(&text));
        workspace(&text).run(&["config", "validate"]).code(0);
    }
}

#[test]
fn schema_rejects_the_errors_that_it_can_express() {
    let validator = validator("config");
    for (name, text, visible) in WRONG {
        // A text that is not YAML cannot be checked with a schema.
        let Ok(document) = serde_saphyr::from_str::<Value>(text) else {
            assert!(!visible, "{name}");
            continue;
        };
        assert_eq!(!validator.is_valid(&document), *visible, "{name}");
    }
}

/// The documents of `sync`, `fetch`, `log`, `trace`, `cache` and `mcp` are checked beside their tests.
#[test]
fn documents_of_commands_match_their_schemas() {
    let sandbox = workspace(format!(
        "{ONE}  sync: {{ prune: true, from_codex: {{ exclude: [a] }} }}\n"
    ));
    sandbox.write("ws/README.md", "billing");
    let unreachable = ["--config", "remote.url=nowhere.git"];
    for (of, arguments, code) in [
        ("keys", &["config", "show"][..], 0),
        ("keys", &["config", "explain", "sync"], 0),
        ("keys", &["config", "explain", "remote.branch"], 0),
        ("path", &["config", "path"], 0),
        ("projects", &["projects"], 0),
        ("projects", &["projects", "--shard", "1/2"], 0),
        (
            "projects",
            &["projects", "--config", "projects={ gone = {} }"],
            0,
        ),
        ("doctor", &["doctor"], 4),
        ("doctor", &["doctor", "--config", "jobs=many"], 3),
        ("error", &["config", "show", "--config", "jobs=many"], 3),
        ("error", &["config", "explain", "sync.prun"], 2),
        ("error", &["projects", "--config", "jobs=many"], 3),
        ("error", &["projects", "--bogus"], 2),
    ] {
        let arguments = [arguments, &unreachable, &["--json"]].concat();
        let document = sandbox.run(&arguments).code(code).json();
        accepts(&validator(of), &arguments.join(" "), &document);
        let first = document.as_object().and_then(|object| object.keys().next());
        assert_eq!(first.map(String::as_str), Some("schema_version"));
    }
}
