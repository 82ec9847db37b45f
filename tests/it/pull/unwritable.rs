//! Caches that cannot be written: a dry run reports the failure of the run.

use std::process::Command;

use super::*;

const CACHE: &str = "ws/.fractary/codex/cache";
const CONTROL: &str = "ws/.fractary/codex/cache/.fractary-codex";
const PULL: [&str; 4] = ["sync", "--all", "--from-codex", "--json"];

/// A workspace with a filled cache, and a codex with a changed, a new and a deleted file.
fn stale_cache() -> (Sandbox, Codex) {
    let (sandbox, codex) = world();
    sandbox.run(&PULL).code(0);
    codex.commit(
        &[
            ("100644", "projects/core/docs/a.md", "changed"),
            ("100644", "projects/core/docs/new/c.md", "new"),
        ],
        &["projects/other/docs/deep/b.md"],
    );
    (sandbox, codex)
}

/// The parts of a document that a dry run predicts.
fn prediction(document: &Value) -> Value {
    let entry = |project: &Value| {
        let keys = ["name", "error", "added", "modified", "deleted", "changes"];
        keys.map(|key| project[key].clone())
    };
    let projects = document["projects"].as_array().unwrap();
    let projects: Vec<_> = projects.iter().map(entry).collect();
    serde_json::json!([projects, document["warnings"]])
}

/// Runs a dry run and then the run, which must report the same with the same exit status. Returns
/// the run's document.
#[track_caller]
fn assert_predicted(
    sandbox: &Sandbox,
    arguments: &[&str],
    status: i32,
    command: impl Fn(&Sandbox, &[&str]) -> Command,
) -> Value {
    let before = sandbox.fingerprint("ws");
    let planned = command(sandbox, &[arguments, &["--dry-run"]].concat());
    let planned = sandbox.finish(planned).code(status).json();
    assert_eq!(
        sandbox.fingerprint("ws"),
        before,
        "a dry run writes nothing"
    );

    let done = command(sandbox, arguments);
    let done = sandbox.finish(done).code(status).json();
    assert_eq!(prediction(&planned), prediction(&done));
    done
}

#[test]
fn dry_run_reports_a_cache_that_cannot_be_created() {
    let (sandbox, _codex) = world();
    sandbox.set_mode("ws/.fractary", 0o555);
    let done = assert_predicted(&sandbox, &PULL, 1, Sandbox::without_overrides);
    assert_eq!(done["projects"][0]["error"]["kind"], "cache");
    sandbox.set_mode("ws/.fractary", 0o755);
}

#[test]
fn dry_run_reports_a_file_in_place_of_the_cache() {
    for file in ["ws/.fractary/codex", CACHE] {
        let (sandbox, _codex) = world();
        sandbox.write(file, "");
        let done = assert_predicted(&sandbox, &PULL, 1, Sandbox::program);
        assert_eq!(done["projects"][0]["error"]["kind"], "cache");
    }
}

#[test]
fn dry_run_reports_a_cache_whose_own_files_cannot_be_written() {
    let (sandbox, _codex) = stale_cache();
    sandbox.set_mode(CONTROL, 0o555);
    let done = assert_predicted(&sandbox, &PULL, 1, Sandbox::without_overrides);
    assert_eq!(done["projects"][0]["error"]["kind"], "cache");

    sandbox.set_mode(CONTROL, 0o755);
    assert_predicted(&sandbox, &PULL, 0, Sandbox::program);
}

#[test]
fn dry_run_reports_a_cache_whose_lock_cannot_be_created() {
    let (sandbox, _codex) = stale_cache();
    sandbox.remove(&format!("{CONTROL}/lock"));
    sandbox.set_mode(CONTROL, 0o555);
    assert_predicted(&sandbox, &PULL, 1, Sandbox::without_overrides);
    sandbox.set_mode(CONTROL, 0o755);
}

#[test]
fn cache_that_is_up_to_date_need_not_be_writable() {
    let (sandbox, _codex) = world();
    sandbox.run(&PULL).code(0);
    for directory in [CACHE, CONTROL] {
        sandbox.set_mode(directory, 0o555);
    }
    assert_predicted(&sandbox, &PULL, 0, Sandbox::without_overrides);
    for directory in [CACHE, CONTROL] {
        sandbox.set_mode(directory, 0o755);
    }
}

#[test]
fn dry_run_reports_the_files_that_cannot_be_written_or_removed() {
    for (directory, failing) in [
        ("projects/core/docs", &["a.md", "new/c.md"][..]),
        ("projects/other/docs/deep", &["b.md"]),
    ] {
        let (sandbox, _codex) = stale_cache();
        let path = format!("{CACHE}/{directory}");
        sandbox.set_mode(&path, 0o555);
        let done = assert_predicted(&sandbox, &PULL, 1, Sandbox::without_overrides);
        sandbox.set_mode(&path, 0o755);

        let error = done["projects"][0]["error"].to_string();
        for file in failing {
            let path = format!("{directory}/{file}");
            assert!(error.contains(&path), "{path}: {error}");
        }
        assert_eq!(
            done["projects"][0]["changes"].as_array().unwrap().len(),
            3 - failing.len()
        );
        assert_predicted(&sandbox, &PULL, 0, Sandbox::program);
    }
}

#[test]
fn dry_run_reports_a_read_only_file_system() {
    let (sandbox, _codex) = stale_cache();
    let cache = sandbox.path(CACHE);
    let mount = format!(
        "mount --bind {0} {0} && mount -o remount,ro,bind {0}",
        cache.display()
    );
    let dry_run = [&PULL[..], &["--dry-run"]].concat();
    let Some(planned) = sandbox.run_with_mounts(&mount, &dry_run) else {
        return;
    };
    let done = sandbox.run_with_mounts(&mount, &PULL).unwrap();
    let (planned, done) = (planned.code(1).json(), done.code(1).json());
    assert_eq!(done["projects"][0]["error"]["kind"], "cache");
    assert_eq!(prediction(&planned), prediction(&done));
}

#[test]
fn dry_run_of_a_publication_warns_about_its_cache() {
    let (sandbox, codex) = world();
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.set_mode("ws/.fractary", 0o555);
    let publish = ["sync", "--all", "--to-codex", "--json"];
    let done = assert_predicted(&sandbox, &publish, 0, Sandbox::without_overrides);
    let warnings = done["warnings"].to_string();
    assert!(warnings.contains("the codex is not affected"), "{warnings}");
    assert_eq!(codex.file("projects/alpha/README.md"), "alpha");
    sandbox.set_mode("ws/.fractary", 0o755);
}
