//! Holds the program at a chosen moment, so that a test can do something to it just then.

use std::fs;
use std::path::PathBuf;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use super::http::{Reaction, Stage};
use super::{Sandbox, wait_until, without_git, without_git_children};

/// A place where shell code stops, says so, and waits until it is let go or the sandbox is gone. As long as somebody
/// waits there, the file `reached` grows.
pub(crate) struct Gate {
    reached: PathBuf,
    go: PathBuf,
}

impl Gate {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        Self {
            reached: sandbox.path("reached"),
            go: sandbox.path("go"),
        }
    }

    /// The shell code that stops there.
    pub(crate) fn script(&self) -> String {
        let (reached, go) = (self.reached.display(), self.go.display());
        format!(
            "touch {reached}; while [ ! -e {go} ] && [ -e {reached} ]; do echo >> {reached}; sleep 0.01; done"
        )
    }

    /// Waits until somebody stands there.
    #[track_caller]
    pub(crate) fn wait(&self) {
        wait_until("the gate is reached", || self.reached.exists());
    }

    /// Waits until somebody has gone on standing there for a while.
    #[track_caller]
    pub(crate) fn wait_on(&self) {
        let stood = || fs::metadata(&self.reached).map_or(0, |meta| meta.len());
        let until_now = stood();
        wait_until("somebody stands there for a while", || {
            stood() > until_now + 20
        });
    }

    /// Lets everybody through, now and later.
    pub(crate) fn open(&self) {
        fs::write(&self.go, "").unwrap();
    }
}

/// What the program asks of the codex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Asking for the tip.
    List,
    Fetch,
    Push,
    /// Asking for the tip after a push.
    Verify,
}

/// Where in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing of it was done.
    Before,
    /// All of it was done, but it has not ended.
    After,
}

impl Sandbox {
    /// Runs `script` around one step: in git, or, where git moves no objects, in a server in front of the codex.
    pub(crate) fn run_at(&self, step: Step, moment: Moment, script: &str) {
        if without_git_children() {
            let server = self.serve();
            let reaction = match moment {
                Moment::Before => Reaction::Before(script.to_owned()),
                Moment::After => Reaction::After(script.to_owned()),
            };
            return match (step, moment) {
                (Step::List, _) => server.fail(Stage::ListToFetch, reaction, usize::MAX),
                (Step::Fetch, _) => server.fail(Stage::Fetch, reaction, usize::MAX),
                // Where the server's capabilities are remembered, a push is a single request.
                (Step::Push, Moment::Before) => {
                    let first = if without_git() {
                        Stage::ListToPush
                    } else {
                        Stage::Push
                    };
                    server.fail(first, reaction, usize::MAX)
                }
                (Step::Push, Moment::After) => server.fail(Stage::Push, reaction, usize::MAX),
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

    /// Stops the program around a step.
    pub(crate) fn hold_at(&self, step: Step, moment: Moment) -> Gate {
        let gate = Gate::new(self);
        self.run_at(step, moment, &gate.script());
        gate
    }

    /// How many processes live in this sandbox's environment: the program and what it started, orphans too.
    pub(crate) fn processes(&self) -> usize {
        let home = format!("HOME={}", self.path("home").display());
        let lives_here = |entry: &fs::DirEntry| {
            let variables = fs::read(entry.path().join("environ")).unwrap_or_default();
            variables
                .split(|byte| *byte == 0)
                .any(|variable| variable == home.as_bytes())
        };
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(lives_here)
            .count()
    }
}

pub(crate) fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}
