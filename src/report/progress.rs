//! Progress on a terminal: a line a stage, drawn only when a stage takes longer than a blink, gone at the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{Event, Reporter, Stage};

/// Work shorter than this shows nothing.
const DELAY: Duration = Duration::from_millis(250);

/// How often a stage that tells nothing is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Draws events on standard error.
pub struct Progress {
    bars: Arc<Bars>,
    spoken: Box<dyn Fn(&Event) + Send + Sync>,
}

/// The stages under way and the line of each.
struct Bars {
    lines: MultiProgress,
    stages: Mutex<HashMap<Stage, (Instant, Option<ProgressBar>)>>,
}

impl Progress {
    /// Bars where `draw`; `speak` is given the events that stay on the screen as lines.
    pub fn new(draw: bool, speak: impl Fn(&Event) + Send + Sync + 'static) -> Self {
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
            let bars = Arc::downgrade(&bars);
            // Whoever waits for a server that says nothing sees that it is waited for. Without a thread they see nothing.
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
        Self {
            bars,
            spoken: Box::new(speak),
        }
    }
}

impl Bars {
    fn stages(&self) -> MutexGuard<'_, HashMap<Stage, (Instant, Option<ProgressBar>)>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the stages that have nothing to count yet.
    fn tick(&self) {
        for (stage, (since, bar)) in self.stages().iter_mut() {
            if since.elapsed() >= DELAY {
                bar.get_or_insert_with(|| self.line(*stage)).tick();
            }
        }
    }

    /// A new line, for who waits.
    fn line(&self, stage: Stage) -> ProgressBar {
        let bar = self
            .lines
            .add(ProgressBar::no_length().with_style(style("{prefix} {spinner} {elapsed}")));
        bar.set_prefix(label(stage));
        bar
    }

    fn count(
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
            // The bar takes what the line has left, so that it fits a narrow screen.
            Some(total) if bar.length() != Some(total) => {
                bar.set_style(style("{prefix} [{wide_bar}] {pos}/{len} {msg}"));
                bar.set_length(total);
            }
            None if bar.position() == 0 => bar.set_style(style("{prefix} {spinner} {pos} {msg}")),
            _ => {}
        }
        let unit = match stage {
            Stage::Fetch | Stage::Push | Stage::Verify => "objects",
            Stage::Scan => "projects",
            Stage::Commit | Stage::Write => "files",
        };
        let files = files
            .map(|files| format!(", {files} files"))
            .unwrap_or_default();
        let moved = bytes
            .map(|bytes| format!(", {}", ByteSize(bytes).display().iec()))
            .unwrap_or_default();
        bar.set_message(format!("{unit}{files}{moved}"));
        bar.set_position(done);
    }
}

impl Reporter for Progress {
    fn event(&self, event: &Event) {
        match event {
            Event::Started { stage } => {
                drop(self.bars.stages().insert(*stage, (Instant::now(), None)))
            }
            Event::Progress {
                stage,
                done,
                total,
                files,
                bytes,
            } => {
                self.bars.count(*stage, *done, *total, *files, *bytes);
            }
            Event::Finished { stage } => {
                if let Some((_, Some(bar))) = self.bars.stages().remove(stage) {
                    bar.finish_and_clear();
                }
            }
            Event::Waiting
            | Event::Retrying { .. }
            | Event::ServerWords { .. }
            | Event::Warning { .. } => {
                self.bars.lines.suspend(|| (self.spoken)(event));
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

fn label(stage: Stage) -> &'static str {
    match stage {
        Stage::Fetch => "fetching",
        Stage::Scan => "scanning",
        Stage::Commit => "writing commits",
        Stage::Push => "pushing",
        Stage::Verify => "verifying",
        Stage::Write => "filling the cache",
    }
}
