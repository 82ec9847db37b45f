//! Progress on a terminal: a line a stage, drawn only when a stage takes longer than a blink, gone at the end.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{Event, Reporter, Stage};

/// Work shorter than this shows nothing.
const DELAY: Duration = Duration::from_millis(250);

/// Draws events on standard error.
pub struct Progress {
    bars: MultiProgress,
    stages: Mutex<HashMap<Stage, (Instant, Option<ProgressBar>)>>,
    spoken: Box<dyn Fn(&Event) + Send + Sync>,
}

impl Progress {
    /// Bars where `draw`; `speak` is given the events that stay on the screen as lines.
    pub fn new(draw: bool, speak: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let target = if draw { ProgressDrawTarget::stderr_with_hz(20) } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), stages: Mutex::default(), spoken: Box::new(speak) }
    }

    fn bar(&self, stage: Stage, done: u64, total: Option<u64>, files: Option<u64>, bytes: Option<u64>) {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((since, bar)) = stages.get_mut(&stage) else { return };
        if since.elapsed() < DELAY {
            return;
        }
        let bar = bar.get_or_insert_with(|| {
            // The bar takes what the line has left, so that it fits a narrow screen.
            let counted = "{prefix} [{wide_bar}] {pos}/{len} {msg}";
            let template = if total.is_some() { counted } else { "{prefix} {spinner} {pos} {msg}" };
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = self.bars.add(ProgressBar::no_length().with_style(style.progress_chars("=> ")));
            bar.set_prefix(label(stage));
            bar
        });
        if let Some(total) = total {
            bar.set_length(total);
        }
        let unit = match stage {
            Stage::Fetch | Stage::Push | Stage::Verify => "objects",
            Stage::Scan => "projects",
            Stage::Commit | Stage::Write => "files",
        };
        let files = files.map(|files| format!(", {files} files")).unwrap_or_default();
        let moved = bytes.map(|bytes| format!(", {}", ByteSize(bytes).display().iec())).unwrap_or_default();
        bar.set_message(format!("{unit}{files}{moved}"));
        bar.set_position(done);
    }
}

impl Reporter for Progress {
    fn event(&self, event: &Event) {
        match event {
            Event::Started { stage } => {
                let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
                stages.insert(*stage, (Instant::now(), None));
            }
            Event::Progress { stage, done, total, files, bytes } => self.bar(*stage, *done, *total, *files, *bytes),
            Event::Finished { stage } => {
                let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, Some(bar))) = stages.remove(stage) {
                    bar.finish_and_clear();
                }
            }
            Event::Waiting | Event::Retrying { .. } | Event::Warning { .. } => {
                self.bars.suspend(|| (self.spoken)(event));
            }
        }
    }
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
