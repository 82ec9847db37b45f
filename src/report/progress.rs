//! Progress on a terminal: one line per stage, drawn only when the stage takes longer than 250 ms,
//! and removed at its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{Event, Reporter, Stage};

/// A stage shows no line before it has run for this long.
const DELAY: Duration = Duration::from_millis(250);

/// How often the lines of all stages are redrawn.
const TICK: Duration = Duration::from_millis(100);

/// Draws the progress of each stage on standard error.
pub(crate) struct Progress {
    bars: Arc<Bars>,
    print: Box<dyn Fn(&Event) + Send + Sync>,
}

/// The running stages, and their lines.
struct Bars {
    lines: MultiProgress,
    stages: Mutex<HashMap<Stage, RunningStage>>,
}

/// A stage that runs.
struct RunningStage {
    since: Instant,
    /// The line, once it is shown.
    bar: Option<ProgressBar>,
    /// While the server processes a push: the last line that it sent, or an empty one.
    awaited: Option<String>,
}

impl Progress {
    /// Draws progress if `draw` is set. `print` is called for the events that are permanent lines,
    /// such as warnings, while no bar is on the screen.
    pub(crate) fn new(draw: bool, print: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let target = if draw {
            ProgressDrawTarget::stderr_with_hz(20)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = Arc::new(Bars {
            lines: MultiProgress::with_draw_target(target),
            stages: Mutex::default(),
        });

        if draw {
            spawn_ticker(&bars);
        }
        Self {
            bars,
            print: Box::new(print),
        }
    }
}

/// Starts the thread that redraws the lines, so that a stage without events, such as a wait for the
/// server, shows that the program is alive. It ends when the bars are dropped. If no thread can be
/// started, such a stage shows no line.
fn spawn_ticker(bars: &Arc<Bars>) {
    let bars = Arc::downgrade(bars);
    let _ = thread::Builder::new()
        .name("progress".to_owned())
        .spawn(move || {
            while let Some(bars) = bars.upgrade() {
                bars.tick();
                drop(bars);
                thread::park_timeout(TICK);
            }
        });
}

impl Bars {
    fn stages(&self) -> MutexGuard<'_, HashMap<Stage, RunningStage>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Redraws every stage that has run for longer than [`DELAY`], except the signing of commits:
    /// between two signatures a program may ask for a passphrase on the same terminal.
    fn tick(&self) {
        for (stage, running) in self.stages().iter_mut() {
            if *stage != Stage::Sign && running.since.elapsed() >= DELAY {
                running.bar(*stage, &self.lines).tick();
            }
        }
    }

    fn start(&self, stage: Stage) {
        let running = RunningStage {
            since: Instant::now(),
            bar: None,
            awaited: None,
        };
        self.stages().insert(stage, running);
    }

    fn finish(&self, stage: Stage) {
        let running = self.stages().remove(&stage);
        if let Some(bar) = running.and_then(|running| running.bar) {
            bar.finish_and_clear();
        }
    }

    /// Shows that the server processes the push, and the last line that it sent.
    fn await_server(&self, message: &str) {
        if let Some(running) = self.stages().get_mut(&Stage::Push) {
            running.awaited = Some(message.to_owned());
            if let Some(bar) = &running.bar {
                show_awaited(bar, message);
            }
        }
    }

    /// Updates the counts of a stage's line.
    fn update(
        &self,
        stage: Stage,
        done: u64,
        total: Option<u64>,
        files: Option<u64>,
        bytes: Option<u64>,
    ) {
        let mut stages = self.stages();
        let Some(running) = stages.get_mut(&stage) else {
            return;
        };
        let was_awaited = running.awaited.take().is_some();
        if running.since.elapsed() < DELAY {
            return;
        }

        let bar = running.bar(stage, &self.lines);
        match total {
            // `wide_bar` takes the rest of the line, so that the line fits a narrow terminal.
            Some(total) if was_awaited || bar.length() != Some(total) => {
                bar.set_prefix(label(stage));
                bar.set_style(style("{prefix} [{wide_bar}] {pos}/{len} {msg}"));
                bar.set_length(total);
            }
            None if bar.position() == 0 => bar.set_style(style("{prefix} {spinner} {pos} {msg}")),
            _ => {}
        }

        let unit = match stage {
            Stage::Fetch | Stage::Push | Stage::Verify => "objects",
            Stage::Propose => "pull requests",
            Stage::Scan => "projects",
            Stage::Sign => "commits",
            Stage::Check | Stage::Commit | Stage::Write => "files",
        };
        let files = files
            .map(|files| format!(", {files} files"))
            .unwrap_or_default();
        let bytes = bytes
            .map(|bytes| format!(", {}", ByteSize(bytes).display().iec()))
            .unwrap_or_default();
        bar.set_message(format!("{unit}{files}{bytes}"));
        bar.set_position(done);
    }
}

impl RunningStage {
    /// The line of the stage, which is added to `lines` if there is none: one with a spinner.
    fn bar(&mut self, stage: Stage, lines: &MultiProgress) -> &ProgressBar {
        self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::no_length().with_style(style("{prefix} {spinner} {elapsed}"));
            let bar = lines.add(bar);
            bar.set_prefix(label(stage));
            if let Some(message) = &self.awaited {
                show_awaited(&bar, message);
            }
            bar
        })
    }
}

/// Replaces the counts of a push, which is sent, by what it waits for. A line of the server that is
/// too long is cut.
fn show_awaited(bar: &ProgressBar, message: &str) {
    const WAITING: &str = "waiting for the server";
    if bar.prefix() != WAITING {
        bar.set_prefix(WAITING);
        bar.reset_elapsed();
        bar.set_style(style("{prefix} {spinner} {elapsed} {wide_msg}"));
    }
    bar.set_message(message.to_owned());
}

impl Reporter for Progress {
    fn event(&self, event: &Event) {
        match event {
            Event::Started { stage } => self.bars.start(*stage),
            Event::Progress {
                stage,
                done,
                total,
                files,
                bytes,
            } => {
                self.bars.update(*stage, *done, *total, *files, *bytes);
            }
            Event::Finished { stage } => self.bars.finish(*stage),
            Event::AwaitingServer { message } => {
                self.bars
                    .await_server(message.as_deref().unwrap_or_default());
            }
            Event::Waiting
            | Event::Retrying { .. }
            | Event::PushingPart { .. }
            | Event::ServerWords { .. }
            | Event::Warning { .. } => {
                self.bars.lines.suspend(|| (self.print)(event));
            }
        }
    }
}

/// Parses a template of indicatif. The templates are constant, so the fallback is never used.
fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

fn label(stage: Stage) -> &'static str {
    match stage {
        Stage::Fetch => "fetching",
        Stage::Propose => "opening pull requests",
        Stage::Scan => "scanning",
        Stage::Check => "checking",
        Stage::Sign => "signing commits",
        Stage::Commit => "writing commits",
        Stage::Push => "pushing",
        Stage::Verify => "verifying",
        Stage::Write => "filling the cache",
    }
}
