//! Many runs at once into one codex.

use crate::support::Sandbox;

/// Eight processes that start together, each with its own project, as eight CI jobs would. Every odd one has a state
/// directory of its own, so that this machine's lock does not order them all.
fn eight_at_once() {
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..8).map(|n| format!("p{n}")).collect();
    let codex = sandbox.workspace(&names.iter().map(String::as_str).collect::<Vec<_>>(), "");
    codex.commit(&[("100644", "README.md", "the codex"), ("120000", "projects/link", "../README.md")], &[]);
    let others = codex.tree();
    for name in &names {
        for file in 0..5 {
            sandbox.write(&format!("ws/{name}/docs/{file}.md"), format!("{name} {file}"));
        }
    }
    let children: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let mut command = sandbox.program(&["sync", "-p", name]);
            if number % 2 == 1 {
                command.env("FRACTARY_CODEX_STATE__DIR", sandbox.path(&format!("state{number}")));
            }
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    codex.assert_sound();
    assert_eq!(codex.subjects().len(), 9);
    let tree = codex.tree();
    assert_eq!(tree.len(), 8 * 5 + others.len());
    assert!(others.iter().all(|(path, entry)| tree.get(path) == Some(entry)));
    assert_eq!(sandbox.leftovers(), [""; 0]);
}

#[test]
fn eight_syncs_at_once_all_land() {
    for _ in 0..20 {
        eight_at_once();
    }
}

#[test]
fn a_branch_that_moves_between_fetch_and_push_is_planned_again() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    codex.commit(&[("100644", "README.md", "1")], &[]);
    // The first push finds that somebody was faster: the hook itself makes the competing commit.
    codex.hook(
        "pre-receive",
        "[ -e raced ] && exit 0; touch raced; unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
         id=$(git commit-tree -p main -m faster 'main^{tree}') && git update-ref refs/heads/main $id",
    );
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(output["attempts"], 2);
    assert_eq!(codex.subjects(), ["Sync 1 files from alpha", "faster", "Somebody else"]);
    codex.assert_sound();
}

#[test]
fn when_tries_are_used_up_the_last_refusal_is_told() {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    codex.commit(&[("100644", "README.md", "1")], &[]);
    codex.hook(
        "pre-receive",
        "unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
         id=$(git commit-tree -p main -m faster 'main^{tree}') && git update-ref refs/heads/main $id",
    );
    let output = sandbox.run(&["sync", "--all", "--retries", "2", "--json"]).code(5).json();
    assert_eq!(output["error"]["kind"], "retries-exhausted");
    assert_eq!((&output["attempts"], &output["pushed"]), (&3.into(), &false.into()));
    assert_eq!(output["projects"][0]["status"], "failed");
    assert_eq!(codex.paths(), ["README.md"]);
}
