//! The page in a browser: sorting, filtering, small screens, both themes, and isolation from the
//! network.

use std::time::Duration;

use serde_json::{Value, json};

use super::{hostile, page, world};
use crate::support::Sandbox;
use crate::support::browser::Browser;

/// A script that returns the names of the visible projects in order.
const NAMES: &str = "return [...document.querySelectorAll('tbody')].filter(b => !b.hidden)
    .map(b => b.querySelector('th').firstChild.textContent.trim())";

/// A script that returns the lowest contrast of any visible text, and the element.
const CONTRAST: &str = include_str!("contrast.js");

/// Opens the page of [`world`] in a browser.
fn opened() -> Option<(Sandbox, Browser)> {
    let (sandbox, _codex) = world();
    page(&sandbox, 1, &[]);
    let browser = Browser::start(&sandbox)?;
    browser.screen(1440, 900, "light");
    browser.open(&sandbox.path("ws/page.html"));
    Some((sandbox, browser))
}

#[test]
fn click_on_a_heading_sorts_and_reverses() {
    let Some((_sandbox, browser)) = opened() else {
        return;
    };
    let sorted =
        || browser.run("return [...document.querySelectorAll('thead th')].map(th => th.ariaSort)");
    assert_eq!(
        browser.run(NAMES),
        json!(["web", "ledger", "billing", "handbook"]),
        "projects that need attention come first"
    );
    assert_eq!(sorted()[1], "ascending");
    browser.click("thead th:nth-child(1) button");
    assert_eq!(
        browser.run(NAMES),
        json!(["billing", "handbook", "ledger", "web"])
    );
    browser.click("thead th:nth-child(1) button");
    assert_eq!(
        browser.run(NAMES),
        json!(["web", "ledger", "handbook", "billing"])
    );
    assert_eq!(
        sorted(),
        json!(["descending", null, null, null, null, null, null, null])
    );
    // Numbers start with the largest; unknown values come last in both orders, and equal ones are
    // ordered by name.
    browser.click("thead th:nth-child(5) button");
    assert_eq!(
        browser.run(NAMES),
        json!(["ledger", "billing", "handbook", "web"])
    );
    browser.click("thead th:nth-child(5) button");
    assert_eq!(
        browser.run(NAMES),
        json!(["handbook", "billing", "ledger", "web"])
    );
    assert_eq!(sorted()[4], "ascending");
    assert_eq!(browser.complaints(), [Value::Null; 0]);
}

#[test]
fn text_and_state_filter_the_table() {
    let Some((_sandbox, browser)) = opened() else {
        return;
    };
    let shown = || browser.run("return document.getElementById('shown').textContent");
    browser.click(".totals [data-state=would-sync]");
    assert_eq!(
        (browser.run(NAMES), shown()),
        (json!(["billing"]), "1 of 4 shown".into())
    );
    assert_eq!(
        browser.run("return document.querySelector('[data-state=would-sync]').ariaPressed"),
        "true"
    );
    browser.click(".totals [data-state=would-sync]");
    assert_eq!(
        (browser.run(NAMES).as_array().unwrap().len(), shown()),
        (4, "".into())
    );
    // The filter includes folded lists, and all of its words must match.
    browser.type_into("#filter", "NEW/03 bill");
    assert_eq!(browser.run(NAMES), json!(["billing"]));
    browser.type_into("#filter", " nowhere");
    assert_eq!(browser.run(NAMES), json!([]));
    assert_eq!(
        browser.run("return document.getElementById('none').checkVisibility()"),
        true
    );
    assert_eq!(browser.complaints(), [Value::Null; 0]);
}

#[test]
fn page_is_readable_on_every_screen_in_both_themes() {
    let Some((sandbox, browser)) = opened() else {
        return;
    };
    for (width, height) in [(360, 800), (820, 1100), (1440, 900)] {
        for (theme, background) in [("light", "rgb(248, 248, 247)"), ("dark", "rgb(20, 22, 26)")] {
            browser.screen(width, height, theme);
            browser.open(&sandbox.path("ws/page.html"));
            browser.run("document.querySelectorAll('details').forEach(d => d.open = true)");
            let seen = "return [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]";
            let seen = browser.run(seen);
            assert!(
                seen[0].as_u64().unwrap() <= width.into(),
                "{width} {theme}: {seen}"
            );
            assert_eq!(seen[1], background, "{width} {theme}");
            let contrast = browser.run(CONTRAST);
            assert!(
                contrast[0].as_f64().unwrap() >= 4.5,
                "{width} {theme}: {contrast}"
            );
        }
    }
    // The button overrides the preference of the system.
    browser.screen(1440, 900, "light");
    let background = || browser.run("return getComputedStyle(document.body).backgroundColor");
    browser.click("#theme");
    browser.click("#theme");
    assert_eq!(background(), "rgb(20, 22, 26)");
    browser.open(&sandbox.path("ws/page.html"));
    assert_eq!(background(), "rgb(20, 22, 26)", "the choice is stored");
}

#[test]
fn only_the_own_script_runs() {
    let sandbox = hostile();
    let Some(browser) = Browser::start(&sandbox) else {
        return;
    };
    browser.open(&sandbox.path("ws/page.html"));
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)");
    assert_eq!(
        browser
            .run("return [typeof window.pwned, performance.getEntriesByType('resource').length]"),
        json!(["undefined", 0])
    );
    assert_eq!(
        browser.run("return document.querySelectorAll('img, i, .pwned').length"),
        0
    );
    // A name of 100 letters does not make a phone scroll horizontally.
    browser.screen(360, 800, "light");
    assert_eq!(
        browser.run("return document.documentElement.scrollWidth"),
        360
    );
    let text = browser
        .run("return document.body.innerText")
        .as_str()
        .unwrap()
        .to_owned();
    for shown in [
        "docs/<script>window.pwned=1</script>.md",
        "docs/' onmouseover='window.pwned=1.md",
        "docs/bytes\\xff.md",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert_eq!(browser.complaints(), [Value::Null; 0]);
    // Injected elements would be blocked, because the policy allows only the script of the page.
    browser.run(
        "const s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.body.append(s);
         const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i)",
    );
    assert_eq!(browser.run("return typeof window.pwned"), "undefined");
    assert!(!browser.complaints().is_empty());
}

#[test]
#[expect(clippy::print_stderr, reason = "the measurement is printed for people")]
fn three_hundred_projects_sort_quickly() {
    let sandbox = Sandbox::new();
    let names: Vec<_> = (0..300)
        .map(|number| format!("project-{number:03}"))
        .collect();
    let _codex = sandbox.workspace(&names.iter().map(String::as_str).collect::<Vec<_>>(), "");
    for (number, name) in names.iter().enumerate() {
        for file in 0..=number % 12 {
            sandbox.write(&format!("ws/{name}/docs/{file}.md"), name);
        }
    }
    page(&sandbox, 0, &[]);
    let Some(browser) = Browser::start(&sandbox) else {
        return;
    };
    browser.screen(1440, 900, "light");
    browser.open(&sandbox.path("ws/page.html"));
    let ready = "const t = performance.timing; return t.domContentLoadedEventEnd - t.responseEnd";
    let ready = browser.run(ready).as_f64().unwrap();
    let sorted = browser.run(
        "return [...document.querySelectorAll('thead button')].flatMap(b => [b, b]).map(b => {
           const start = performance.now(); b.click(); document.body.offsetHeight; return performance.now() - start })",
    );
    let mut sorted: Vec<_> = sorted
        .as_array()
        .unwrap()
        .iter()
        .map(|time| time.as_f64().unwrap())
        .collect();
    sorted.sort_by(f64::total_cmp);
    let (median, slowest) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    eprintln!(
        "300 projects: ready after {ready:.0} ms, sorted and laid out in {median:.0} ms, at most {slowest:.0} ms"
    );
    assert!(Duration::from_secs_f64(median / 1000.0) < Duration::from_secs(1));
    assert_eq!(browser.run(NAMES).as_array().unwrap().len(), 300);
}
