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

/// The running stages: the start time and, once it is shown, the line of each.
struct Bars {
    lines: MultiProgress,
    stages: Mutex<HashMap<Stage, (Instant, Option<ProgressBar>)>>,
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
    fn stages(&self) -> MutexGuard<'_, HashMap<Stage, (Instant, Option<ProgressBar>)>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Redraws every stage that has run for longer than [`DELAY`], except the signing of commits:
    /// between two signatures a program may ask for a passphrase on the same terminal.
    fn tick(&self) {
        for (stage, (since, bar)) in self.stages().iter_mut() {
            if *stage != Stage::Sign && since.elapsed() >= DELAY {
                bar.get_or_insert_with(|| self.line(*stage)).tick();
            }
        }
    }

    /// Adds a line with a spinner.
    fn line(&self, stage: Stage) -> ProgressBar {
        let bar = self
            .lines
            .add(ProgressBar::no_length().with_style(style("{prefix} {spinner} {elapsed}")));
        bar.set_prefix(label(stage));
        bar
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
        let Some((since, bar)) = stages.get_mut(&stage) else {
            return;
        };
        if since.elapsed() < DELAY {
            return;
        }

        let bar = bar.get_or_insert_with(|| self.line(stage));
        match total {
            // `wide_bar` takes the rest of the line, so that the line fits a narrow terminal.
            Some(total) if bar.length() != Some(total) => {
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

impl Reporter for Progress {
    fn event(&self, event: &Event) {
        match event {
            Event::Started { stage } => {
                self.bars.stages().insert(*stage, (Instant::now(), None));
            }
            Event::Progress {
                stage,
                done,
                total,
                files,
                bytes,
            } => {
                self.bars.update(*stage, *done, *total, *files, *bytes);
            }
            Event::Finished { stage } => {
                if let Some((_, Some(bar))) = self.bars.stages().remove(stage) {
                    bar.finish_and_clear();
                }
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
