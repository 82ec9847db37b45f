//! Stops the program at a chosen step, so that a test can act at exactly that moment.

use std::fs;
use std::path::PathBuf;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use super::http::{Reaction, Stage};
use super::{Sandbox, wait_until};

/// A gate at which a shell script waits until the test opens it, or until the sandbox is removed.
pub(crate) struct Gate {
    /// Created when a process reaches the gate; it grows as long as a process waits.
    reached: PathBuf,
    /// Created to open the gate.
    go: PathBuf,
}

impl Gate {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        Self {
            reached: sandbox.path("reached"),
            go: sandbox.path("go"),
        }
    }

    /// The shell script that waits at the gate.
    pub(crate) fn script(&self) -> String {
        let (reached, go) = (self.reached.display(), self.go.display());
        format!(
            "touch {reached}; while [ ! -e {go} ] && [ -e {reached} ]; do echo >> {reached}; sleep 0.01; done"
        )
    }

    /// Waits until a process has reached the gate.
    #[track_caller]
    pub(crate) fn wait(&self) {
        wait_until("the gate is reached", || self.reached.exists());
    }

    /// Waits until a process has waited at the gate for a while longer.
    #[track_caller]
    pub(crate) fn wait_on(&self) {
        let size = || fs::metadata(&self.reached).map_or(0, |meta| meta.len());
        let start = size();
        wait_until("a process waits at the gate", || size() > start + 20);
    }

    /// Opens the gate for good.
    pub(crate) fn open(&self) {
        fs::write(&self.go, "").unwrap();
    }
}

/// A step of a sync that involves the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Query the tip.
    List,
    Fetch,
    Push,
    /// Query the tip after the push.
    Verify,
}

/// A moment in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the step has any effect.
    Before,
    /// After the step has had its effect, but before the program knows the result.
    After,
}

impl Sandbox {
    /// Runs `script` around one step: in git if the program uses that, otherwise in a server in
    /// front of the codex.
    pub(crate) fn run_at(&self, step: Step, moment: Moment, script: &str) {
        if !self.uses_git() {
            let server = self.serve();
            let reaction = match moment {
                Moment::Before => Reaction::Before(script.to_owned()),
                Moment::After => Reaction::After(script.to_owned()),
            };
            return match (step, moment) {
                (Step::List, _) => server.fail(Stage::ListToFetch, reaction, usize::MAX),
                (Step::Fetch, _) => server.fail(Stage::Fetch, reaction, usize::MAX),
                // Where the server's capabilities are remembered, a push is a single request.
                (Step::Push, _) => server.fail(Stage::Push, reaction, usize::MAX),
                (Step::Verify, _) => server.fail_after(Stage::Push, Stage::ListToFetch, reaction),
            };
        }
        let pushed = self.path("pushed");
        let pushed = pushed.display();
        let wanted = match step {
            Step::List => "list",
            Step::Fetch => "fetch",
            Step::Push => "push",
            Step::Verify => "verify",
        };
        let around = match moment {
            Moment::Before => script.to_owned(),
            Moment::After => {
                format!("\"$(git --exec-path)/git\" \"$@\"; status=$?\n{script}\nexit $status")
            }
        };
        self.wrap_git(&format!(
            "case \" $* \" in\n *' push '*) step=push; touch {pushed};;\n *' fetch '*) step=fetch;;\n \
             *' ls-remote '*) step=list; [ -e {pushed} ] && step=verify;;\nesac\n\
             if [ \"$step\" = {wanted} ]; then\n{around}\nfi"
        ));
    }

    /// Makes the program wait at a gate before or after one step.
    pub(crate) fn hold_at(&self, step: Step, moment: Moment) -> Gate {
        let gate = Gate::new(self);
        self.run_at(step, moment, &gate.script());
        gate
    }

    /// The number of running processes with the environment of this sandbox: the program and its
    /// descendants, including orphans.
    pub(crate) fn processes(&self) -> usize {
        let home = format!("HOME={}", self.path("home").display());
        let is_in_sandbox = |entry: &fs::DirEntry| {
            let variables = fs::read(entry.path().join("environ")).unwrap_or_default();
            variables
                .split(|byte| *byte == 0)
                .any(|variable| variable == home.as_bytes())
        };
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(is_in_sandbox)
            .count()
    }
}

/// Sends a signal, and waits until the process has taken or ignored it, or has ended. Without the
/// wait, a process on a busy machine could be released from a gate before it sees the signal.
pub(crate) fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
    let status = format!("/proc/{}/status", child.id());
    wait_until("the signal is taken", || {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let value = |name| status.lines().find_map(|line| line.strip_prefix(name));
        let has_ended = value("State:").is_none_or(|state| state.trim().starts_with('Z'));
        let pending = value("ShdPnd:").and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        has_ended || pending.is_none_or(|mask| mask & (1 << (signal.as_raw() - 1)) == 0)
    });
}
