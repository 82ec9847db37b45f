//! Publishes all projects of the workspace in a directory, with a reporter that prints each stage
//! of the run:
//!
//! ```sh
//! cargo run --example publish -- DIRECTORY
//! ```
#![expect(clippy::print_stdout, reason = "the reporter of a program prints")]

use std::error::Error;
use std::path::absolute;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fractary_codex::config::LoadRequest;
use fractary_codex::event::{Event, Reporter};
use fractary_codex::sync::{SyncRequest, sync};
use fractary_codex::workspace;

struct Printer;

impl Reporter for Printer {
    fn event(&self, event: &Event) {
        match event {
            Event::Started { stage } => println!("{stage:?} …"),
            Event::Warning { message, .. } => println!("warning: {message}"),
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .ok_or("usage: publish DIRECTORY")?;
    let variables = std::env::vars_os().collect();
    let (configuration, workspace) =
        workspace::load(&LoadRequest::new(absolute(directory)?, variables))?;

    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64;
    let mut request = SyncRequest::new(&configuration, &workspace, std::env::temp_dir(), now);
    request.reporter = Arc::new(Printer);
    let outcome = sync(&request);

    for project in &outcome.projects {
        println!("{}: {:?}", project.name, project.outcome.status());
    }
    match outcome.failure {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
