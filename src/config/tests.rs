//! Whole loads, from files, variables and flags to the workspace.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::workspace::{self, Direction, Workspace};

/// A directory with files in it, and what a load starts from.
struct World {
    dir: TempDir,
    request: LoadRequest,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let home = dir.path().join("home");
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(dir.path().join("ws")).unwrap();
        let request = LoadRequest {
            cwd: dir.path().join("ws"),
            user_config_dir: Some(home.join("config")),
            state_home: Some(home.join("state")),
            ..LoadRequest::default()
        };
        Self { dir, request }
    }

    fn at(mut self, cwd: &str) -> Self {
        self.request.cwd = self.dir.path().join(cwd);
        self
    }

    fn env(mut self, variables: &[(&str, &str)]) -> Self {
        self.request.environment = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self
    }

    fn set(mut self, settings: &[&str]) -> Self {
        self.request.config_arguments = settings.iter().map(|s| (*s).to_owned()).collect();
        self
    }

    fn load(&self) -> (Configuration, Workspace) {
        workspace::load(&self.request).unwrap_or_else(|problems| panic!("{}", self.shown(&problems)))
    }

    fn workspace(&self) -> Workspace {
        self.load().1
    }

    fn problems(&self) -> String {
        self.shown(&workspace::load(&self.request).unwrap_err())
    }

    fn shown(&self, problems: &Problems) -> String {
        let line = |problem: &Problem| {
            let hint = problem.hint.as_ref().map(|hint| format!(" [{hint}]")).unwrap_or_default();
            format!("{problem}{hint}\n")
        };
        let text: String = problems.iter().map(line).collect();
        text.replace(self.dir.path().to_str().unwrap(), "/T")
    }
}

const ONE: &str = "codex:\n  organization: acme\n  codex_repo: codex.acme.com\n  project: billing\n";

fn names(workspace: &Workspace) -> Vec<&str> {
    workspace.projects.iter().map(|project| project.name.as_str()).collect()
}

#[test]
fn the_least_that_works() {
    let world = World::new(&[("ws/.fractary/config.yaml", ONE)]).at("ws");
    let (configuration, workspace) = world.load();
    assert_eq!(workspace.remote.url.to_string(), "https://github.com/acme/codex.acme.com.git");
    assert_eq!(workspace.projects.len(), 1);
    let project = &workspace.projects[0];
    assert_eq!((project.name.as_str(), project.to.to_string().as_str()), ("billing", "projects/billing"));
    assert_eq!(project.root, world.request.cwd);
    assert_eq!(project.direction, Direction::ToCodex);
    assert_eq!(project.claims.patterns().include, ["docs/**", "README.md", "CLAUDE.md"]);
    assert_eq!(project.claims.patterns().exclude, ["**/*.tmp"]);
    assert!(project.scan.never.contains(&world.request.cwd.join(".fractary/codex/cache")));
    assert_eq!(project.cache_dir, Some(world.request.cwd.join(".fractary/codex/cache")));
    assert_eq!(workspace.state_dir, world.dir.path().join("home/state/fractary-codex"));
    assert_eq!(configuration.warnings().count(), 0);
}

#[test]
fn the_environment_alone_is_enough_and_values_arrive_as_written() {
    for branch in ["1.10", "true", "0x10"] {
        let projects =
            "{billing-api={root=\"services/billing\"}, \"Co.dex_1\"={root='x', mappings=[{from=\"a\",to=\"b/\"}]}}";
        let world = World::new(&[]).env(&[
            ("FRACTARY_CODEX_REMOTE__URL", "../codex.git"),
            ("FRACTARY_CODEX_REMOTE__BRANCH", branch),
            ("FRACTARY_CODEX_REMOTE__TOKEN", "007"),
            ("FRACTARY_CODEX_PROJECTS", projects),
            ("FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE", "[\"wiki/**\"]"),
            ("FRACTARY_CODEX_COMMIT__MESSAGE", "[skip ci] {count}"),
            ("FRACTARY_CODEX_JOBS", ""),
            ("FRACTARY_CODEX_LOG", "debug"),
        ]);
        let workspace = world.workspace();
        assert_eq!(names(&workspace), ["Co.dex_1", "billing-api"]);
        assert_eq!(workspace.remote.branch.as_deref(), Some(branch));
        assert_eq!(workspace.remote.token.as_ref().unwrap().reveal(), "007");
        assert_eq!(workspace.remote.url.local_path().unwrap(), world.dir.path().join("codex.git"));
        assert_eq!(workspace.commit.message, "[skip ci] {count}");
        assert_eq!(workspace.projects[1].root, world.request.cwd.join("services/billing"));
        assert_eq!(workspace.projects[1].claims.patterns().include, ["wiki/**"]);
        assert!(workspace.projects[0].claims.patterns().include.is_empty());
    }
}

#[test]
fn all_problems_are_told_at_once_with_place_and_cure() {
    let text = "codex:\n  organisation: acme\n  codex_repo: c\n  project: ../up\n  remote:\n    brunch: main\n    \
                timeout: { idle: soon }\n  sync:\n    to_codex: { include: ['[a'], exclud: [] }\n    direction: to-codx\n  \
                commit: { sign: true, message: '{cuont}' }\n  jobs: [1]\n  cache: { ttl: 1 }\n";
    let world = World::new(&[("ws/.fractary/config.yaml", text)]).env(&[("FRACTARY_CODEX_REMOT__URL", "x")]);
    let expected = "\
/T/ws/.fractary/config.yaml:2:3: unknown key `organisation` [did you mean `organization`?]
/T/ws/.fractary/config.yaml:4:12: `../up` is not a project name: 1 to 100 letters, digits, `.`, `_` or `-`, starting with a letter or digit
/T/ws/.fractary/config.yaml:6:5: unknown key `remote.brunch` [did you mean `remote.branch`?]
/T/ws/.fractary/config.yaml:7:22: `remote.timeout.idle`: expected a duration such as `30s` or `5m`, found `soon`
/T/ws/.fractary/config.yaml:9:27: `sync.to_codex.include`: `[a`: unclosed character class; missing ']'
/T/ws/.fractary/config.yaml:9:34: unknown key `sync.to_codex.exclud` [did you mean `sync.to_codex.exclude`?]
/T/ws/.fractary/config.yaml:10:16: `sync.direction`: expected one of `to-codex`, `from-codex`, `bidirectional`, found `to-codx` [did you mean `to-codex`?]
/T/ws/.fractary/config.yaml:11:13: `commit.sign` is reserved for a later version
/T/ws/.fractary/config.yaml:11:34: `commit.message`: unknown placeholder `{cuont}` [did you mean `{count}`?]
/T/ws/.fractary/config.yaml:12:9: `jobs`: expected a whole number, found a list
environment variable `FRACTARY_CODEX_REMOT__URL`: there is no key `remot` [did you mean `FRACTARY_CODEX_REMOTE__URL`?]
";
    assert_eq!(world.problems(), expected);
}

#[test]
fn a_value_from_each_kind_of_file() {
    let toml = "[codex]\norganization = 'acme'\ncodex_repo = \"c\"\nproject = \"p\"\n[codex.remote]\nbranch = 1.10\n";
    let json = "{\"codex\": {\"organization\": \"acme\", \"codex_repo\": \"\\ud83d\\ude00\", \"jobs\": 3,\n\t\"project\": \"p\"}}";
    let world = World::new(&[("ws/.fractary/config.toml", toml)]);
    assert_eq!(world.workspace().remote.branch.as_deref(), Some("1.10"));
    let world = World::new(&[("ws/.fractary/config.json", json)]);
    assert!(world.problems().contains("`codex_repo`: `\u{1f600}`"), "{}", world.problems());
    let bom = format!("\u{feff}{}", ONE.replace('\n', "\r\n"));
    assert_eq!(names(&World::new(&[("ws/.fractary/config.yml", &bom)]).workspace()), ["billing"]);
    let two = World::new(&[("ws/.fractary/config.yml", ONE), ("ws/.fractary/config.toml", toml)]);
    assert!(
        two.problems()
            .starts_with("two files for one layer: /T/ws/.fractary/config.yml and /T/ws/.fractary/config.toml")
    );
}

#[test]
fn members_add_their_name_and_their_sync_and_may_not_disagree() {
    let root = "codex:\n  organization: acme\n  codex_repo: c\n  workspace: { members: ['services/*', lib], exclude: ['services/old-*'] }\n  \
                projects:\n    api: { to: elsewhere/api }\n  sync: { prune: true, to_codex: { exclude: [a] } }\n";
    let api = "codex: { project: api, organization: acme, sync: { prune: false, to_codex: { exclude: [b] } } }";
    let world = World::new(&[
        ("ws/.fractary/config.yaml", root),
        ("ws/services/x/.fractary/config.yaml", api),
        ("ws/services/y/README.md", ""),
        ("ws/services/old-z/README.md", ""),
        ("ws/lib/README.md", ""),
    ]);
    let (configuration, workspace) = world.load();
    assert_eq!(names(&workspace), ["api", "lib", "y"]);
    let api = &workspace.projects[0];
    assert_eq!(
        (api.root.clone(), api.to.to_string(), api.prune),
        (world.request.cwd.join("services/x"), "elsewhere/api".to_owned(), false)
    );
    assert_eq!(api.claims.patterns().exclude, ["**/*.tmp", "a", "b"]);
    assert!(workspace.projects[2].prune);
    assert_eq!(configuration.files().len(), 2);
    // From inside a member, and deeper, the workspace is the same.
    for cwd in ["ws/services/x", "ws/services/x/docs"] {
        fs::create_dir_all(world.dir.path().join("ws/services/x/docs")).unwrap();
        let request = LoadRequest { cwd: world.dir.path().join(cwd), ..world.request.clone() };
        let (configuration, workspace) = workspace::load(&request).unwrap();
        assert_eq!(configuration.root, world.request.cwd);
        let selected = workspace::select(&workspace, false, &[], &request.cwd).unwrap();
        assert_eq!(selected[0].name.as_str(), "api");
    }
    let other = "codex: { organization: other }";
    fs::create_dir_all(world.dir.path().join("ws/lib/.fractary")).unwrap();
    fs::write(world.dir.path().join("ws/lib/.fractary/config.yaml"), other).unwrap();
    let problems = world.problems();
    assert!(problems.contains("/T/ws/lib/.fractary/config.yaml:1:24: `organization` is `other` here"), "{problems}");
    assert!(problems.contains("the workspace says `acme`: /T/ws/.fractary/config.yaml:2:17"), "{problems}");
}

#[test]
fn specific_beats_general_and_a_flag_beats_both() {
    let text = format!(
        "{ONE}  projects: {{ billing: {{ sync: {{ prune: false, direction: from-codex }} }} }}\n  sync: {{ prune: true }}\n"
    );
    let world = World::new(&[("ws/.fractary/config.yaml", &text)]).env(&[("FRACTARY_CODEX_SYNC__PRUNE", "true")]);
    assert!(!world.workspace().projects[0].prune);
    let world = world.set(&["sync.prune=true", "sync.direction=bidirectional"]);
    let workspace = world.workspace();
    assert!(workspace.projects[0].prune);
    assert_eq!(workspace.projects[0].direction, Direction::Bidirectional);
    let world = world.set(&["sync.prune=true", "projects.billing.sync.prune=false"]);
    assert!(!world.workspace().projects[0].prune);
}

#[test]
fn variables_in_files_and_tokens_that_are_not_there() {
    let text = format!(
        "{ONE}  remote: {{ branch: '${{BRANCH:-main}}', token: '${{NO_SUCH}}' }}\n  remotes: {{ acme/codex.acme.com: {{ token: '${{T}}', x: '${{Y}}' }}, o/r: {{ token: '${{Z}}' }} }}\n"
    );
    let world =
        World::new(&[("ws/.fractary/config.yaml", &text), ("ws/.fractary/env/.env", "T=from-file\nBRANCH=unused\n")])
            .env(&[("BRANCH", "dev")]);
    let workspace = world.workspace();
    assert_eq!(workspace.remote.branch.as_deref(), Some("dev"));
    assert!(workspace.remote.token.is_none());
    assert_eq!(workspace.remote.repository_token.unwrap().reveal(), "from-file");
    assert_eq!(workspace.remote.unset_token_variables, ["NO_SUCH"]);
    let text = format!("{ONE}  remote: {{ branch: '${{BRANCH}}' }}\n");
    let world = World::new(&[("ws/.fractary/config.yaml", &text)]);
    assert!(world.problems().starts_with(
        "/T/ws/.fractary/config.yaml:5:21: `remote.branch` needs the variable `BRANCH`, which is not set"
    ));
}

#[test]
fn places_must_not_collide() {
    for (a, b, how) in [
        ("x/y", "x/y", "are both at `x/y`"),
        ("x", "x/y", "overlap"),
        ("Docs", "docs", "differ only in case"),
        ("caf\u{e9}", "cafe\u{301}", "differ only in case or Unicode form"),
    ] {
        let text =
            format!("codex: {{ remote: {{ url: /c.git }}, projects: {{ a: {{ to: '{a}' }}, b: {{ to: '{b}' }} }} }}");
        let problems = World::new(&[("ws/.fractary/config.yaml", &text)]).problems();
        assert!(problems.contains(how) && problems.contains("`a`") && problems.contains("`b`"), "{problems}");
    }
}

#[test]
fn environments_choose_the_branch() {
    let world = World::new(&[("ws/.fractary/config.yaml", ONE)]).env(&[("FRACTARY_CODEX_ENV", "prod")]);
    assert_eq!(world.workspace().remote.branch.as_deref(), Some("main"));
    let mut world = world;
    world.request.env_name = Some("pord".to_owned());
    assert_eq!(world.problems(), "unknown environment `pord` [did you mean `prod`?]\n");
}

#[test]
fn older_keys_are_read_with_a_warning() {
    let text = format!(
        "{ONE}  schema_version: '2.0'\n  storage: {{ path: '${{NOT_SET}}' }}\n  cache: {{ ttl: 5 }}\n  sync: {{ include: [a], exclude: [b], default_from_codex: [docs/**] }}\n"
    );
    let world = World::new(&[("ws/.fractary/config.yaml", &text)]);
    let (configuration, workspace) = world.load();
    let project = &workspace.projects[0];
    assert_eq!(project.claims.patterns().include, ["a"]);
    assert_eq!(project.claims.patterns().exclude, ["**/*.tmp", "b"]);
    assert_eq!(project.from_codex.include, ["codex://acme/billing/docs/**"]);
    let warnings: Vec<&str> = configuration.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        warnings,
        [
            "`cache.ttl` is not a key of ours and is left alone",
            "`sync.include` is now `sync.to_codex.include`",
            "`sync.exclude` is now `sync.to_codex.exclude`",
            "`sync.default_from_codex` is now `sync.from_codex.include`",
            "`sync.from_codex.include`: `docs/**` is an older form of `codex://{org}/{project}/docs/**`",
        ]
    );
}

#[test]
fn secrets_are_masked_wherever_they_are_shown() {
    let text = format!(
        "{ONE}  remote: {{ token: s3cret, url: 'https://me:s3cret@h/x.git' }}\n  remotes: {{ o/r: {{ token: s3cret }} }}\n"
    );
    let world = World::new(&[("ws/.fractary/config.yaml", &text)]);
    let (configuration, workspace) = world.load();
    let shown = format!("{:?}{configuration:?}{workspace:?}", configuration.effective());
    assert!(!shown.contains("s3cret"), "{shown}");
    let explained = configuration.explain("codex.remote.url").unwrap();
    assert_eq!(explained[0].value, Some("https://me:***@h/x.git".into()));
    assert!(configuration.explain("remote.tokn").unwrap_err().hint.is_some());
    assert_eq!(configuration.explain("remote").unwrap().len(), 9);
}

const LAYERS: [LayerKind; 6] = [
    LayerKind::User,
    LayerKind::Workspace,
    LayerKind::Local,
    LayerKind::Member,
    LayerKind::Environment,
    LayerKind::Flags,
];

/// A world in which the layers of `set` say `projects.p.sync.delete_guard.files` and `sync.direction`-like lists.
fn layered(set: &[bool]) -> World {
    let body = |layer: usize| {
        if set[layer] {
            format!(
                "    projects: {{ p: {{ sync: {{ delete_guard: {{ files: {layer} }}, to_codex: {{ exclude: [x{layer}] }} }} }} }}\n"
            )
        } else {
            String::new()
        }
    };
    let member = if set[3] { "  sync: { delete_guard: { files: 3 }, to_codex: { exclude: [x3] } }\n" } else { "" };
    let mut world = World::new(&[
        ("home/config/fractary/config.yaml", &format!("codex:\n    jobs: 1\n{}", body(0))),
        (
            "ws/.fractary/config.yaml",
            &format!("codex:\n    remote: {{ url: /c.git }}\n    workspace: {{ members: [d] }}\n{}", body(1)),
        ),
        ("ws/.fractary/config.local.yaml", &format!("codex:\n    jobs: 2\n{}", body(2))),
        ("ws/d/.fractary/config.yaml", &format!("codex:\n  project: p\n{member}")),
    ]);
    if set[4] {
        let value = "{p={sync={delete_guard={files=4},to_codex={exclude=['x4']}}}}";
        world = world.env(&[("FRACTARY_CODEX_PROJECTS", value)]);
    }
    if set[5] {
        world = world.set(&["projects.p.sync.delete_guard.files=5", "projects.p.sync.to_codex.exclude=['x5']"]);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_highest_layer_wins_and_the_others_are_named(set in proptest::collection::vec(any::<bool>(), 6)) {
        let world = layered(&set);
        let (configuration, workspace) = world.load();
        let expected: Vec<usize> = (0..6).rev().filter(|layer| set[*layer]).collect();
        let files = workspace.projects[0].delete_guard.files;
        prop_assert_eq!(files, expected.first().map_or(20, |layer| *layer as u64));

        let explained = configuration.explain("projects.p.sync.delete_guard.files").unwrap().remove(0);
        let given: Vec<LayerKind> = explained.given.iter().map(|given| given.layer).collect();
        prop_assert_eq!(given, expected.iter().map(|layer| LAYERS[*layer]).collect::<Vec<_>>());
        prop_assert_eq!(explained.winner().map(|given| given.layer), expected.first().map(|layer| LAYERS[*layer]));
        prop_assert_eq!(explained.overridden().count(), expected.len().saturating_sub(1));

        let added: Vec<String> = expected.iter().rev().map(|layer| format!("x{layer}")).collect();
        let excludes = &workspace.projects[0].claims.patterns().exclude;
        prop_assert_eq!(&excludes[0], "**/*.tmp");
        prop_assert_eq!(excludes[1..].iter().cloned().collect::<std::collections::BTreeSet<_>>(), added.into_iter().collect());
    }
}

#[test]
fn a_thousand_members() {
    let world = World::new(&[(
        "ws/.fractary/config.yaml",
        "codex: { remote: { url: /c.git }, workspace: { members: ['*/*'] } }",
    )]);
    for number in 0..1000 {
        let own = world.request.cwd.join(format!("g{}/p{number}/.fractary", number % 10));
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("config.yaml"), "codex:\n  sync: { to_codex: { exclude: ['draft/**'] } }\n").unwrap();
    }
    assert_eq!(world.workspace().projects.len(), 1000);
}

#[test]
fn files_that_cannot_be_used_are_told_with_their_place() {
    let long = format!("codex:\n  organization: {}\n  codex_repo: c\n  project: p\n", "x".repeat(1_000_000));
    let cases: [(&str, &str, &str); 12] = [
        ("empty", "", "/T/ws/.fractary/config.yaml: `organization` is not given, and neither is `remote.url`"),
        ("a list", "- a\n", "/T/ws/.fractary/config.yaml:1:1: expected a map with the section `codex`"),
        ("a text", "codex: yes\n", "/T/ws/.fractary/config.yaml:1:8: `codex`: expected a map"),
        ("not YAML", "codex: [\n", "/T/ws/.fractary/config.yaml:"),
        ("twice", "codex:\n  jobs: 1\n  jobs: 2\n", "config.yaml:3:3: not valid YAML: the key `jobs` stands twice"),
        ("not UTF-8", "codex: \u{0}\n", "/T/ws/.fractary/config.yaml:1:8: not valid YAML"),
        ("long", &long, ""),
        (
            "to",
            "codex: { remote: { url: /c }, projects: { a: { to: ../b } } }",
            "`projects.a.to`: `../b`: the path has an",
        ),
        ("dot git", "codex: { remote: { url: /c }, projects: { a: { to: .git/b } } }", "`.git` segment"),
        ("name", "codex: { remote: { url: /c }, projects: { ../a: {} } }", ":1:43: `../a` is not a project name"),
        (
            "mapping",
            "codex: { remote: { url: /c }, projects: { a: { mappings: [{ from: x }] } } }",
            "`projects.a.mappings[0]` lacks `to`",
        ),
        (
            "url",
            "codex: { project: p, remote: { url: 'ext::sh -c x' } }",
            ":1:37: `remote.url`: the scheme `ext` is not supported",
        ),
    ];
    for (name, text, expected) in cases {
        let world = World::new(&[("ws/.fractary/config.yaml", text)]);
        match workspace::load(&world.request) {
            Ok(_) => assert!(expected.is_empty(), "{name}"),
            Err(problems) => {
                let shown = world.shown(&problems);
                assert!(!expected.is_empty() && shown.contains(expected), "{name}: {shown}");
            }
        }
    }
    let world = World::new(&[("ws/.fractary/config.yaml/x", "")]);
    assert!(
        world.problems().contains("config.yaml: the file cannot be read: it is a directory"),
        "{}",
        world.problems()
    );
    let mut world = World::new(&[]);
    world.request.config_file = Some("no.yaml".into());
    assert!(world.problems().starts_with("/T/ws/no.yaml: there is no such file"), "{}", world.problems());
}

#[test]
fn the_older_tools_files_work_alone_and_as_members() {
    let sample = |name: &str| {
        format!(
            "version: '2.0'\nwork: {{ token: '${{NOT_SET}}' }}\ncodex:\n  schema_version: '2.0'\n  organization: acme\n  project: {name}\n  \
             codex_repo: codex.acme.com\n  remotes:\n    acme/codex.acme.com:\n      token: ${{GITHUB_TOKEN}}\n  sync:\n    to_codex:\n      \
             include: [docs/**, README.md]\n      exclude: ['*.tmp', _archive/**]\n    from_codex:\n      \
             include: [codex://acme/codex.acme.com/docs/**]\n      exclude: [_archive/**]\n"
        )
    };
    let alone = World::new(&[("ws/.fractary/config.yaml", &sample("core"))]).env(&[("GITHUB_TOKEN", "t")]);
    let (configuration, workspace) = alone.load();
    assert_eq!(names(&workspace), ["core"]);
    assert_eq!(workspace.remote.repository_token.unwrap().reveal(), "t");
    assert_eq!(workspace.projects[0].from_codex.include, ["codex://acme/codex.acme.com/docs/**"]);
    assert_eq!(configuration.warnings().count(), 0);
    let outer = "codex: { organization: acme, codex_repo: codex.acme.com, workspace: { members: ['*'] } }";
    let together = World::new(&[
        ("ws/.fractary/config.yaml", outer),
        ("ws/one/.fractary/config.yaml", &sample("core")),
        ("ws/two/.fractary/config.yaml", &sample("forge")),
    ]);
    let workspace = together.at("ws/one").workspace();
    assert_eq!(names(&workspace), ["core", "forge"]);
    assert_eq!(workspace.projects[1].claims.patterns().exclude, ["**/*.tmp", "*.tmp", "_archive/**"]);
}

#[test]
fn the_workspace_is_the_nearest_file_unless_an_outer_one_covers_it() {
    let inner = ONE.replace("billing", "inner");
    let found = |outer: &str| {
        let world = World::new(&[("ws/.fractary/config.yaml", outer), ("ws/a/b/.fractary/config.yaml", &inner)]);
        let (configuration, workspace) = world.at("ws/a/b").load();
        (configuration.root.ends_with("ws"), names(&workspace).join(" "))
    };
    assert_eq!(found(ONE), (false, "inner".to_owned()));
    let covering = format!("{ONE}  workspace: {{ members: ['a/*'] }}\n");
    assert_eq!(found(&covering), (true, "billing inner".to_owned()));
    let excluding = format!("{ONE}  workspace: {{ members: ['a/*'], exclude: ['*/b'] }}\n");
    assert_eq!(found(&excluding), (false, "inner".to_owned()));
    let naming = format!("{ONE}  projects: {{ x: {{ root: a/b }} }}\n");
    assert_eq!(found(&naming), (true, "billing x".to_owned()));
    assert_eq!(found("work: {}\n"), (false, "inner".to_owned()));
}

#[test]
fn a_walk_never_enters_another_root() {
    let text = format!("{ONE}  projects: {{ a: {{ root: x }}, b: {{ root: x/y }} }}\n");
    let world = World::new(&[("ws/.fractary/config.yaml", &text)]);
    let workspace = world.workspace();
    let never = |number: usize| &workspace.projects[number].scan.never;
    let at = |path: &str| world.request.cwd.join(path);
    assert!(never(0).contains(&at("x/y")) && !never(0).contains(&at("x")));
    assert!(!never(1).contains(&at("x/y")));
    assert!(never(2).contains(&at("x")) && never(2).contains(&at("x/y")) && !never(2).contains(&world.request.cwd));
    for own in [".fractary/env", ".fractary/config.local.toml", ".fractary/codex/cache"] {
        assert!(never(2).contains(&at(own)), "{own}");
    }
}

#[test]
fn paths_start_from_whoever_says_them() {
    let world = World::new(&[
        ("home/config/fractary/config.toml", "[codex]\nstate.dir = 'state'\n"),
        ("ws/.fractary/config.yaml", &format!("{ONE}  remote: {{ url: ../codex.git }}\n  cache: {{ dir: c }}\n")),
        ("ws/sub/x", ""),
    ])
    .env(&[("FRACTARY_CODEX_PROJECTS", "{other={root='here'}}")])
    .at("ws/sub");
    let workspace = world.workspace();
    let at = |path: &str| world.dir.path().join(path);
    assert_eq!(workspace.remote.url.local_path(), Some(at("codex.git")));
    assert_eq!(workspace.cache_dir, Some(at("ws/c")));
    assert_eq!(workspace.state_dir, at("home/config/fractary/state"));
    assert_eq!(workspace.projects[1].root, at("ws/sub/here"));
}

#[test]
fn the_cache_is_off_in_ci() {
    let world = World::new(&[("ws/.fractary/config.yaml", ONE)]).env(&[("CI", "true")]);
    assert_eq!(world.workspace().projects[0].cache_dir, None);
    let world = world.set(&["cache.enabled=true"]);
    assert!(world.workspace().cache_dir.is_some());
}

#[test]
fn a_detected_organization_is_the_lowest_word() {
    let mut world = World::new(&[("ws/.fractary/config.yaml", "codex: { codex_repo: c, project: p }")]);
    world.request.detected_organization = Some("seen".to_owned());
    let (configuration, workspace) = world.load();
    assert_eq!(workspace.remote.url.to_string(), "https://github.com/seen/c.git");
    let explained = configuration.explain("organization").unwrap();
    assert_eq!(explained[0].winner().unwrap().origin.to_string(), "the git remote of the workspace");
}

#[test]
fn the_schema_knows_every_default() {
    let schema = schema();
    for (path, default) in layers::default_values() {
        let pointer: String = path.iter().map(|segment| format!("/properties/{segment}")).collect();
        let found = schema.pointer(&format!("/properties/codex{pointer}"));
        let of_map = path.starts_with(&["sync".to_owned(), "environments".to_owned()]);
        assert!(of_map || found.is_some_and(|found| found.get("default").is_some()), "{path:?} {default}");
    }
    let environments = schema.pointer("/properties/codex/properties/sync/properties/environments/default");
    assert_eq!(
        environments,
        Some(&serde_json::json!({ "prod": "main", "staging": "staging", "test": "test", "dev": "develop" }))
    );
    assert_eq!(schema.pointer("/properties/codex/additionalProperties"), Some(&false.into()));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let example = serde_json::json!({ "codex": { "organization": "acme", "remote": { "branch": 1.1 } }, "x": 1 });
    assert!(validator.is_valid(&example));
    assert!(!validator.is_valid(&serde_json::json!({ "codex": { "sync": { "to_codx": {} } } })));
}
