//! A pull that would delete too many files of the cache is withheld, as a publish is that would
//! delete too many files of the codex.

use serde_json::json;

use super::*;

const CACHE: &str = "ws/.fractary/codex/cache";
const PULL: [&str; 3] = ["sync", "--all", "--from-codex"];

/// The paths of documents of the project `core` in the codex.
fn documents(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers
        .map(|number| format!("projects/core/docs/{number:02}.md"))
        .collect()
}

/// Two projects that have pulled the same 30 documents. `beta` has pulled another one as well.
fn pulled() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(
        &["alpha", "beta"],
        "  sync: { from_codex: { include: ['codex://acme/core/docs/**'] } }\n",
    );
    sandbox.write(
        "ws/.fractary/config.local.yaml",
        "codex: { projects: { beta: { sync: { from_codex: { include: ['codex://acme/core/**'] } } } } }\n",
    );
    let paths = documents(0..30);
    let mut files: Vec<_> = paths
        .iter()
        .map(|path| ("100644", path.as_str(), path.as_str()))
        .collect();
    files.push(("100644", "projects/core/LICENSE", "free"));
    codex.commit(&files, &[]);
    sandbox.run(&PULL).code(0);
    assert_eq!(names(&sandbox.path(CACHE)).len(), 31);
    (sandbox, codex)
}

/// Deletes documents from the codex.
fn delete(codex: &Codex, paths: &[String]) {
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    codex.commit(&[("100644", "README.md", "moved")], &paths);
}

#[test]
fn emptied_branch_empties_no_cache() {
    let (sandbox, codex) = pulled();
    let mut all = documents(0..30);
    all.push("projects/core/LICENSE".to_owned());
    delete(&codex, &all);

    let run = |arguments: &[&str]| sandbox.run(&[&PULL, arguments].concat());
    let planned = run(&["--dry-run", "--json"]).code(1).json();
    let output = run(&["--force", "--json"]).code(1).json();
    for key in ["projects", "totals", "plan_id"] {
        assert_eq!(planned[key], output[key], "{key}");
    }
    assert_eq!(names(&sandbox.path(CACHE)).len(), 31);
    assert_eq!(output["totals"]["withheld"], 2);
    let alpha = &output["projects"][0];
    assert_eq!(alpha["status"], "withheld");
    assert_eq!(
        (&alpha["deleted"], &output["exit_code"]),
        (&json!(30), &json!(1))
    );
    assert_eq!(alpha["error"]["kind"], "withheld");
    let command = ["sync", "-p", "alpha", "--from-codex", "--allow-mass-delete"];
    let hint = alpha["error"]["hints"][0].as_str().unwrap();
    let typed = format!("if intended, run `fractary-codex {}`", command.join(" "));
    assert!(hint.ends_with(&typed), "{hint}");

    let text = run(&[]).code(1);
    insta::assert_snapshot!(text.stderr);

    // Files that another project needs stay until that project allows their deletion as well.
    sandbox.run(&command).code(0);
    assert_eq!(names(&sandbox.path(CACHE)).len(), 31);
    let rest = run(&["--allow-mass-delete", "--json"]).code(0).json();
    assert_eq!(rest["totals"]["deleted"], 31);
    assert_eq!(names(&sandbox.path(CACHE)), [""; 0]);
}

#[test]
fn withheld_project_is_pulled_when_the_codex_has_its_files_again() {
    let (sandbox, codex) = pulled();
    let before = codex.tip().unwrap();
    delete(&codex, &documents(0..30));
    sandbox.run(&PULL).code(1);
    codex.git(&["update-ref", "refs/heads/main", &before]);
    let output = sandbox
        .run(&[&PULL[..], &["--json"]].concat())
        .code(0)
        .json();
    assert_eq!(output["totals"]["up_to_date"], 2);
}

#[test]
fn limits_are_those_of_the_deletion_guard() {
    let (sandbox, codex) = pulled();
    delete(&codex, &documents(0..21));
    let run = |arguments: &[&str], code| {
        let output = sandbox
            .run(&[&PULL, arguments, &["--dry-run"]].concat())
            .code(code);
        output.stderr
    };
    let withheld = run(&[], 1);
    let expected = "error: alpha: 21 of 30 files would be deleted from the cache";
    assert!(withheld.contains(expected), "{withheld}");
    let hint = "run `fractary-codex sync -p alpha --from-codex --max-delete 21`";
    assert!(withheld.contains(hint), "{withheld}");

    for (arguments, code) in [
        (["--max-delete", "21"], 0),
        (["--max-delete", "20"], 1),
        (["--max-delete", "70%"], 0),
        (["--max-delete", "69%"], 1),
        (["--config", "sync.delete_guard.files=21"], 0),
        (["--config", "sync.delete_guard.percent=70"], 0),
        (["--config", "sync.delete_guard.percent=69"], 1),
    ] {
        run(&arguments, code);
    }
}

#[test]
fn patterns_that_match_nothing_delete_nothing() {
    let (sandbox, _codex) = pulled();
    for include in ["['codex://acme/cor/**']", "[]"] {
        let include = format!("sync.from_codex.include={include}");
        let output = sandbox.run(&[&PULL[..], &["--config", &include]].concat());
        let expected = "no file of the codex matches, and 30 files would be deleted from the cache";
        assert!(output.code(1).stderr.contains(expected), "{include}");
    }
    assert_eq!(names(&sandbox.path(CACHE)).len(), 31);
}

#[test]
fn only_the_withheld_project_is_held_up() {
    let (sandbox, codex) = pulled();
    let mut files = Vec::new();
    let paths: Vec<String> = (0..40)
        .map(|n| format!("projects/core/guides/{n}.md"))
        .collect();
    files.extend(paths.iter().map(|path| ("100644", path.as_str(), "guide")));
    let all = documents(0..30);
    let deleted: Vec<_> = all.iter().map(String::as_str).collect();

    // `beta` pulls the guides as well, so that less than half of its files disappear.
    codex.commit(&files, &[]);
    sandbox.run(&PULL).code(0);
    codex.commit(&[("100644", "projects/core/LICENSE", "changed")], &deleted);
    let output = sandbox
        .run(&[&PULL[..], &["--json"]].concat())
        .code(1)
        .json();
    let statuses = [0, 1].map(|index| output["projects"][index]["status"].clone());
    assert_eq!(statuses, ["withheld", "synced"]);
    assert_eq!(output["projects"][1]["modified"], 1);
    let cached = cached(&sandbox.path(CACHE));
    assert_eq!(cached["projects/core/LICENSE"], b"changed");
    assert_eq!(cached.len(), 71);
}

#[test]
fn run_in_both_directions_publishes_although_the_pull_is_withheld() {
    let (sandbox, codex) = pulled();
    delete(&codex, &documents(0..30));
    sandbox.write("ws/alpha/README.md", "alpha");
    sandbox.write("ws/beta/README.md", "beta");
    let run = |arguments: &[&str]| {
        let both = ["sync", "--all", "--bidirectional", "--json"];
        sandbox.run(&[&both, arguments].concat()).code(1).json()
    };
    let planned = run(&["--dry-run"]);
    let output = run(&[]);
    assert_eq!(planned["plan_id"], output["plan_id"]);
    assert_eq!(output["pushed"], true);
    let status = |output: &Value| {
        let projects = output["projects"].as_array().unwrap().iter();
        projects
            .map(|entry| entry["status"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        status(&planned),
        ["would-sync", "withheld", "would-sync", "withheld"]
    );
    assert_eq!(
        status(&output),
        ["synced", "withheld", "synced", "withheld"]
    );
    assert_eq!(names(&sandbox.path(CACHE)).len(), 33);
}
