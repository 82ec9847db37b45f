//! Exit statuses: one case for each, and cases in which several apply. Every document matches its
//! schema, and standard output contains nothing else, whatever the verbosity.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use jsonschema::Validator;
use serde_json::Value;

use crate::support::{Codex, Sandbox, World};

/// A run and its expected result.
struct Case {
    name: &'static str,
    prepare: fn(&Sandbox, &Codex),
    arguments: &'static [&'static str],
    exit: i32,
    /// The statuses of the projects, in the order of the document.
    projects: &'static [&'static str],
    /// The kind of the error that ended the run.
    error: Option<&'static str>,
}

const ALL: &[&str] = &["sync", "--all"];
const ELSEWHERE: &[&str] = &["sync", "--all", "--config", "remote.url=../nothing.git"];
const CHECK: &[&str] = &["status", "--all", "--check"];
const BOTH: &[&str] = &[
    "sync",
    "--all",
    "--bidirectional",
    "--config",
    "sync.from_codex.include=['codex://acme/alpha/**']",
];

fn nothing(_: &Sandbox, _: &Codex) {}

fn change(sandbox: &Sandbox, _: &Codex) {
    sandbox.write("ws/alpha/docs/0.md", "changed");
}

fn lose_beta(sandbox: &Sandbox, _: &Codex) {
    sandbox.remove("ws/beta");
}

fn change_and_lose_beta(sandbox: &Sandbox, codex: &Codex) {
    change(sandbox, codex);
    lose_beta(sandbox, codex);
}

fn change_and_decline(sandbox: &Sandbox, codex: &Codex) {
    change(sandbox, codex);
    codex.hook("pre-receive", "exit 1");
}

/// Adds a project of another user with a file name that no workspace can contain.
fn plant(_: &Sandbox, codex: &Codex) {
    let blob = codex.blob(b"planted");
    let other = codex.plant(&[("100644", b"..", &blob), ("100644", b"a.md", &blob)]);
    let projects = codex.plant(&[("40000", b"other", &other)]);
    codex.set_root(&codex.plant(&[("40000", b"projects", &projects)]));
}

/// Makes the query after the push fail. It is the only one that names the branch.
fn silence(sandbox: &Sandbox) {
    sandbox.wrap_git(
        "case \"$*\" in *ls-remote*refs/heads/main*) echo 'fatal: Could not resolve host: codex' >&2; exit 128;; esac",
    );
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { name: "changed", prepare: change, arguments: ALL, exit: 0, projects: &["synced", "up-to-date"], error: None },
    Case { name: "nothing changed", prepare: nothing, arguments: ALL, exit: 0, projects: &["up-to-date", "up-to-date"], error: None },
    Case { name: "dry run", prepare: change, arguments: &["sync", "--all", "--dry-run"], exit: 0, projects: &["would-sync", "up-to-date"], error: None },
    Case { name: "both directions", prepare: change, arguments: BOTH, exit: 0, projects: &["synced", "up-to-date", "up-to-date", "up-to-date"], error: None },
    Case { name: "pulled", prepare: |_, codex| codex.commit(&[("100644", "projects/other/a.md", "a")], &[]),
        arguments: &["sync", "-p", "alpha", "--from-codex", "--config", "sync.from_codex.include=['codex://acme/other/**']"], exit: 0, projects: &["synced"], error: None },
    Case { name: "HTML report", prepare: change, arguments: &["status", "--all", "--html", "page.html"], exit: 0, projects: &["would-sync", "up-to-date"], error: None },
    Case { name: "some paths cannot be pulled", prepare: plant,
        arguments: &["sync", "-p", "alpha", "--from-codex", "--config", "sync.from_codex.include=['codex://acme/other/**']"], exit: 1, projects: &["failed"], error: None },
    Case { name: "name of the tool given twice", prepare: nothing, arguments: &["codex", "sync", "--all"], exit: 0, projects: &["up-to-date", "up-to-date"], error: None },

    Case { name: "failed project", prepare: change_and_lose_beta, arguments: ALL, exit: 1, projects: &["synced", "failed"], error: None },
    Case { name: "withheld project", prepare: |sandbox, _| sandbox.remove("ws/alpha/docs"), arguments: ALL, exit: 1, projects: &["withheld", "up-to-date"], error: None },
    Case { name: "atomic", prepare: change_and_lose_beta, arguments: &["sync", "--all", "--atomic"], exit: 1, projects: &["withheld", "failed"], error: Some("atomic") },

    Case { name: "unknown option", prepare: nothing, arguments: &["sync", "--no-such-flag"], exit: 2, projects: &[], error: Some("usage") },
    Case { name: "conflicting options", prepare: nothing, arguments: &["sync", "--all", "--from-codex", "--to-codex"], exit: 2, projects: &[], error: Some("usage") },
    Case { name: "option that conflicts with the direction", prepare: nothing, arguments: &["sync", "--all", "--from-codex", "--no-cache"], exit: 2, projects: &[], error: Some("usage") },
    Case { name: "option that requires another one", prepare: nothing, arguments: &["sync", "--all", "--offline"], exit: 2, projects: &[], error: Some("usage") },
    Case { name: "unknown project", prepare: nothing, arguments: &["sync", "-p", "gamma"], exit: 2, projects: &[], error: Some("usage") },
    Case { name: "glob that matches no project", prepare: nothing, arguments: &["sync", "-p", "g*"], exit: 2, projects: &[], error: Some("usage") },
    Case { name: "no project selected", prepare: nothing, arguments: &["sync"], exit: 2, projects: &[], error: Some("usage") },
    Case { name: "invalid number", prepare: nothing, arguments: &["sync", "--all", "--max-delete", "many"], exit: 2, projects: &[], error: Some("usage") },
    Case { name: "directory as the HTML report", prepare: nothing, arguments: &["status", "--all", "--html", "."], exit: 2, projects: &[], error: Some("page") },
    Case { name: "missing directory", prepare: nothing, arguments: &["-C", "nowhere", "sync"], exit: 2, projects: &[], error: Some("usage") },

    Case { name: "unknown key", prepare: nothing, arguments: &["sync", "--all", "--config", "remote.timeot=1"], exit: 3, projects: &[], error: Some("configuration") },
    Case { name: "unknown environment", prepare: nothing, arguments: &["sync", "--all", "--env", "prd"], exit: 3, projects: &[], error: Some("configuration") },

    Case { name: "missing remote", prepare: change, arguments: ELSEWHERE, exit: 4, projects: &["failed", "failed"], error: Some("not-found") },
    Case { name: "missing branch", prepare: change, arguments: &["sync", "--all", "--config", "remote.branch=missing"], exit: 4, projects: &["failed", "failed"], error: Some("branch-missing") },
    Case { name: "no recorded state", prepare: |sandbox, _| sandbox.remove("home/.local"), arguments: &["sync", "--all", "--dry-run", "--offline"], exit: 4, projects: &["failed", "failed"], error: Some("nothing-recorded") },
    Case { name: "not confirmed", prepare: |sandbox, codex| { change(sandbox, codex); silence(sandbox); }, arguments: ALL, exit: 4, projects: &["failed", "up-to-date"], error: Some("unverified") },

    Case { name: "rejected", prepare: change_and_decline, arguments: ALL, exit: 5, projects: &["failed", "up-to-date"], error: Some("declined") },
    Case { name: "out of date", prepare: change, arguments: CHECK, exit: 6, projects: &["would-sync", "up-to-date"], error: None },
    Case { name: "up to date", prepare: nothing, arguments: CHECK, exit: 0, projects: &["up-to-date", "up-to-date"], error: None },
    Case { name: "signal", prepare: |sandbox, codex| { change(sandbox, codex); sandbox.wrap_git("case \"$*\" in *fetch*) kill -INT $PPID; exec tail -f /dev/null;; esac"); },
        // The tip is fetched during the scan, so there is no plan yet.
        arguments: ALL, exit: 130, projects: &["failed", "failed"], error: Some("interrupted") },

    Case { name: "2 before 3", prepare: nothing, arguments: &["sync", "--no-such-flag", "--config", "nonsense=1"], exit: 2, projects: &[], error: Some("usage") },
    Case { name: "3 before 4", prepare: change, arguments: &["sync", "--all", "--config", "nonsense=1", "--config", "remote.url=../nothing.git"], exit: 3, projects: &[], error: Some("configuration") },
    Case { name: "4 before 5", prepare: |sandbox, codex| { change_and_decline(sandbox, codex); silence(sandbox); }, arguments: ALL, exit: 4, projects: &["failed", "up-to-date"], error: Some("host-unknown") },
    Case { name: "4 before 1", prepare: lose_beta, arguments: ELSEWHERE, exit: 4, projects: &["failed", "failed"], error: Some("not-found") },
    Case { name: "4 before 6", prepare: change, arguments: &["status", "--all", "--check", "--config", "remote.url=../nothing.git"], exit: 4, projects: &["failed", "failed"], error: Some("not-found") },
    Case { name: "5 before 1", prepare: |sandbox, codex| { change_and_decline(sandbox, codex); lose_beta(sandbox, codex); }, arguments: ALL, exit: 5, projects: &["failed", "failed"], error: Some("declined") },
    Case { name: "5 and nothing pulled", prepare: change_and_decline, arguments: BOTH, exit: 5, projects: &["failed", "up-to-date"], error: Some("declined") },
    Case { name: "1 before 6", prepare: change_and_lose_beta, arguments: CHECK, exit: 1, projects: &["would-sync", "failed"], error: None },
];

/// Two projects, synced.
fn world() -> World {
    let world = World::builder()
        .projects(&["alpha", "beta"])
        .files(&[("beta/README.md", "beta")])
        .empty_codex()
        .build();
    for file in 0..10 {
        let contents = format!("alpha {file}");
        world
            .sandbox
            .write(&format!("ws/alpha/docs/{file}.md"), contents);
    }
    world.run(ALL).code(0);
    world
}

/// A schema of the program, changed so that it rejects unknown fields.
fn strict(of: &str) -> Validator {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(object) => {
                object.values_mut().for_each(close);
                if object.get("properties").is_some_and(Value::is_object) {
                    object.insert("additionalProperties".to_owned(), false.into());
                }
            }
            Value::Array(list) => list.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut schema =
        serde_json::from_str(&Sandbox::new().run(&["config", "schema", of]).code(0).stdout)
            .unwrap();
    close(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn exit_status_and_document_match_in_every_case() {
    let schemas = [strict("sync"), strict("events")];
    let shared = world();
    let next = AtomicUsize::new(0);
    let differences = Mutex::new(String::new());

    let work = || {
        while let Some(case) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
            for more in [&["--json", "-vv"][..], &["--format", "ndjson", "-q"], &[]] {
                let result = if case.is_early_error() {
                    case.check(&shared, more, &schemas)
                } else {
                    case.check(&world(), more, &schemas)
                };
                if let Err(difference) = result {
                    let difference = format!("{} {more:?}: {difference}\n", case.name);
                    differences.lock().unwrap().push_str(&difference);
                }
            }
        }
    };
    thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let differences = differences.into_inner().unwrap();
    assert!(differences.is_empty(), "{differences}");
}

impl Case {
    /// Whether the run ends before it reads or writes anything but the configuration, so that it
    /// can share its world.
    fn is_early_error(&self) -> bool {
        matches!(self.exit, 2 | 3)
    }

    /// Runs the case with more arguments. The error is a description of the difference.
    fn check(
        &self,
        world: &World,
        more: &[&str],
        [document, line]: &[Validator; 2],
    ) -> Result<(), String> {
        (self.prepare)(&world.sandbox, &world.codex);
        let output = world.run(&[self.arguments, more].concat());
        let all = format!(
            "exit status {:?}\n{}\n{}",
            output.code, output.stdout, output.stderr
        );
        let documents: Vec<Value> = match more {
            [] => {
                let names_an_error = output.stderr.contains("error: ");
                let right =
                    output.code == Some(self.exit) && names_an_error != matches!(self.exit, 0 | 6);
                return if right { Ok(()) } else { Err(all) };
            }
            ["--json", ..] => vec![
                serde_json::from_str(&output.stdout).map_err(|error| format!("{error}: {all}"))?,
            ],
            _ => output
                .stdout
                .lines()
                .map(serde_json::from_str)
                .collect::<Result<_, _>>()
                .map_err(|_| all.clone())?,
        };
        let (schema, last) = match (more, documents.last()) {
            (_, None) => return Err(all),
            (["--json", ..], Some(last)) => (document, last),
            (_, Some(last)) => (line, &last["document"]),
        };
        for value in &documents {
            if let Some(error) = schema.iter_errors(value).next() {
                return Err(format!("{error}: {value:#}"));
            }
        }
        let projects = last["projects"].as_array().into_iter().flatten();
        let projects: Vec<_> = projects
            .filter_map(|project| project["status"].as_str())
            .collect();
        let right = projects == self.projects && last["error"]["kind"].as_str() == self.error;
        let exits = output.code == Some(self.exit) && last["exit_code"] == self.exit;
        if right && exits { Ok(()) } else { Err(all) }
    }
}
