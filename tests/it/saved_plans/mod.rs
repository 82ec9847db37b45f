//! Plans that are saved (`sync --dry-run --plan-out FILE`), shown (`plan show FILE`), and carried out
//! (`sync --plan FILE`), and plans that are expected by their id (`sync --expect PLAN_ID`).

mod changed;
mod document;
mod messages;
mod moved;
mod random;

use std::fs;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Output, Sandbox, World};

/// Saves the plan for all projects in `plan.json`, beside the workspace, and returns it.
fn save(world: &World, more: &[&str]) -> Value {
    save_of(world, &[&["--all"], more].concat(), 0)
}

/// The same for a selection of projects, with the exit status `code`.
#[track_caller]
fn save_of(world: &World, selection: &[&str], code: i32) -> Value {
    let save = ["sync", "--dry-run", "--plan-out", "../plan.json"];
    world.run(&[&save, selection].concat()).code(code);
    saved(&world.sandbox)
}

fn saved(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&fs::read(sandbox.path("plan.json")).unwrap()).unwrap()
}

/// Carries out the saved plan.
fn apply(world: &World, more: &[&str]) -> Output {
    world.run(&[&["sync", "--plan", "../plan.json"], more].concat())
}

/// Replaces the saved plan by one that looks as if it had been saved like this.
fn forge(sandbox: &Sandbox, mut plan: Value) {
    let fields = plan.as_object_mut().unwrap();
    let mut rest = fields.clone();
    rest.shift_remove("digest");
    let digest = Sha256::digest(serde_json::to_vec(&rest).unwrap());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    fields.insert("digest".to_owned(), digest.into());
    sandbox.write("plan.json", plan.to_string());
}

/// The differences that a run has found, each as `PROJECT SUBJECT`.
fn differences(output: &Output) -> Vec<String> {
    let document = output.json();
    let differences = document["differences"].as_array();
    let text = |difference: &Value| {
        let project = difference["project"].as_str().unwrap_or("-");
        format!("{project} {}", difference["subject"].as_str().unwrap())
    };
    differences.into_iter().flatten().map(text).collect()
}
