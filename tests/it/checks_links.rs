//! The check of links: links that work in a project and not in the codex.

use std::fs;

use serde_json::Value;

use crate::support::{Output, World, WorldBuilder};

/// Mappings that move the files of `alpha` apart.
const MAPPED: &str = "  sync:
    checks: { links: warn }
    to_codex: { include: [\"docs/**\", \"*.md\"] }
    max_file_size: 1000B
  projects:
    alpha:
      mappings:
        - { from: \"docs/**\", to: guides/ }
        - { from: api/openapi.yaml, to: reference/ }
";

/// The findings of a run: file, line, column and message.
fn findings(output: &Output) -> Vec<String> {
    let output = output.json();
    let projects = output["projects"].as_array().unwrap().clone();
    let findings = projects
        .iter()
        .flat_map(|project| project["findings"].as_array().unwrap().clone());
    findings.map(|finding| line(&finding)).collect()
}

fn line(finding: &Value) -> String {
    assert_eq!(finding["check"], "links");
    let place = ["file", "line", "column"].map(|key| finding[key].to_string());
    let place = place.join(":").replace('"', "");
    format!("{place}: {}", finding["message"].as_str().unwrap())
}

/// A workspace with the configuration [`MAPPED`], in which `projects:` of the default one is
/// replaced.
fn world(files: &[(&'static str, &'static str)]) -> World {
    configured(World::builder().files(files))
}

fn configured(builder: WorldBuilder) -> World {
    let builder = builder.codex_files(&[
        ("README.md", "# Codex\n"),
        ("projects/gamma/docs/g.md", "# Gamma\n"),
        ("projects/beta/old.md", "# Old\n"),
    ]);
    let world = builder.build();
    let config = "ws/.fractary/config.yaml";
    let text = fs::read_to_string(world.sandbox.path(config)).unwrap();
    let (start, _) = text.split_once("  projects:\n").unwrap();
    let beta = "    beta: { root: beta, sync: { to_codex: { include: [\"**\"] } } }\n";
    world
        .sandbox
        .write(config, format!("{start}{MAPPED}{beta}"));
    world
}

#[test]
fn link_is_checked_where_its_file_will_be() {
    let world = world(&[
        (
            "alpha/docs/a.md",
            "# A\n\n[works](b.md#two) [works](../../beta/c.md) [](#a) ![](/README.md)\n\
             [case](B.md) [mapped](../api/openapi.yaml) [source](../src/x.rs)\n\
             [sibling](../../beta/notes.md#n) [gone](gone.md) [large](large.bin)\n\n\
             [anchor](b.md#twoo) [codex](../../gamma/docs/g.md#gamma) [no](../../gamma/no.md)\n\
             <!-- codex:allow-link -->\n[gone](allowed.md)\n",
        ),
        ("alpha/docs/b.md", "# Two\n"),
        ("alpha/api/openapi.yaml", "a: 1\n"),
        ("alpha/src/x.rs", ""),
        (
            "beta/c.md",
            "[x](../alpha/guides/a.md#a) [y](../alpha/docs/a.md#a)\n",
        ),
        ("beta/notes.md", "# N\n"),
    ]);
    let large = "x".repeat(1001);
    world.sandbox.write("ws/alpha/docs/large.bin", large);
    let dry = world.run(&["sync", "--all", "--dry-run", "--json"]).code(0);
    let output = world.run(&["sync", "--all", "--json"]).code(0);
    assert_eq!(findings(&dry), findings(&output));
    insta::assert_snapshot!(findings(&output).join("\n"));

    // Files that do not change are not checked again.
    let again = world.run(&["sync", "--all", "--json"]).code(0);
    assert_eq!(findings(&again), [""; 0]);
}

#[test]
fn links_of_text_in_utf_16_are_checked() {
    let world = world(&[
        ("alpha/docs/b.md", "[x](a.md#two) [y](a.md#no)\n"),
        ("beta/c.md", ""),
    ]);
    let text = "\u{feff}# One\n\n## Two\n\n\u{e9} [gone](gone.md) [b](b.md)\n";
    let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    world.sandbox.write("ws/alpha/docs/a.md", text);
    let output = world.run(&["sync", "--all", "--json"]).code(0);
    assert_eq!(
        findings(&output),
        [
            "alpha/docs/a.md:5:3: `gone.md` does not exist: the codex has no \
             `projects/alpha/guides/gone.md`",
            "alpha/docs/b.md:1:15: `a.md#no`: `projects/alpha/guides/a.md` has no anchor `no`; \
             the closest one is `one`"
        ]
    );
}

#[test]
fn withheld_project_breaks_links_of_other_projects() {
    let world = world(&[
        (
            "alpha/docs/a.md",
            "[new](../../beta/new.md) [old](../../beta/old.md#old)\n",
        ),
        ("beta/new.md", "<<<<<<< HEAD\n=======\n>>>>>>> b\n"),
        ("beta/old.md", "# Old\n"),
    ]);
    let arguments = [
        "sync",
        "--all",
        "--json",
        "--config",
        "sync.checks.links=withhold",
    ];
    let output = world.run(&arguments).code(1).json();
    let alpha = &output["projects"][0];
    assert_eq!(alpha["status"], "withheld");
    assert_eq!(
        alpha["findings"][0]["message"],
        "`../../beta/new.md` is not published: `new.md` exists in the project `beta`, but the \
         codex does not have it"
    );
    assert_eq!(alpha["findings"].as_array().unwrap().len(), 1);
    assert!(
        !world
            .codex
            .paths()
            .contains(&"projects/beta/new.md".to_owned())
    );
}

#[test]
fn unknown_parts_of_the_codex_are_neither_requested_nor_reported() {
    let files = [("alpha/docs/a.md", "# A\n"), ("beta/b.md", "# B\n")];
    let world = configured(World::builder().files(&files).server(None));
    world.run(&["sync", "--all"]).code(0);
    let write = |end: &str| {
        let links =
            "[](../../gamma/no.md) [](../../gamma/docs/g.md#no) [](../../beta/b.md#no) [](b.md)";
        world
            .sandbox
            .write("ws/alpha/docs/a.md", format!("{links}{end}\n"));
    };
    let run = |arguments: &[&str]| {
        let before = world.server().requests().len();
        let output = world.run(&[arguments, &["-p", "alpha", "--json"]].concat());
        (output.code(0), world.server().requests().len() - before)
    };

    // Without a network, only the recorded files of the projects of the run are known.
    write("");
    let (offline, _) = run(&["status", "--offline"]);
    let no_b = "alpha/docs/a.md:1:75: `b.md` does not exist: the codex has no `projects/alpha/guides/b.md`";
    assert_eq!(findings(&offline), [no_b]);

    // The trees of the codex were fetched, but not the contents of its files.
    let (_, without) = run(&["sync", "--config", "sync.checks.links=off"]);
    write(" ");
    let (online, with) = run(&["sync"]);
    let no_gamma = "alpha/docs/a.md:1:1: `../../gamma/no.md` does not exist: the codex has no `projects/gamma/no.md`";
    assert_eq!(findings(&online), [no_gamma, no_b]);
    assert_eq!(with, without);
}
