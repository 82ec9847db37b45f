//! A headless Chromium, controlled through `chromedriver`, to test a page as users see it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::{Sandbox, not_installed, process};

/// A running browser with one window. It is closed when dropped.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts a browser. Reports that the test is skipped and returns `None` if none is installed.
    pub(crate) fn start(sandbox: &Sandbox) -> Option<Self> {
        let is_installed =
            |program: &&&str| process::program(program).arg("--version").output().is_ok();
        let Some(program) = ["chromium", "chromium-browser", "google-chrome"]
            .iter()
            .find(is_installed)
        else {
            not_installed("chromium");
            return None;
        };
        // Its files are outside of the directories that tests check for leftovers.
        let profile = sandbox.path("browser");
        fs::create_dir(&profile).unwrap();
        let mut command = sandbox.command("chromedriver");
        command
            .arg("--port=0")
            .env("TMPDIR", &profile)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let Ok(mut driver) = command.spawn() else {
            not_installed("chromedriver");
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let port = lines.find_map(|line| {
            line.split_once("started successfully on port ")?
                .1
                .trim_matches('.')
                .parse()
                .ok()
        });
        let mut browser = Self {
            driver,
            port: port.unwrap(),
            session: String::new(),
        };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.join("profile").display()),
        ];
        let options = json!({ "binary": which(program), "args": arguments });
        let wanted =
            json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let session = browser.send(
            "POST",
            "/session",
            &json!({ "capabilities": { "alwaysMatch": wanted } }),
        );
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// Opens a file in the window.
    pub(crate) fn open(&self, page: &Path) {
        self.post(
            "/url",
            &json!({ "url": format!("file://{}", page.display()) }),
        );
    }

    /// Clicks the element with this CSS selector, which must be visible.
    pub(crate) fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Types a text into the element with this CSS selector.
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.post(
            &format!("/element/{element}/value"),
            &json!({ "text": text }),
        );
    }

    fn find(&self, selector: &str) -> String {
        let found = self.post(
            "/element",
            &json!({ "using": "css selector", "value": selector }),
        );
        found
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Runs the script as the body of a function in the page, and returns its result.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs a command of the DevTools protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post(
            "/goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        )
    }

    /// Emulates a screen of this size, and a user preference for the theme `light` or `dark`.
    pub(crate) fn screen(&self, width: u32, height: u32, theme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let theme = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.devtools("Emulation.setEmulatedMedia", &theme);
    }

    /// The browser's log messages since the last call.
    pub(crate) fn complaints(&self) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": "browser" }))
            .as_array()
            .unwrap()
            .clone()
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        self.send("POST", &format!("{}{path}", self.session), body)
    }

    #[track_caller]
    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.request(method, path, body).unwrap();
        assert!(status.contains(" 200 "), "{path} {body}: {answer}");
        answer["value"].clone()
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(String, Value)> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port))?);
        let body = body.to_string();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all((head + &body).as_bytes())?;
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            head.push(line.to_ascii_lowercase());
        }
        let length = head
            .iter()
            .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut answer = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut answer)?;
        Ok((
            head.into_iter().next().unwrap_or_default(),
            serde_json::from_slice(&answer)?,
        ))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.request("DELETE", &self.session, &json!({}));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The path of a program on PATH.
fn which(program: &str) -> String {
    let path = std::env::var("PATH").unwrap();
    path.split(':')
        .map(|directory| format!("{directory}/{program}"))
        .find(|file| Path::new(file).exists())
        .unwrap()
}
