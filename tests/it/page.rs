//! The team's page: what it says, that nothing in it is anybody else's, and that a browser sorts and filters it.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Codex, Sandbox, not_installed};

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&]]><!--</script><script>alert(2)</script>";

/// Three projects of a repository, synced; then one changes, one loses all its files, and one stays.
fn world() -> (Sandbox, Codex) {
    let sandbox = Sandbox::new();
    let codex = sandbox.workspace(&["alpha", "beta", "gamma"], "");
    for name in ["alpha", "beta", "gamma"] {
        sandbox.write(&format!("ws/{name}/docs/a.md"), name);
    }
    let git = |arguments: &[&str]| sandbox.git(&sandbox.path("ws"), arguments);
    git(&["init", "-q"]);
    git(&["remote", "add", "origin", "https://git.acme.example/acme/mono.git"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "One"]);
    sandbox.run(&["sync", "--all"]).code(0);
    // Others publish, and say so in their own way.
    codex.commit(&[("100644", "README.md", "somebody's")], &[]);
    sandbox.write("ws/alpha/docs/a.md", "changed");
    sandbox.write(&format!("ws/alpha/docs/{}.md", HOSTILE.replace('/', "\u{2044}")), "hostile");
    sandbox.remove("ws/beta/docs/a.md");
    (sandbox, codex)
}

fn page(sandbox: &Sandbox, arguments: &[&str], code: i32) -> String {
    sandbox.run(&[&["status", "--all", "--html", "../page.html"], arguments].concat()).code(code);
    fs::read_to_string(sandbox.path("page.html")).unwrap()
}

/// The cells of a project's row, tags taken out.
fn row(page: &str, project: &str) -> String {
    let start = page.find(&format!("data-sort=\"{project}\"")).unwrap();
    let row = &page[start..start + page[start..].find("</tr>").unwrap()];
    let mut text = String::new();
    for part in row.split('<').skip(1) {
        let words = part.split_once('>').map_or("", |(_, words)| words).trim();
        if !words.is_empty() {
            text.push_str(words);
            text.push('|');
        }
    }
    text
}

#[test]
fn it_tells_what_is_out_of_date_withheld_and_when_each_was_synced() {
    let (sandbox, codex) = world();
    let before = (sandbox.fingerprint("ws"), codex.tip());
    let page = page(&sandbox, &[], 1);
    assert!((sandbox.fingerprint("ws"), codex.tip()) == before);
    let revision = sandbox.git(&sandbox.path("ws"), &["rev-parse", "HEAD"])[..7].to_owned();
    let synced = format!("2023-11-14 22:13 UTC|{revision}|https://git.acme.example/acme/mono.git|");
    assert!(row(&page, "alpha").starts_with("alpha|out of date|+1|~1|−0|"), "{}", row(&page, "alpha"));
    for project in ["alpha", "beta", "gamma"] {
        assert!(row(&page, project).ends_with(&synced), "{}", row(&page, project));
    }
    let beta = row(&page, "beta");
    assert!(beta.starts_with("beta|withheld|no source file matches, and 1 file would be deleted"), "{beta}");
    assert!(beta.contains("--allow-mass-delete"), "{beta}");
    assert!(row(&page, "gamma").starts_with("gamma|up to date|none|"), "{}", row(&page, "gamma"));
    // With `--check` the page is written as well; `--json` stays one document.
    let output = sandbox.run(&["status", "--all", "--json", "--check", "--html", "../other.html"]).code(1);
    assert_eq!(output.json()["projects"].as_array().unwrap().len(), 3);
    assert!(sandbox.path("other.html").exists());
}

#[test]
fn nothing_in_it_is_code_of_others_or_comes_from_outside() {
    let (sandbox, _codex) = world();
    let page = page(&sandbox, &[], 1);
    assert!(
        !page.contains("<img") && !page.contains("onerror=alert(1)>\"") && page.contains("&lt;img src=x"),
        "{page}"
    );
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (1, 1));
    for loads in ["src=\"", "href=", "url(", "@import", "fetch(", "XMLHttp"] {
        assert!(!page.contains(loads), "{loads}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn what_is_not_known_is_said() {
    let (sandbox, codex) = world();
    let offline = page(&sandbox, &["--offline"], 1);
    assert!(offline.contains("`--offline` asks nobody") && row(&offline, "alpha").ends_with("not known|not known|"));
    let unreachable = page(&sandbox, &["--config", "remote.url=../nothing.git"], 4);
    assert!(unreachable.contains("This is not the whole picture") && unreachable.contains("there is no repository"));
    // Commits that do not say for whom they are.
    codex.git(&["update-ref", "-d", "refs/heads/main"]);
    sandbox.run(&["sync", "--all", "--rescan", "--config", "commit.trailers=false"]);
    assert!(row(&page(&sandbox, &[], 0), "gamma").ends_with("not known|not known|"));
}

#[test]
fn it_is_written_whole_or_not_at_all() {
    let (sandbox, _codex) = world();
    sandbox.write("page.html", "older");
    page(&sandbox, &[], 1);
    let mode =
        |path: &str| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(sandbox.path(path)).unwrap().permissions());
    sandbox.write("plain", "");
    assert_eq!(mode("page.html"), mode("plain"));
    for target in ["no/such/page.html", "alpha"] {
        let output = sandbox.run(&["status", "--all", "--html", target]).code(2);
        assert!(output.stderr.contains(&format!("cannot write `{target}`")), "{}", output.stderr);
    }
    assert!(!fs::read_dir(sandbox.path("ws")).unwrap().any(|entry| entry.unwrap().path().extension().is_some()));
}

/// What a user does, and what the page then shows.
const VISIT: &str = r##"<script>{
const rows = () => [...document.querySelectorAll("#projects tbody tr")].filter((row) => row.offsetParent !== null || row.getClientRects().length > 0);
const names = () => rows().map((row) => row.cells[0].dataset.sort).join(" ");
const seen = {};
const click = (text) => [...document.querySelectorAll("button")].find((button) => button.textContent.includes(text)).click();
seen.first = names();
click("Project"); seen.ascending = names();
click("Project"); seen.descending = names();
seen.sorted = document.querySelector("th").getAttribute("aria-sort");
click("Changes"); seen.changes = names();
click("out of date"); seen.outdated = names();
click("out of date");
const search = document.getElementById("search");
search.value = "ET"; search.dispatchEvent(new Event("input")); seen.search = names();
search.value = "nobody"; search.dispatchEvent(new Event("input")); seen.nothing = document.getElementById("nothing").getClientRects().length > 0;
seen.ago = document.querySelector("tbody time .ago").textContent.includes("ago");
seen.loaded = performance.getEntriesByType("resource").length;
seen.wide = document.documentElement.scrollWidth > innerWidth;
const told = document.createElement("pre"); told.id = "told"; told.textContent = JSON.stringify(seen); document.body.append(told);
}</script>"##;

#[test]
fn a_browser_sorts_and_filters_it() {
    if Command::new("chromium").arg("--version").output().is_err() {
        return not_installed("chromium");
    }
    let (sandbox, _codex) = world();
    let page = page(&sandbox, &[], 1);
    sandbox.write("visit.html", page.replace("</body>", &format!("{VISIT}</body>")));
    for width in [400, 1200] {
        let mut command = sandbox.command("chromium");
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom"]);
        command.arg(format!("--user-data-dir={}", sandbox.path("profile").display()));
        command.arg(format!("--window-size={width},900"));
        command.arg(format!("file://{}", sandbox.path("visit.html").display()));
        let dom = sandbox.finish(command).code(0).stdout;
        let told =
            dom.split("<pre id=\"told\">").nth(1).unwrap_or_else(|| panic!("{dom}")).split("</pre>").next().unwrap();
        let told: Value = serde_json::from_str(&told.replace("&quot;", "\"")).unwrap();
        let expected = json!({
            "first": "beta alpha gamma", "ascending": "alpha beta gamma", "descending": "gamma beta alpha",
            "sorted": "descending", "changes": "gamma beta alpha", "outdated": "alpha", "search": "beta", "nothing": true,
            "ago": true, "loaded": 0, "wide": false,
        });
        assert_eq!(told, expected, "{width}");
    }
}
