//! The examples, run unchanged against a codex on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Codex, Output, Sandbox, executable, masked, process};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Copies an example into a sandbox, and returns its directory there.
fn copy(name: &str) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let to = sandbox.path(name);
    let from = repository().join("examples").join(name);
    assert!(
        process::program("cp")
            .arg("-r")
            .args([&from, &to])
            .status()
            .unwrap()
            .success()
    );
    (sandbox, to)
}

/// Runs a command with the program on PATH and these variables.
fn run(sandbox: &Sandbox, mut command: Command, variables: &[(&str, &str)]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_fractary-codex"))
        .parent()
        .unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).envs(variables.iter().copied());
    sandbox.finish(command)
}

fn script(sandbox: &Sandbox, directory: &Path, script: &str) -> Command {
    let mut command = sandbox.command("bash");
    command
        .args(["-eo", "pipefail", "-c", script])
        .current_dir(directory);
    command
}

#[test]
fn many_repos_example_publishes_together_or_one_by_one() {
    let (sandbox, at) = copy("many-repos");
    run(
        &sandbox,
        script(
            &sandbox,
            &at.join("repos/ledger/docs"),
            "fractary-codex sync",
        ),
        &[],
    )
    .code(0);
    let all = run(
        &sandbox,
        script(&sandbox, &at, "fractary-codex sync --all --json"),
        &[],
    )
    .code(0)
    .json();
    assert_eq!(
        (&all["totals"]["synced"], &all["totals"]["up_to_date"]),
        (&2.into(), &1.into())
    );
    let listed = sandbox.git(
        &at.join("codex.git"),
        &["ls-tree", "-r", "--name-only", "main"],
    );
    let landed: Vec<_> = listed.lines().collect();
    assert_eq!(
        landed,
        [
            "projects/api-gateway/CHANGELOG.md",
            "projects/api-gateway/README.md",
            "projects/api-gateway/docs/rate-limits.md",
            "projects/ledger/README.md",
            "projects/ledger/docs/closing.md",
            "projects/website/README.md",
            "projects/website/docs/style.md",
        ]
    );
    // Each project has its own cache, because each has its own `.fractary/`.
    run(
        &sandbox,
        script(&sandbox, &at, "fractary-codex sync -p website --from-codex"),
        &[],
    )
    .code(0);
    assert!(
        at.join("repos/website/.fractary/codex/cache/projects/ledger/docs/closing.md")
            .exists()
    );
}

#[test]
fn ci_env_example_needs_no_configuration_file() {
    let (sandbox, at) = copy("ci-env");
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    let url = format!("file://{}", codex.path().display());
    let variables = [("CODEX_URL", url.as_str()), ("CI", "true")];
    run(&sandbox, script(&sandbox, &at, "./publish.sh"), &variables).code(0);
    assert_eq!(
        codex.paths(),
        ["handbook/web/docs/index.md", "projects/api/docs/index.md"]
    );
    let job: serde_json::Value = yaml(&at.join("gitlab-ci.yml"));
    let lines = job["publish-documentation"]["script"].as_array().unwrap();
    let lines: Vec<_> = lines.iter().map(|line| line.as_str().unwrap()).collect();
    let checkout = at.parent().unwrap();
    fs::create_dir(checkout.join("examples")).unwrap();
    fs::rename(&at, checkout.join("examples/ci-env")).unwrap();
    let variables = [
        variables.as_slice(),
        &[("CI_PROJECT_DIR", checkout.to_str().unwrap())],
    ]
    .concat();
    let again = run(
        &sandbox,
        script(&sandbox, checkout, &lines.join("\n")),
        &variables,
    )
    .code(0);
    assert!(again.stdout.contains("nothing to push"), "{}", again.stdout);
    assert!(checkout.join(".codex-state").exists());
}

fn yaml(path: &Path) -> serde_json::Value {
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn action_steps_run_with_the_inputs_of_a_workflow() {
    let action = yaml(&repository().join("action.yml"));
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    let workflow = yaml(&repository().join("examples/ci-env/github-workflow.yml"));
    let given = &workflow["jobs"]["publish"]["steps"][1]["with"];
    assert!(
        given
            .as_object()
            .unwrap()
            .keys()
            .all(|input| action["inputs"].get(input).is_some())
    );
    let outputs = sandbox.path("outputs");
    let variables = [
        (
            "CODEX_ARGUMENTS",
            action["inputs"]["arguments"]["default"].as_str().unwrap(),
        ),
        ("CODEX_TOKEN", "a-token"),
        ("GITHUB_ACTION_PATH", repository().to_str().unwrap()),
        ("GITHUB_OUTPUT", outputs.to_str().unwrap()),
        ("GITHUB_ACTIONS", "true"),
        ("CI", "true"),
    ];
    for step in action["runs"]["steps"].as_array().unwrap() {
        if let Some(text) = step["run"].as_str() {
            run(
                &sandbox,
                script(&sandbox, &sandbox.path("ws"), text),
                &variables,
            )
            .code(0);
        }
    }
    assert_eq!(codex.paths(), ["projects/alpha/README.md"]);
    sandbox.write("ws/alpha/README.md", "changed");
    let step = action["runs"]["steps"].as_array().unwrap().last().unwrap();
    let given = [
        (
            "CODEX_ARGUMENTS",
            "sync -p 'a*'\n--message \"Two  words\"\n",
        ),
        ("CODEX_TOKEN", ""),
    ];
    run(
        &sandbox,
        script(&sandbox, &sandbox.path("ws"), step["run"].as_str().unwrap()),
        &given,
    )
    .code(0);
    assert_eq!(codex.subjects()[0], "Two  words");
}

/// The example of a fleet as a repository in a pipeline, and its codex, which has a commit.
fn fleet() -> (Sandbox, PathBuf, Codex, String) {
    let (sandbox, at) = copy("fleet");
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    codex.commit(&[("100644", "README.md", "codex")], &[]);
    sandbox.git(&at, &["init", "-q", "-b", "main"]);
    sandbox.git(&at, &["add", "-A"]);
    sandbox.git(&at, &["commit", "-qm", "One"]);
    let url = format!("file://{}", codex.path().display());
    (sandbox, at, codex, url)
}

/// The files that the pipelines of the fleet publish.
fn assert_fleet_is_published(codex: &Codex) {
    let services = ["accounts", "billing", "catalog"];
    let files = services.iter().flat_map(|service| {
        ["README.md", "docs/operation.md"].map(|file| format!("projects/{service}/{file}"))
    });
    let expected: Vec<_> = ["README.md".to_owned()].into_iter().chain(files).collect();
    assert_eq!(codex.paths(), expected);
}

#[test]
fn fleet_on_github_plans_and_applies_in_shards() {
    let (sandbox, at, codex, url) = fleet();
    let workflow = yaml(&at.join("github-workflow.yml"));
    let jobs = &workflow["jobs"];
    sandbox.write("event.json", "{}");
    let (event, outputs) = (sandbox.path("event.json"), sandbox.path("outputs"));
    let run_job = |job: &str, more: &[(&str, &str)]| {
        let given = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "schedule"),
            ("GITHUB_EVENT_PATH", event.to_str().unwrap()),
            ("GITHUB_OUTPUT", outputs.to_str().unwrap()),
            ("FRACTARY_CODEX_REMOTE__URL", url.as_str()),
        ];
        let steps = jobs[job]["steps"].as_array().unwrap().iter();
        for text in steps.filter_map(|step| step["run"].as_str()) {
            run(
                &sandbox,
                script(&sandbox, &at, text),
                &[&given, more].concat(),
            )
            .code(0);
        }
    };

    run_job("shards", &[]);
    let written = fs::read_to_string(&outputs).unwrap();
    let matrix = written
        .lines()
        .find_map(|line| line.strip_prefix("matrix="))
        .unwrap();
    let matrix: serde_json::Value = serde_json::from_str(matrix).unwrap();
    let shards = matrix["include"].as_array().unwrap();
    assert_eq!(shards.len(), 3);
    let condition = jobs["plan"]["if"].as_str().unwrap();
    assert!(condition.ends_with(r#"!= '{"include":[]}'"#), "{condition}");
    for job in ["plan", "apply"] {
        let source = jobs[job]["strategy"]["matrix"].as_str().unwrap();
        assert!(source.contains("fromJSON(needs.shards.outputs.matrix)"));
    }

    let before = codex.tip();
    let plan = |index: usize| at.join(format!("plan-{index}.json"));
    for (index, shard) in shards.iter().enumerate() {
        run_job("plan", &[("SHARD", shard["shard"].as_str().unwrap())]);
        fs::rename(at.join("plan.json"), plan(index)).unwrap();
    }
    assert_eq!(codex.tip(), before);
    assert!(jobs["approve"]["environment"].is_string());
    for index in 0..shards.len() {
        fs::rename(plan(index), at.join("plan.json")).unwrap();
        run_job("apply", &[]);
    }
    assert_fleet_is_published(&codex);
}

#[test]
fn fleet_on_gitlab_plans_and_applies_in_shards() {
    let (sandbox, at, codex, url) = fleet();
    let pipeline = yaml(&at.join("gitlab-ci.yml"));
    let count = pipeline[".codex"]["parallel"].as_u64().unwrap();
    let run_jobs = |job: &str| {
        let lines = pipeline[job]["script"].as_array().unwrap();
        let lines: Vec<_> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        let total = count.to_string();
        for number in 1..=count {
            let number = number.to_string();
            let variables = [
                ("GITLAB_CI", "true"),
                ("CI_PIPELINE_SOURCE", "schedule"),
                ("CI_NODE_INDEX", number.as_str()),
                ("CI_NODE_TOTAL", total.as_str()),
                ("CODEX_READ_TOKEN", ""),
                ("CODEX_TOKEN", ""),
                ("FRACTARY_CODEX_REMOTE__URL", url.as_str()),
            ];
            let job = script(&sandbox, &at, &lines.join("\n"));
            run(&sandbox, job, &variables).code(0);
        }
    };

    let before = codex.tip();
    run_jobs("plan");
    assert_eq!(codex.tip(), before);
    assert_eq!(pipeline["approve"]["rules"][0]["when"], "manual");
    assert_eq!(pipeline["approve"]["allow_failure"], false);
    run_jobs("apply");
    assert_fleet_is_published(&codex);
}

#[test]
fn pre_push_hook_publishes_despite_git_variables() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    let workspace = sandbox.path("ws");
    sandbox.write("ws/alpha/README.md", "alpha");
    let git = |arguments: &[&str]| sandbox.git(&workspace, arguments);
    git(&["init", "-q", "-b", "main"]);
    git(&["init", "-q", "--bare", "../origin.git"]);
    git(&["remote", "add", "origin", "../origin.git"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "One"]);
    let hook = workspace.join(".git/hooks/pre-push");
    executable::copy(&repository().join("examples/hooks/pre-push"), &hook);
    // In a worktree or with `--git-dir`, git sets these variables for its hooks.
    let push =
        "GIT_DIR=$PWD/.git GIT_WORK_TREE=$PWD GIT_INDEX_FILE=$PWD/.git/index git push -q origin";
    run(
        &sandbox,
        script(&sandbox, &workspace, &format!("{push} main:other")),
        &[],
    )
    .code(0);
    assert_eq!(codex.tip(), None);
    run(
        &sandbox,
        script(&sandbox, &workspace, &format!("{push} main")),
        &[],
    )
    .code(0);
    assert_eq!(codex.paths(), ["projects/alpha/README.md"]);
    assert_eq!(git(&["rev-list", "--count", "--all"]).trim(), "1");
    assert_eq!(git(&["status", "--porcelain"]), "");
}

#[test]
fn readme_transcript_matches_the_program() {
    let sandbox = Sandbox::new();
    let codex = Codex::empty(&sandbox.path("codex.git"), &sandbox);
    for (name, files) in [("click", 43), ("flask", 88), ("werkzeug", 47)] {
        sandbox.write(&format!("ws/{name}/README.md"), name);
        (1..files).for_each(|file| {
            sandbox.write(
                &format!("ws/{name}/docs/{file}.rst"),
                format!("{name} {file}"),
            )
        });
        let git = |arguments: &[&str]| sandbox.git(&sandbox.path(&format!("ws/{name}")), arguments);
        git(&["init", "-q"]);
        git(&[
            "remote",
            "add",
            "origin",
            &format!("https://git.example/pallets/{name}.git"),
        ]);
    }
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let transcript = readme
        .split("<!-- transcript -->\n```console\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let transcript = transcript
        .replace("/home/ada/pallets", &sandbox.path("ws").to_string_lossy())
        .replace("/srv/pallets/codex.git", &codex.path().to_string_lossy());
    let steps: Vec<_> = transcript
        .split("$ ")
        .skip(1)
        .map(|step| step.split_once('\n').unwrap())
        .collect();
    assert_eq!(steps.len(), 4);
    for (command, expected) in steps {
        let output = run(
            &sandbox,
            script(&sandbox, &sandbox.path("ws"), command),
            &[],
        )
        .code(0);
        assert_eq!(masked(&output.stdout), masked(expected), "{command}");
    }
    assert_eq!(codex.paths().len(), 178);
}

/// Builds an example program of the library, and returns its path. This runs in the environment of
/// the tests, so that the build shares its artifacts with theirs.
fn example_program(name: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    // Cargo sets these for the test. A build script that reads them would run again, here and in the
    // next build, and everything that depends on its crate would be built again.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&variable);
        }
    }
    let output = cargo
        .args([
            "build",
            "--quiet",
            "--message-format=json",
            "--example",
            name,
        ])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let messages = String::from_utf8(output.stdout).unwrap();
    let executable = messages
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find_map(|message| Some(message["executable"].as_str()?.to_owned()));
    executable.unwrap().into()
}

#[test]
fn library_example_publishes_with_its_own_reporter() {
    let program = example_program("publish");
    let (sandbox, directory) = copy("monorepo");
    let publish = || {
        let mut command = sandbox.command(program.to_str().unwrap());
        command
            .arg(&directory)
            .env("XDG_STATE_HOME", sandbox.path("state"));
        sandbox.finish(command)
    };

    let output = publish().code(0);
    for stage in ["Scan …", "Fetch …", "Commit …", "Push …", "Verify …"] {
        assert!(output.stdout.contains(stage), "{}", output.stdout);
    }
    assert!(
        output.stdout.contains("ledger: Synced"),
        "{}",
        output.stdout
    );
    // The library itself prints nothing.
    let is_reported = |line: &str| {
        line.ends_with(" …") || line.starts_with("warning: ") || line.ends_with(": Synced")
    };
    assert!(output.stdout.lines().all(is_reported), "{}", output.stdout);
    assert_eq!(output.stderr, "");

    let again = publish().code(0);
    assert!(
        again.stdout.contains("ledger: UpToDate"),
        "{}",
        again.stdout
    );

    // An error is returned, not printed.
    sandbox.remove("monorepo/codex.git");
    sandbox.write("monorepo/codex.git", "not a repository");
    let failed = publish().code(1);
    assert!(failed.stderr.starts_with("Error: "), "{}", failed.stderr);
}
