//! How the run of `sync` and of `status` is told, while it goes on and at its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::html::Target;
use super::in_format;
use crate::cli::args::Format;
use crate::cli::failure::{self, Failure, exit};
use crate::cli::load::Context;
use crate::config::Configuration;
use crate::event::{Event, Reporter};
use crate::names::ProjectName;
use crate::outcome::{ProjectOutcome, SyncOutcome, Warning};
use crate::report::human::View;
use crate::report::json::SyncDocument;
use crate::report::ndjson::Lines;
use crate::report::progress::Progress;
use crate::report::{ErrorReport, github, human, json, page};

/// What is told, and how.
#[derive(Clone, Copy)]
pub(super) struct Telling {
    /// The command's name.
    pub(super) command: &'static str,
    pub(super) format: Format,
    /// Whether every change is shown.
    pub(super) changes: bool,
    /// Whether it is a failure that something would change.
    pub(super) check: bool,
}

impl Telling {
    /// Who listens to the run.
    pub(super) fn reporter(self, context: &Context) -> Arc<dyn Reporter> {
        let terminal = context.terminal.clone();
        let fold = Fold::new(self.folds(context));
        let speak = move |event: &Event| {
            if !fold.hides(event) {
                terminal.event(event);
            }
        };
        let progress = Progress::new(context.terminal.bars, speak);
        match self.format {
            Format::Ndjson => Arc::new(Lines::new(context.terminal.results.clone(), progress)),
            Format::Human | Format::Json => Arc::new(progress),
        }
    }

    /// The warnings of the configuration, which come before everything else.
    pub(super) fn warnings(
        self,
        configuration: &Configuration,
        reporter: &dyn Reporter,
    ) -> Vec<Warning> {
        let warnings: Vec<_> = configuration
            .warnings()
            .map(|message| Warning {
                project: None,
                message,
            })
            .collect();
        for warning in &warnings {
            reporter.event(&Event::Warning {
                project: None,
                message: warning.message.clone(),
            });
        }
        warnings
    }

    /// Whether long lists of warnings are cut: for people who did not ask for all.
    fn folds(self, context: &Context) -> bool {
        self.format.is_for_people() && !context.terminal.verbose
    }

    /// Tells how the run ended, on a page too where one is wanted, and gives the exit status.
    pub(super) fn tell(
        self,
        result: Result<SyncOutcome, Failure>,
        page: Option<&Target>,
        context: &Context,
    ) -> u8 {
        match result {
            Ok(outcome) => self.outcome(&outcome, page, context),
            Err(failure) => {
                let exit = failure.exit;
                self.error(None, &failure.report, context);
                if !self.format.is_for_people() {
                    self.document(json::failed(Some(failure.report), exit), context);
                }
                exit
            }
        }
    }

    fn outcome(self, outcome: &SyncOutcome, target: Option<&Target>, context: &Context) -> u8 {
        let mut status = failure::exit_status(outcome, &context.interrupt);
        let differs = outcome
            .projects
            .iter()
            .any(|project| matches!(project.outcome, ProjectOutcome::WouldSync))
            || outcome.remote.creates_branch;
        if self.check && status == exit::DONE && differs {
            status = exit::OUT_OF_DATE;
        }
        if self.folds(context) {
            Fold::rest(&outcome.warnings)
                .iter()
                .for_each(|event| context.terminal.event(event));
        }
        let mut ended = failure::of_outcome(outcome).map(|failure| failure.report);
        let terminal = &context.terminal;
        // A run that ended early knows nothing that a page should say; the last one stays.
        let page = target.filter(|_| ended.is_none()).map(|target| {
            let now = context.environment.time(context.now());
            let page = page::page(outcome, failure::of_project, now, terminal.verbose);
            (target.write(&page), page)
        });
        if let Some((Err(unwritten), _)) = &page {
            status = failure::first_exit([unwritten.exit, status].into_iter());
            ended = Some(unwritten.report.clone());
        }
        step_summary(outcome, context);
        if self.format.is_for_people() {
            self.text(outcome, target, page.as_ref(), context);
        }
        for project in outcome
            .projects
            .iter()
            .filter(|project| project.outcome.is_own_fault())
        {
            if let Some(error) = failure::of_project(project) {
                self.error(Some(project.name.as_str()), &error, context);
            }
        }
        if let Some(error) = &ended {
            self.error(None, error, context);
        }
        if !self.format.is_for_people() {
            self.document(
                json::document(outcome, ended, failure::of_project, status),
                context,
            );
        }
        status
    }

    /// The result for people; `page` is what became of it and its text.
    fn text(
        self,
        outcome: &SyncOutcome,
        target: Option<&Target>,
        page: Option<&(Result<(), Failure>, String)>,
        context: &Context,
    ) {
        let terminal = &context.terminal;
        let view = View {
            style: terminal.out,
            width: terminal.width,
            changes: self.changes,
            all: terminal.verbose,
        };
        match (target, page) {
            (Some(Target::Output), Some((_, page))) => terminal.result(page),
            // Whoever reads a page there is not to get a table for it.
            (Some(Target::Output), None) => {}
            (Some(Target::File { name, .. }), Some((Ok(()), _))) => {
                terminal.result(&format!(
                    "{}the page is in {name}\n",
                    human::sync(outcome, view)
                ));
            }
            _ => terminal.result(&human::sync(outcome, view)),
        }
    }

    /// Tells an error; one that stands in the document too is only annotated.
    fn error(self, about: Option<&str>, error: &ErrorReport, context: &Context) {
        if self.format.is_for_people() {
            context.terminal.error(about, error);
        } else {
            context.terminal.annotate(about, error);
        }
    }

    fn document(self, document: SyncDocument, context: &Context) {
        let document = SyncDocument {
            command: self.command,
            ..document
        };
        context.terminal.result(&in_format(document, self.format));
    }
}

/// Leaves out the warnings of a project beyond the first few, for people who did not ask for all.
struct Fold {
    folds: bool,
    seen: Mutex<BTreeMap<Option<String>, usize>>,
}

impl Fold {
    const LIMIT: usize = 20;

    fn new(folds: bool) -> Self {
        Self {
            folds,
            seen: Mutex::default(),
        }
    }

    fn hides(&self, event: &Event) -> bool {
        let Event::Warning { project, .. } = event else {
            return false;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seen.entry(project.clone()).or_default();
        *count += 1;
        self.folds && *count > Self::LIMIT
    }

    /// How many were left out, a warning a project.
    fn rest(warnings: &[Warning]) -> Vec<Event> {
        let mut counts: BTreeMap<Option<&ProjectName>, usize> = BTreeMap::new();
        for warning in warnings {
            *counts.entry(warning.project.as_ref()).or_default() += 1;
        }
        let beyond = counts
            .into_iter()
            .filter_map(|(project, count)| Some((project, count.checked_sub(Self::LIMIT)?)));
        let told = beyond
            .filter(|(_, rest)| *rest > 0)
            .map(|(project, rest)| Event::Warning {
                project: project.map(ToString::to_string),
                message: format!("and {rest} more warnings; -v shows all"),
            });
        told.collect()
    }
}

/// Appends the table to the summary of a step of GitHub Actions.
fn step_summary(outcome: &SyncOutcome, context: &Context) {
    let Some(path) = context.environment.get("GITHUB_STEP_SUMMARY") else {
        return;
    };
    let opened = File::options().append(true).create(true).open(path);
    if let Err(error) =
        opened.and_then(|mut file| file.write_all(github::summary(outcome).as_bytes()))
    {
        let message = format!("`GITHUB_STEP_SUMMARY` cannot be written: {error}");
        context.terminal.event(&Event::Warning {
            project: None,
            message,
        });
    }
}
