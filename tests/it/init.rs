//! `init`: what it finds, and that what it writes is a configuration.

use crate::support::Sandbox;

/// Checks out nothing, but as if: a repository whose remote is this.
fn repository(sandbox: &Sandbox, path: &str, remote: &str) {
    let directory = sandbox.path(path);
    std::fs::create_dir_all(&directory).unwrap();
    sandbox.git(&directory, &["init", "-q"]);
    sandbox.git(&directory, &["remote", "add", "origin", remote]);
}

/// Runs `init`, has the file validated, and tells organization, projects and what is published of each.
fn found(sandbox: &Sandbox, arguments: &[&str]) -> (String, Vec<(String, u64)>) {
    let told = sandbox.run(&[&["init"], arguments].concat()).code(0).stdout;
    assert!(told.contains("next: `fractary codex doctor`") && told.contains("sync --all --dry-run"), "{told}");
    sandbox.run(&["config", "validate"]).code(0);
    let listed = sandbox.run(&["projects", "--json"]).code(0).json();
    let projects = listed["projects"].as_array().unwrap().iter();
    let projects = projects.map(|p| (p["name"].as_str().unwrap().to_owned(), p["files"].as_u64().unwrap())).collect();
    (value(sandbox, "organization"), projects)
}

/// What a key comes to.
fn value(sandbox: &Sandbox, key: &str) -> String {
    let shown = sandbox.run(&["config", "show", "--json"]).code(0).json();
    let mut keys = shown["keys"].as_array().unwrap().iter();
    keys.find(|one| one["key"] == key).unwrap()["value"].as_str().unwrap().to_owned()
}

#[test]
fn one_repository_is_one_project() {
    let sandbox = Sandbox::new();
    repository(&sandbox, "ws", "git@github.com:acme/billing.git");
    for path in ["docs/a.md", "specs/b.md", "README.md", "src/main.rs"] {
        sandbox.write(&format!("ws/{path}"), "x");
    }
    assert_eq!(found(&sandbox, &[]), ("acme".to_owned(), vec![("ws".to_owned(), 3)]));
}

#[test]
fn a_directory_of_directories_with_documents_is_many() {
    let sandbox = Sandbox::new();
    repository(&sandbox, "ws", "https://git.acme.example/platform/mono.git");
    for path in ["services/api/docs/a.md", "services/web/README.md", "services/none/src/x.rs", "libs/one/src/x.rs"] {
        sandbox.write(&format!("ws/{path}"), "x");
    }
    let projects = [("api", 1), ("none", 0), ("web", 1)].map(|(name, files)| (name.to_owned(), files));
    assert_eq!(found(&sandbox, &[]), ("platform".to_owned(), projects.to_vec()));
}

#[test]
fn a_directory_of_checkouts_is_many() {
    let sandbox = Sandbox::new();
    for name in ["click", "flask"] {
        repository(&sandbox, &format!("ws/{name}"), &format!("https://github.com/pallets/{name}.git"));
        sandbox.write(&format!("ws/{name}/docs/a.md"), name);
    }
    sandbox.write("ws/notes/README.md", "no checkout");
    let projects = [("click", 1), ("flask", 1)].map(|(name, files)| (name.to_owned(), files));
    assert_eq!(found(&sandbox, &[]), ("pallets".to_owned(), projects.to_vec()));
    // Of several organizations none is taken.
    sandbox.remove("ws/.fractary");
    sandbox.git(&sandbox.path("ws/flask"), &["remote", "set-url", "origin", "https://github.com/others/flask.git"]);
    let told = sandbox.run(&["init"]).code(0).stdout;
    assert!(told.contains("the organization could not be detected"), "{told}");
    sandbox.run(&["config", "validate"]).code(0);
}

#[test]
fn what_is_there_is_not_replaced_unless_it_is_meant() {
    let sandbox = Sandbox::new();
    sandbox.write("ws/docs/a.md", "a");
    sandbox.write("ws/.fractary/config.yml", "codex: { organization: mine }\n");
    let refused = sandbox.run(&["init"]).code(2).stderr;
    assert!(refused.contains("is there already") && refused.contains("--force"), "{refused}");
    assert_eq!(std::fs::read_to_string(sandbox.path("ws/.fractary/config.yml")).unwrap().lines().count(), 1);
    sandbox.run(&["init", "--force", "--organization", "acme"]).code(0);
    sandbox.run(&["config", "validate"]).code(0);
    assert!(!sandbox.path("ws/.fractary/config.yml").exists());
    sandbox.remove("ws/.fractary/config.yaml");
    let arguments = ["--organization", "acme", "--codex-repo", "knowledge: base", "--url", "/srv/co dex.git"];
    let (organization, _) = found(&sandbox, &arguments);
    assert_eq!(organization, "acme");
    assert_eq!(value(&sandbox, "remote.url"), "/srv/co dex.git");
}
