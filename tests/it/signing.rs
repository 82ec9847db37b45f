//! Signed commits: `commit.sign`, with the keys and programs of the user's git configuration.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::gate::{Gate, send};
use crate::support::signing::{GnuPg, SshAgent, assert_signed_with_ssh, public_key, ssh_key};
use crate::support::{Codex, Output, Sandbox, executable, wait_until};

/// A workspace with a project for each name, and a codex with a commit of another user.
fn workspace(projects: &[&str]) -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(projects, "");
    for project in projects {
        sandbox.write(&format!("ws/{project}/README.md"), project);
    }
    codex.commit(&[("100644", "README.md", "1")], &[]);
    (sandbox, codex)
}

/// Writes the user's git configuration: commits are signed with ssh, and `more`.
fn sign_with_ssh(sandbox: &Sandbox, more: &str) {
    sandbox.write(
        "home/.gitconfig",
        format!("[commit]\n\tgpgsign = true\n[gpg]\n\tformat = ssh\n{more}"),
    );
}

/// The same, with this key.
fn sign_with_ssh_key(sandbox: &Sandbox, key: impl std::fmt::Display) {
    sign_with_ssh(sandbox, &format!("[user]\n\tsigningkey = {key}\n"));
}

/// The same, with a program in place of `ssh-keygen` that runs a shell script first.
fn sign_with_wrapped_keygen(sandbox: &Sandbox, key: &Path, script: &str) {
    let program = sandbox.path("keygen");
    executable::script(&program, &format!("{script}\nexec ssh-keygen \"$@\""));
    let (key, program) = (key.display(), program.display());
    sign_with_ssh(
        sandbox,
        &format!("[user]\n\tsigningkey = {key}\n[gpg \"ssh\"]\n\tprogram = {program}\n"),
    );
}

/// The same, with a program that counts its runs in the file `runs`.
fn count_signatures(sandbox: &Sandbox, key: &Path) {
    let runs = sandbox.path("runs");
    sign_with_wrapped_keygen(sandbox, key, &format!("echo >> {}", runs.display()));
}

/// The number of signatures that were made so far.
fn signatures(sandbox: &Sandbox) -> usize {
    std::fs::read_to_string(sandbox.path("runs")).map_or(0, |runs| runs.lines().count())
}

/// Whether the newest commit of `main` has a signature.
fn is_signed(codex: &Codex) -> bool {
    codex
        .git(&["cat-file", "commit", "main"])
        .contains("\ngpgsig ")
}

/// The error of a sync that cannot sign: nothing was pushed, and nothing is left.
#[track_caller]
fn rejected(sandbox: &Sandbox, codex: &Codex, output: Output) -> Value {
    let document = output.code(3).json();
    assert_eq!(document["pushed"], false);
    assert_eq!(document["attempts"], 0);
    assert_eq!(document["projects"][0]["status"], "failed");
    assert_eq!(codex.subjects(), ["Somebody else"]);
    assert_eq!(sandbox.leftovers(), [""; 0]);
    document["error"].clone()
}

/// The kind, message, causes and hints of an error, as one text.
fn text_of(error: &Value) -> String {
    serde_json::to_string(error).unwrap()
}

fn fifty() -> Vec<String> {
    (0..50).map(|number| format!("p{number:02}")).collect()
}

#[test]
fn git_verifies_every_commit_of_fifty_projects_signed_with_ssh() {
    let names = fifty();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (sandbox, codex) = workspace(&names);
    let key = ssh_key(&sandbox, "keys/id", "");
    sign_with_ssh_key(&sandbox, key.display());

    let output = sandbox.run(&["sync", "--all", "--json"]).code(0);
    assert_eq!(output.stderr, "");
    assert_eq!(output.json()["totals"]["synced"], 50);
    assert_signed_with_ssh(&sandbox, &key, 50);
    codex.assert_sound();
    assert_eq!(sandbox.leftovers(), [""; 0]);

    // The signatures are deterministic, so the same sources give the same commits.
    let tip = codex.tip();
    codex.git(&["update-ref", "refs/heads/main", "main~50"]);
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(codex.tip(), tip);

    // A signature does not hide what a commit records.
    let report = ["status", "--all", "--json", "--html", "page.html"];
    let status = sandbox.run(&report).code(0).json();
    assert_eq!(status["projects"][49]["last_sync"]["commit"], tip.unwrap());
}

/// Each program waits for another one, except for the first: the first signature is made alone, and
/// the branches are then signed side by side.
#[test]
fn branches_are_signed_side_by_side() {
    let names = ["a", "b", "c", "d", "e"];
    let (sandbox, codex) = workspace(&names);
    let key = ssh_key(&sandbox, "keys/id", "");
    let script = format!(
        "cd {}; echo $$ >> runs\n\
         [ $(wc -l < runs) = 1 ] && {{ touch alone; exec ssh-keygen \"$@\"; }}\n\
         touch running.$$; n=0\n\
         while [ $(ls running.* | wc -l) -lt 2 ]; do n=$((n + 1)); [ $n -lt 600 ] || exit 9; sleep 0.05; done",
        sandbox.path("").display()
    );
    sign_with_wrapped_keygen(&sandbox, &key, &script);
    let each = [
        "--push-mode",
        "branch",
        "--config",
        "push.branch=sync/{project}",
    ];
    let sync = [&["sync", "--all", "--jobs", "4"], &each[..]].concat();
    sandbox.run(&sync).code(0);
    assert_eq!(signatures(&sandbox), names.len(), "one program per commit");
    for name in names {
        let branch = format!("sync/{name}");
        let commit = codex.git(&["cat-file", "commit", &branch]);
        assert!(commit.contains("\ngpgsig "), "{commit}");
    }
}

#[test]
fn git_verifies_every_commit_of_fifty_projects_signed_with_openpgp() {
    let names = fifty();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (sandbox, codex) = workspace(&names);
    let Some(gnupg) = GnuPg::create(&sandbox, "exit 1") else {
        return;
    };
    gnupg.key("Ada <ada@acme.example>", "");
    gnupg.key("Other <other@acme.example>", "");
    let sync = || {
        let mut command = sandbox.program(&["sync", "--all", "--json"]);
        gnupg.apply(&mut command);
        command.env("FRACTARY_CODEX_COMMIT__SIGN", "always");
        sandbox.finish(command)
    };

    // Without a configured key it is that of the committer.
    let output = sync().code(0);
    assert_eq!(output.stderr, "");
    gnupg.assert_signed(&sandbox, 50);
    codex.assert_sound();
    assert_eq!(sandbox.leftovers(), [""; 0]);
    let signer = |codex: &Codex| {
        let mut command = sandbox.command("git");
        gnupg.apply(&mut command);
        command
            .args(["log", "-1", "--format=%GS", "main"])
            .current_dir(codex.path());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(signer(&codex).trim(), "Ada <ada@acme.example>");

    sandbox.write(
        "home/.gitconfig",
        "[user]\n\tsigningkey = other@acme.example\n",
    );
    sandbox.write("ws/p00/README.md", "changed");
    sync().code(0);
    gnupg.assert_signed(&sandbox, 1);
    assert_eq!(signer(&codex).trim(), "Other <other@acme.example>");
}

#[test]
fn commits_signed_with_x509_hold_the_signature_of_gpgsm() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let program = sandbox.path("signer");
    let script = format!(
        "printf '%s\\n' \"$@\" > {0}; cat > {1}; printf '[GNUPG:] SIG_CREATED \\n' >&2\n\
         printf -- '-----BEGIN SIGNED MESSAGE-----\\r\\n\\r\\nMIIB\\r\\n-----END SIGNED MESSAGE-----\\r\\n'",
        sandbox.path("arguments").display(),
        sandbox.path("signed").display()
    );
    executable::script(&program, &script);
    sandbox.write(
        "home/.gitconfig",
        format!(
            "[commit]\n\tgpgsign = yes\n[gpg]\n\tformat = x509\n[gpg \"x509\"]\n\tprogram = {}\n",
            program.display()
        ),
    );
    sandbox.run(&["sync", "--all"]).code(0);

    let read = |name: &str| std::fs::read_to_string(sandbox.path(name)).unwrap();
    assert_eq!(
        read("arguments"),
        "--status-fd=2\n-bsau\nAda <ada@acme.example>\n"
    );
    let commit = codex.git(&["cat-file", "commit", "main"]);
    let header =
        "\ngpgsig -----BEGIN SIGNED MESSAGE-----\n \n MIIB\n -----END SIGNED MESSAGE-----\n";
    assert!(commit.contains(&format!("{header}\n")), "{commit}");
    assert_eq!(commit.replace(header, "\n"), read("signed"));
    codex.assert_sound();
}

#[test]
fn ssh_keys_are_found_in_every_form() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let key = ssh_key(&sandbox, "home/keys/id", "");
    let in_agent = ssh_key(&sandbox, "private/id", "");
    let agent = SshAgent::start(&sandbox);
    agent.add(&in_agent);
    let text = public_key(&in_agent);
    sandbox.write("home/agent.pub", format!("{text}\n"));

    let command = |line: &str| format!("[gpg \"ssh\"]\n\tdefaultKeyCommand = {line}\n");
    let named = |key: String| format!("[user]\n\tsigningkey = {key}\n");
    let absolute = key.display().to_string();
    for (number, (settings, key)) in [
        (named(absolute.clone()), &key),
        (named(format!("{absolute}.pub")), &key),
        (named("~/keys/id.pub".to_owned()), &key),
        (named("../home/keys/id".to_owned()), &key),
        (named("~/agent.pub".to_owned()), &in_agent),
        (named(format!("\"{text}\"")), &in_agent),
        (named(format!("\"key::{text}\"")), &in_agent),
        (command("ssh-add -L"), &in_agent),
        (
            command(&format!("\"echo 'key::{text}'; echo more\"")),
            &in_agent,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        sign_with_ssh(&sandbox, &settings);
        sandbox.write("ws/alpha/README.md", number.to_string());
        let mut command = sandbox.program(&["sync", "--all"]);
        agent.apply(&mut command);
        sandbox.finish(command).code(0);
        assert_signed_with_ssh(&sandbox, key, 1);
    }
    codex.assert_sound();
}

#[test]
fn auto_signs_as_git_does() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let key = ssh_key(&sandbox, "keys/id", "");
    let key = format!(
        "[gpg]\n\tformat = ssh\n[user]\n\tsigningkey = {}\n",
        key.display()
    );
    let carried = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "commit.gpgSign"),
        ("GIT_CONFIG_VALUE_0", "true"),
    ];
    for (number, (setting, sign, variables, signed)) in [
        ("", None, &[][..], false),
        ("gpgsign = false", None, &[], false),
        ("gpgsign", None, &[], true),
        ("gpgSign = on", Some("auto"), &[], true),
        ("gpgsign = true", Some("never"), &[], false),
        ("gpgsign = false", Some("always"), &[], true),
        ("gpgsign = false", None, &carried, true),
    ]
    .into_iter()
    .enumerate()
    {
        sandbox.write("home/.gitconfig", format!("[commit]\n\t{setting}\n{key}"));
        sandbox.write("ws/alpha/README.md", number.to_string());
        let mut command = sandbox.program(&["sync", "--all"]);
        command.envs(variables.iter().copied());
        command.envs(sign.map(|sign| ("FRACTARY_CODEX_COMMIT__SIGN", sign)));
        let output = sandbox.finish(command).code(0);
        assert_eq!(is_signed(&codex), signed, "{setting} {sign:?}");
        assert!(!output.stderr.contains("sign"), "{}", output.stderr);
    }

    for (setting, sign) in [("gpgsign = maybe", "auto"), ("gpgsign = true", "maybe")] {
        sandbox.write("home/.gitconfig", format!("[commit]\n\t{setting}\n{key}"));
        sandbox.write("ws/alpha/README.md", sign);
        let mut command = sandbox.program(&["sync", "--all"]);
        command.env("FRACTARY_CODEX_COMMIT__SIGN", sign);
        let output = sandbox.finish(command).code(3);
        assert!(output.stderr.contains("maybe"), "{}", output.stderr);
    }
}

#[test]
fn keys_and_programs_that_do_not_exist_are_errors_before_the_push() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let key = ssh_key(&sandbox, "keys/id", "").display().to_string();
    let open = ssh_key(&sandbox, "keys/open", "").display().to_string();
    sandbox.set_mode("keys/open", 0o644);
    let alone = ssh_key(&sandbox, "keys/alone", "").display().to_string();
    sandbox.remove("keys/alone");
    let failing = sandbox.path("failing").display().to_string();
    executable::script(Path::new(&failing), "echo 'no \u{1b}[31mcard' >&2; exit 7");
    let silent = sandbox.path("silent").display().to_string();
    executable::script(Path::new(&silent), "exit 0");

    let key_is = |key: &str| format!("[user]\n\tsigningkey = {key}\n");
    let program = |program: &str| format!("{}[gpg \"ssh\"]\n\tprogram = {program}\n", key_is(&key));
    let command = |line: &str| format!("[gpg \"ssh\"]\n\tdefaultKeyCommand = {line}\n");
    for (settings, kind, texts) in [
        (
            String::new(),
            "configuration",
            ["user.signingkey", "defaultKeyCommand"],
        ),
        (
            "[gpg]\n\tformat = pgp\n".to_owned(),
            "configuration",
            ["gpg.format", "openpgp"],
        ),
        (
            command("false"),
            "configuration",
            ["defaultKeyCommand", "key::"],
        ),
        (
            command("echo nonsense"),
            "configuration",
            ["defaultKeyCommand", "key::"],
        ),
        (
            program("/nonexistent/keygen"),
            "program",
            ["/nonexistent/keygen", "gpg.ssh.program"],
        ),
        (
            program("./keygen"),
            "configuration",
            ["gpg.ssh.program", "relative"],
        ),
        (program(&failing), "failed", ["no \\\\u{1b}[31mcard", &key]),
        (program(&silent), "failed", [&silent, "git can sign"]),
        (
            key_is("/nonexistent/id"),
            "key-missing",
            ["/nonexistent/id", "No such file"],
        ),
        (
            key_is(&format!("{alone}.pub")),
            "key-missing",
            [&alone, "ssh-add -L"],
        ),
        (
            key_is("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA0123456789abcdef"),
            "key-missing",
            ["0123456789abcdef", "agent"],
        ),
        (key_is(&open), "failed", ["UNPROTECTED", &open]),
    ] {
        sign_with_ssh(&sandbox, &settings);
        let error = rejected(&sandbox, &codex, sandbox.run(&["sync", "--all", "--json"]));
        assert_eq!(error["kind"], format!("signing-{kind}"), "{settings}");
        let text = text_of(&error);
        for part in texts
            .into_iter()
            .chain(["nothing was pushed", "commit.sign=never"])
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}

#[test]
fn openpgp_key_that_does_not_exist_is_an_error_before_the_push() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let Some(gnupg) = GnuPg::create(&sandbox, "exit 1") else {
        return;
    };
    let mut command =
        sandbox.program(&["sync", "--all", "--json", "--config", "commit.sign=always"]);
    gnupg.apply(&mut command);
    let error = rejected(&sandbox, &codex, sandbox.finish(command));
    assert_eq!(error["kind"], "signing-key-missing");
    let text = text_of(&error);
    for part in [
        "Ada <ada@acme.example>",
        "No secret key",
        "gpg --list-secret-keys",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn locked_ssh_key_is_an_error_and_never_a_prompt() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let key = ssh_key(&sandbox, "keys/id", "secret");
    sign_with_ssh_key(&sandbox, format!("{}.pub", key.display()));

    let error = rejected(&sandbox, &codex, sandbox.run(&["sync", "--all", "--json"]));
    assert_eq!(error["kind"], "signing-key-locked");
    let add = format!("`ssh-add {}`", key.display());
    assert!(text_of(&error).contains(&add), "{error}");

    // The same on a terminal, where ssh-keygen would ask for each commit.
    let script = format!("{} sync --all", env!("CARGO_BIN_EXE_fractary-codex"));
    let mut command = sandbox.command("script");
    command.args(["-qec", &script, "/dev/null"]);
    let output = sandbox.finish(command).code(3);
    assert!(output.stdout.contains(&add), "{}", output.stdout);
    assert!(
        !output.stdout.contains("Enter passphrase"),
        "{}",
        output.stdout
    );
    assert_eq!(codex.subjects(), ["Somebody else"]);

    // A program that the user has chosen to answer is used.
    executable::script(&sandbox.path("askpass"), "echo secret");
    let mut command = sandbox.program(&["sync", "--all"]);
    command
        .env("SSH_ASKPASS", sandbox.path("askpass"))
        .env("SSH_ASKPASS_REQUIRE", "prefer");
    sandbox.finish(command).code(0);
    assert_signed_with_ssh(&sandbox, &key, 1);
}

#[test]
fn openpgp_key_is_unlocked_by_pinentry_once() {
    // The second program refuses, as pinentry does without a terminal.
    for (response, unlocks) in [
        ("echo >> asked; echo 'D secret'; echo OK", true),
        ("echo 'ERR 83918950 Inappropriate ioctl for device'", false),
    ] {
        let (sandbox, codex) = workspace(&["alpha", "beta", "gamma"]);
        let asked = sandbox.path("asked");
        let response = response.replace("asked", &asked.display().to_string());
        let Some(gnupg) = GnuPg::create(&sandbox, &response) else {
            return;
        };
        gnupg.key("Ada <ada@acme.example>", "secret");
        sandbox.write("home/.gitconfig", "[commit]\n\tgpgsign = true\n");
        let mut command = sandbox.program(&["sync", "--all", "--json"]);
        gnupg.apply(&mut command);
        let output = sandbox.finish(command);
        if unlocks {
            output.code(0);
            gnupg.assert_signed(&sandbox, 3);
            let asked = std::fs::read_to_string(&asked).unwrap();
            assert_eq!(asked.lines().count(), 1);
        } else {
            let error = rejected(&sandbox, &codex, output);
            assert_eq!(error["kind"], "signing-key-locked");
            assert!(text_of(&error).contains("GPG_TTY"), "{error}");
        }
    }
}

#[test]
fn workspace_cannot_choose_the_signing_program() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let key = ssh_key(&sandbox, "keys/id", "");
    let evil = sandbox.path("ws/evil");
    let mark = sandbox.path("mark");
    for program in ["ws/evil", "ws/ssh-keygen", "ws/gpg"] {
        let script = format!("touch {}; exit 1", mark.display());
        executable::script(&sandbox.path(program), &script);
    }
    // The repository around the workspace, whose hook runs the program, and the workspace's
    // variables.
    let workspace = sandbox.path("ws");
    sandbox.git(&workspace, &["init", "-q"]);
    let evil = evil.display().to_string();
    for key in [
        "gpg.program",
        "gpg.ssh.program",
        "gpg.ssh.defaultKeyCommand",
    ] {
        sandbox.git(&workspace, &["config", key, &evil]);
    }
    sandbox.git(&workspace, &["config", "gpg.format", "openpgp"]);
    sandbox.git(&workspace, &["config", "user.signingkey", "other"]);
    sandbox.write(
        "ws/.fractary/env/.env",
        format!("GIT_CONFIG_COUNT=1\nGIT_CONFIG_KEY_0=gpg.ssh.program\nGIT_CONFIG_VALUE_0={evil}\nSSH_ASKPASS={evil}\n"),
    );
    sign_with_ssh_key(&sandbox, key.display());
    let path = format!(".::{}", std::env::var("PATH").unwrap());
    let sync = || {
        let mut command = sandbox.program(&["sync", "--all", "--json"]);
        command
            .env("PATH", &path)
            .env("GIT_DIR", workspace.join(".git"))
            .env("GIT_CONFIG", workspace.join(".git/config"));
        sandbox.finish(command)
    };
    sync().code(0);
    assert_signed_with_ssh(&sandbox, &key, 1);
    assert!(!mark.exists());

    // A relative path in the user's own configuration does not lead into the workspace either.
    codex.git(&["update-ref", "refs/heads/main", "main~1"]);
    for format in ["openpgp", "ssh"] {
        sandbox.write(
            "home/.gitconfig",
            format!(
                "[commit]\n\tgpgsign = true\n[gpg]\n\tformat = {format}\n\tprogram = ./evil\n[gpg \"ssh\"]\n\tprogram = ./evil\n\
                 [user]\n\tsigningkey = {}\n",
                key.display()
            ),
        );
        rejected(&sandbox, &codex, sync());
        assert!(!mark.exists());
    }

    // The workspace's own file says whether commits are signed, and no more.
    let config = std::fs::read_to_string(sandbox.path("ws/.fractary/config.yaml")).unwrap();
    for (key, accepted) in [
        ("sign: always", true),
        ("program: ./evil", false),
        ("signingkey: x", false),
    ] {
        let text = format!("{config}  commit: {{ {key} }}\n");
        sandbox.write("ws/.fractary/config.yaml", text);
        let output = sandbox.run(&["config", "validate"]);
        output.code(if accepted { 0 } else { 3 });
    }
}

#[test]
fn commits_on_a_moved_tip_are_signed_again() {
    let (sandbox, codex) = workspace(&["alpha", "beta"]);
    let key = ssh_key(&sandbox, "keys/id", "");
    count_signatures(&sandbox, &key);
    codex.hook(
        "pre-receive",
        "[ -e raced ] && exit 0; touch raced
         unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
         id=$(git -c user.name=x -c user.email=x commit-tree -p main -m faster 'main^{tree}') && git update-ref refs/heads/main $id",
    );
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert_eq!(output["attempts"], 2);
    assert_eq!(signatures(&sandbox), 4);
    assert_eq!(codex.subjects().len(), 4);
    assert_signed_with_ssh(&sandbox, &key, 2);
    codex.assert_sound();
}

#[test]
fn commits_on_the_same_tip_keep_their_signatures() {
    let (sandbox, codex) = workspace(&["alpha", "beta"]);
    let key = ssh_key(&sandbox, "keys/id", "");
    count_signatures(&sandbox, &key);
    // The branch is locked during the first push alone.
    codex.hook(
        "pre-receive",
        "if [ -e tried ]; then rm -f refs/heads/main.lock; else touch tried refs/heads/main.lock; fi",
    );
    let output = sandbox.run(&["sync", "--all", "--json"]).code(0).json();
    assert!(output["attempts"].as_u64().unwrap() > 1, "{output}");
    assert_eq!(signatures(&sandbox), 2);
    assert_signed_with_ssh(&sandbox, &key, 2);
}

#[test]
fn runs_without_commits_sign_nothing() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let key = ssh_key(&sandbox, "keys/id", "");
    count_signatures(&sandbox, &key);

    let dry = sandbox
        .run(&["sync", "--all", "--dry-run", "--json"])
        .code(0);
    let plan = dry.json()["plan_id"].clone();
    sandbox.run(&["status", "--all"]).code(0);
    assert_eq!((signatures(&sandbox), is_signed(&codex)), (0, false));

    let output = sandbox.run(&["sync", "--all", "--json"]).code(0);
    assert_eq!(output.json()["plan_id"], plan);
    assert_eq!((signatures(&sandbox), is_signed(&codex)), (1, true));
    sandbox.run(&["sync", "--all"]).code(0);
    assert_eq!(signatures(&sandbox), 1);

    // Nor do they need a key.
    sign_with_ssh_key(&sandbox, "/nonexistent/id");
    sandbox.run(&["sync", "--all"]).code(0);
    sandbox.write("ws/alpha/README.md", "changed");
    sandbox.run(&["sync", "--all", "--dry-run"]).code(0);
    sandbox.run(&["sync", "--all"]).code(3);
}

#[test]
fn progress_counts_the_signed_commits() {
    let (sandbox, _codex) = workspace(&["alpha", "beta"]);
    let key = ssh_key(&sandbox, "keys/id", "");
    sign_with_ssh_key(&sandbox, key.display());
    let output = sandbox
        .run(&["sync", "--all", "--format", "ndjson"])
        .code(0);
    let events: Vec<_> = output
        .stdout
        .lines()
        .filter(|line| line.contains("\"stage\":\"sign\""))
        .map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            (
                event["event"].clone(),
                event["done"].clone(),
                event["total"].clone(),
            )
        })
        .collect();
    let progress = |done: u64| ("progress".into(), done.into(), 2.into());
    let plain = |event: &str| (event.into(), Value::Null, Value::Null);
    assert_eq!(
        events,
        [
            plain("started"),
            progress(1),
            progress(2),
            plain("finished")
        ]
    );
}

#[test]
fn signal_ends_a_signing_program() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let key = ssh_key(&sandbox, "keys/id", "");
    let gate = Gate::new(&sandbox);
    sign_with_wrapped_keygen(&sandbox, &key, &gate.script());
    let child = sandbox.start(&["sync", "--all", "--json"]);
    gate.wait();
    send(&child, Signal::TERM);
    let document = sandbox.ended(child).code(143).json();
    assert_eq!(
        document["error"]["message"],
        "interrupted by signal 15; nothing was pushed"
    );
    assert_eq!(codex.subjects(), ["Somebody else"]);
    assert_eq!(sandbox.leftovers(), [""; 0]);
    wait_until("nothing runs any more", || sandbox.processes() == 0);

    gate.open();
    sandbox.run(&["sync", "--all"]).code(0);
    assert_signed_with_ssh(&sandbox, &key, 1);
}

#[test]
fn files_of_a_killed_run_are_removed_by_the_next() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let key = ssh_key(&sandbox, "keys/id", "");
    let gate = Gate::new(&sandbox);
    sign_with_wrapped_keygen(&sandbox, &key, &gate.script());
    let child = sandbox.start(&["sync", "--all"]);
    gate.wait();
    send(&child, Signal::KILL);
    sandbox.ended(child);
    assert_ne!(sandbox.leftovers(), [""; 0]);

    gate.open();
    wait_until("nothing runs any more", || sandbox.processes() == 0);
    sandbox.run(&["sync", "--all"]).code(0);
    assert_signed_with_ssh(&sandbox, &key, 1);
    assert_eq!(sandbox.leftovers(), [""; 0]);
    codex.assert_sound();
}

#[test]
fn doctor_checks_the_signing_key() {
    let (sandbox, codex) = workspace(&["alpha"]);
    let check = || {
        let output = sandbox.run(&["doctor", "--json"]);
        let code = output.code.unwrap();
        let checks = output.json()["checks"].as_array().unwrap().clone();
        let found = checks
            .into_iter()
            .find(|check| check["subject"] == "signing key");
        (found.unwrap_or_default(), code)
    };
    assert_eq!(check(), (Value::Null, 0));

    let key = ssh_key(&sandbox, "keys/id", "");
    count_signatures(&sandbox, &key);
    let (good, code) = check();
    assert_eq!((&good["verdict"], code), (&"ok".into(), 0));
    let text = format!("commits are signed with the ssh key `{}`", key.display());
    assert_eq!(good["message"], text);
    assert_eq!(signatures(&sandbox), 1);

    let locked = ssh_key(&sandbox, "keys/locked", "secret");
    for (key, kind) in [
        (locked.display().to_string(), "signing-key-locked"),
        ("/nonexistent/id".to_owned(), "signing-key-missing"),
    ] {
        sign_with_ssh_key(&sandbox, &key);
        let (bad, code) = check();
        assert_eq!(
            (&bad["verdict"], &bad["kind"], code),
            (&"failed".into(), &kind.into(), 3)
        );
        assert!(!bad["hints"].as_array().unwrap().is_empty());
    }

    // Where nothing is published, nothing is signed.
    sandbox
        .run(&["doctor", "--config", "sync.direction=from-codex"])
        .code(0);
    assert_eq!(codex.subjects(), ["Somebody else"]);
    assert_eq!(sandbox.leftovers(), [""; 0]);
}
