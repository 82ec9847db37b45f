//! Child processes: git, ssh, and the programs that git runs to get credentials.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::{MARKER, SHORT_TIMEOUTS, TOKEN_VARIABLE, assert_no_secret, guarded_world};
use crate::support::{Sandbox, executable, wait_until};

#[test]
fn child_processes_get_no_token_as_argument_and_no_variables_of_dotenv() {
    let world = guarded_world();
    let here = world.sandbox.path("");
    let here = here.display();
    world.sandbox.wrap_git(&format!(
        "echo \"$@\" >> {here}/arguments; env >> {here}/variables"
    ));
    let dotenv = format!("FRACTARY_CODEX_REMOTE__TOKEN={MARKER}\nOTHER_SECRET=do-not-pass-on\n");
    world.sandbox.write("ws/.fractary/env/.env", dotenv);
    world
        .sandbox
        .finish(world.traced(&["sync", "--all"], &[]))
        .code(0);
    let read = |name: &str| fs::read_to_string(world.sandbox.path(name)).unwrap();
    let (arguments, variables) = (read("arguments"), read("variables"));
    assert!(arguments.contains("push"));
    assert_no_secret("the arguments of a child", arguments.as_bytes());
    // A child process only gets the header.
    assert!(
        variables.contains("Authorization: Basic ") && !variables.contains(MARKER),
        "{variables}"
    );
    assert!(!variables.contains("do-not-pass-on"));
}

#[test]
fn token_is_in_no_argument_list_and_no_file_during_a_push() {
    for url in [None, Some(format!("x-access-token:{MARKER}@"))] {
        let world = guarded_world();
        let gate = world.codex.hold_pushes(&world.sandbox);
        let with_password = url.map(|user| {
            world
                .server()
                .url("codex.git")
                .replace("http://", &format!("http://{user}"))
        });
        let mut command = match &with_password {
            Some(url) => world.traced(&["sync", "--all"], &[("FRACTARY_CODEX_REMOTE__URL", url)]),
            None => world.traced(&["sync", "--all"], &TOKEN_VARIABLE),
        };
        command.env("FRACTARY_CODEX_REMOTE__TIMEOUT", "{push_verdict='1m'}");
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        gate.wait();
        let home = format!("HOME={}", world.sandbox.path("home").display());
        let mut seen = 0;
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let read = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
            if read("environ")
                .split(|byte| *byte == 0)
                .any(|variable| variable == home.as_bytes())
            {
                seen += 1;
                assert_no_secret("an argument list", &read("cmdline"));
            }
        }
        // The program, git, and the helper that speaks http at least.
        assert!(
            seen >= if world.sandbox.uses_git() { 3 } else { 1 },
            "{seen}"
        );
        world.assert_not_on_disk(&[]);
        gate.open();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn credential_helpers_of_the_user_are_used() {
    let helper = format!("!f() {{ echo username=x-access-token; echo password={MARKER}; }}; f");
    let world = guarded_world();
    world.sandbox.write(
        "home/.gitconfig",
        format!("[credential]\n\thelper = \"{}\"\n", helper),
    );
    world
        .sync_and_search(&[], &[], &["home/.gitconfig"])
        .code(0);
    let world = guarded_world();
    let carried = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "credential.helper"),
        ("GIT_CONFIG_VALUE_0", helper.as_str()),
    ];
    world.sync_and_search(&[], &carried, &[]).code(0);
    assert_eq!(world.codex.paths().len(), 2);
    // If a token is configured, helpers are not asked for credentials, and not asked to erase them,
    // as git does after a rejection.
    let world = guarded_world();
    let asked = world.sandbox.path("asked");
    world.sandbox.write(
        "home/.gitconfig",
        format!("[credential]\n\thelper = \"!touch {};\"\n", asked.display()),
    );
    world
        .sync_and_search(&[], &[("FRACTARY_CODEX_REMOTE__TOKEN", "wrong")], &[])
        .code(4);
    assert!(!asked.exists());
}

#[test]
fn traces_of_git_do_not_show_the_token() {
    let world = guarded_world();
    world.sandbox.use_git();
    let here = world.sandbox.path("").display().to_string();
    let files = [
        "GIT_TRACE",
        "GIT_TRACE_CURL",
        "GIT_TRACE_PACKET",
        "GIT_TRACE_SETUP",
        "GIT_TRACE2",
        "GIT_TRACE2_EVENT",
    ]
    .map(|name| (name, format!("{here}{name}")));
    let trace2 = "[trace2]\n\tconfigParams = http.*\n\tenvVars = GIT_CONFIG_VALUE_6,GIT_CONFIG_VALUE_7,GIT_CONFIG_VALUE_8\n";
    let mut variables: Vec<_> = files
        .iter()
        .map(|(name, file)| (*name, file.as_str()))
        .collect();
    let values: Vec<_> = (0..20)
        .map(|number| format!("GIT_CONFIG_VALUE_{number}"))
        .collect();
    let values = values.join(",");
    variables.extend([
        ("GIT_TRACE_REDACT", "0"),
        ("GIT_TRACE2_ENV_VARS", values.as_str()),
        ("GIT_TRACE2_CONFIG_PARAMS", "http.*,credential.*"),
    ]);
    world
        .sync_and_search(&[], &[variables.as_slice(), &TOKEN_VARIABLE].concat(), &[])
        .code(0);
    // The same with a configuration file.
    world.sandbox.write("home/.gitconfig", trace2);
    world.sandbox.write("ws/alpha/README.md", "changed");
    world
        .sync_and_search(
            &[],
            &[&variables[..files.len()], &TOKEN_VARIABLE].concat(),
            &[],
        )
        .code(0);
    let missing: Vec<_> = files
        .iter()
        .filter(|(_, file)| !Path::new(file).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn git_variables_of_a_hook_have_no_effect() {
    let world = guarded_world();
    let ws = world.sandbox.path("ws");
    world.sandbox.git(&ws, &["init", "-q"]);
    world.sandbox.git(&ws, &["add", "alpha"]);
    world.sandbox.git(&ws, &["commit", "-qm", "source"]);
    let path = |name: &str| world.sandbox.path(name).display().to_string();
    let (git, index, objects) = (
        path("ws/.git"),
        path("ws/.git/index"),
        path("ws/.git/objects"),
    );
    let before = world.sandbox.fingerprint("ws/.git");
    let inside = [
        ("GIT_DIR", git.as_str()),
        ("GIT_COMMON_DIR", &git),
        ("GIT_WORK_TREE", "/nowhere"),
        ("GIT_INDEX_FILE", &index),
        ("GIT_OBJECT_DIRECTORY", &objects),
        ("GIT_PREFIX", "alpha/"),
    ];
    world
        .sync_and_search(&[], &[inside.as_slice(), &TOKEN_VARIABLE].concat(), &[])
        .code(0);
    assert_eq!(
        world.codex.subjects(),
        ["Sync 1 file from alpha", "Somebody else"]
    );
    assert!(world.sandbox.fingerprint("ws/.git") == before);
}

#[test]
fn askpass_program_is_used_and_subject_to_the_time_limit() {
    for name in ["GIT_ASKPASS", "SSH_ASKPASS"] {
        let world = guarded_world();
        let script = |text: &str| {
            let path = world.sandbox.path("askpass");
            executable::script(&path, text);
            path.display().to_string()
        };
        // If a token is configured, the program is not run.
        let asked = world.sandbox.path("asked");
        let askpass = script(&format!("touch {}", asked.display()));
        world
            .sync_and_search(
                &[],
                &[(name, &askpass), ("FRACTARY_CODEX_REMOTE__TOKEN", "wrong")],
                &[],
            )
            .code(4);
        assert!(!asked.exists());
        let pid = world.sandbox.path("pid");
        let askpass = script(&format!(
            "echo $$ > {}; while :; do sleep 0.05; done",
            pid.display()
        ));
        let output = world
            .sandbox
            .finish(world.traced(&["sync", "--all"], &[(name, &askpass), SHORT_TIMEOUTS]))
            .code(4);
        assert!(
            output.stderr.contains("stopped answering"),
            "{}",
            output.stderr
        );
        let process = Path::new("/proc").join(fs::read_to_string(&pid).unwrap().trim());
        wait_until("the program was ended", || !process.join("exe").exists());
        let askpass = script(&format!(
            "case $1 in User*) echo x-access-token;; *) echo {MARKER};; esac"
        ));
        world
            .sync_and_search(&[], &[(name, &askpass)], &["askpass"])
            .code(0);
        assert_eq!(world.codex.paths().len(), 2);
    }
}

#[test]
fn ssh_runs_in_batch_mode_unless_the_user_configured_a_command() {
    let sandbox = Sandbox::new();
    sandbox.workspace(&["alpha"], "");
    sandbox.write("ws/alpha/README.md", "alpha");
    let record = sandbox.path("ssh-arguments");
    executable::script(
        &sandbox.path("bin/ssh"),
        &format!("echo \"$@\" > {}\nexit 255", record.display()),
    );
    let path = format!(
        "{}:{}",
        sandbox.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let arguments = |variables: &[(&str, &str)]| {
        let mut command = sandbox.program(&[
            "sync",
            "--all",
            "--config",
            "remote.url=ssh://git.acme.example/x.git",
        ]);
        command.env("PATH", &path).envs(variables.iter().copied());
        sandbox.finish(command).code(4);
        fs::read_to_string(&record).unwrap()
    };
    let ours = arguments(&[]);
    assert!(
        ours.contains("BatchMode=yes") && !ours.contains("StrictHostKeyChecking"),
        "{ours}"
    );
    for variables in [
        &[("GIT_SSH_COMMAND", "ssh -o MyOwn=yes")][..],
        &[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "core.sshCommand"),
            ("GIT_CONFIG_VALUE_0", "ssh -o MyOwn=yes"),
        ],
    ] {
        let theirs = arguments(variables);
        assert!(
            theirs.contains("MyOwn=yes") && !theirs.contains("BatchMode"),
            "{theirs}"
        );
    }
    sandbox.write(
        "home/.gitconfig",
        "[core]\n\tsshCommand = ssh -o MyOwn=yes\n",
    );
    assert!(arguments(&[]).contains("MyOwn=yes"));
}
