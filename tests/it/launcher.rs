//! The launcher: `fractary NAME …` runs `fractary-NAME …`.

use std::fs;
use std::path::Path;

use crate::support::{Output, Sandbox, executable};

/// Runs the launcher from an otherwise empty directory, with a tool on PATH that prints its
/// arguments.
fn launch(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    for (name, body) in [
        ("fractary-echo", "echo \"$@\"; exit 7"),
        ("fractary-codex", "echo the one on PATH: \"$@\""),
    ] {
        executable::script(&sandbox.path("bin").join(name), body);
    }
    sandbox.write("bin/fractary-notes", "not executable");
    let launcher = sandbox.path("own/fractary");
    if !launcher.exists() {
        executable::copy(Path::new(env!("CARGO_BIN_EXE_fractary")), &launcher);
        // A link to the launcher itself would run endlessly.
        std::os::unix::fs::symlink(&launcher, sandbox.path("own/fractary-self")).unwrap();
    }
    let path = format!(
        "{}:{}",
        sandbox.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = sandbox.command(launcher.to_str().unwrap());
    command.args(arguments).env("PATH", path);
    sandbox.finish(command)
}

#[test]
fn arguments_and_exit_status_pass_through() {
    let sandbox = Sandbox::new();
    let output = launch(&sandbox, &["echo", "a b", "--flag", "-x"]).code(7);
    assert_eq!(output.stdout, "a b --flag -x\n");
    let output = launch(&sandbox, &["help", "echo"]).code(7);
    assert_eq!(output.stdout, "--help\n");
    let output = launch(&sandbox, &["help", "echo", "sync", "deep"]).code(7);
    assert_eq!(output.stdout, "sync deep --help\n");
}

#[test]
fn own_directory_takes_precedence_over_path() {
    let sandbox = Sandbox::new();
    assert!(
        launch(&sandbox, &["codex", "x"])
            .code(0)
            .stdout
            .starts_with("the one on PATH")
    );
    executable::copy(
        Path::new(env!("CARGO_BIN_EXE_fractary-codex")),
        &sandbox.path("own/fractary-codex"),
    );
    let output = launch(&sandbox, &["codex", "--version"]).code(0);
    assert_eq!(
        output.stdout,
        format!("fractary-codex {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn unknown_command_is_an_error_with_a_suggestion() {
    let sandbox = Sandbox::new();
    let listed = launch(&sandbox, &["--list"]).code(0).stdout;
    let names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert!(
        names.contains(&"echo") && names.contains(&"codex"),
        "{names:?}"
    );
    assert!(
        !names.contains(&"notes") && !names.contains(&"self"),
        "{names:?}"
    );
    let output = launch(&sandbox, &["codx"]).code(2);
    assert!(
        output.stderr.contains("did you mean `fractary codex`?"),
        "{}",
        output.stderr
    );
    let output = launch(&sandbox, &["CODEX"]).code(2);
    assert!(
        output.stderr.contains("did you mean `fractary codex`?"),
        "{}",
        output.stderr
    );
    let output = launch(&sandbox, &["-x"]).code(2);
    assert_eq!(
        output.stderr,
        "error: unknown option `-x`; see `fractary --help`\n"
    );
    let output = launch(&sandbox, &["self"]).code(2);
    assert!(
        output.stderr.contains("unknown command `self`"),
        "{}",
        output.stderr
    );
    assert!(
        launch(&sandbox, &[])
            .code(2)
            .stderr
            .starts_with("Run a fractary tool")
    );
}

#[test]
fn tool_name_may_contain_a_dot() {
    let sandbox = Sandbox::new();
    executable::script(&sandbox.path("bin/fractary-with.dot"), "echo dotted");
    assert_eq!(launch(&sandbox, &["with.dot"]).code(0).stdout, "dotted\n");
}

#[test]
fn missing_interpreter_is_named() {
    let sandbox = Sandbox::new();
    executable::write(&sandbox.path("bin/fractary-old"), "#!/no/such/python -u\n");
    let stderr = launch(&sandbox, &["old"]).code(126).stderr;
    assert!(
        stderr.ends_with("/bin/fractary-old`: its interpreter `/no/such/python -u` is missing\n"),
        "{stderr}"
    );
}

#[test]
fn unwritable_help_is_an_error() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(env!("CARGO_BIN_EXE_fractary"));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let child = command
        .arg("--help")
        .stdout(full)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = sandbox.ended(child).code(1).stderr;
    assert!(
        stderr.starts_with("error: the output cannot be written: No space left"),
        "{stderr}"
    );
}
