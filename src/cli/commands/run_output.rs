//! The output of `sync` and `status`: events while the run goes on, and its result in every format.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::artifact::{Artifact, WrittenArtifact, WrittenText};
use super::document_text;
use crate::cli::args::Format;
use crate::cli::command_error::CommandError;
use crate::cli::context::Context;
use crate::cli::{error_report, exit};
use crate::config::Configuration;
use crate::event::{Event, Reporter};
use crate::names::ProjectName;
use crate::outcome::{ProjectOutcome, SyncOutcome, Warning, WarningSubject};
use crate::report::human::View;
use crate::report::json::SyncDocument;
use crate::report::ndjson::Lines;
use crate::report::progress::Progress;
use crate::report::{ErrorReport, human, json, step_summary};

/// The number of findings of a project that are shown without `-v`.
const MAX_FINDINGS: usize = 20;

/// Writes the output of one run.
#[derive(Clone, Copy)]
pub(super) struct RunOutput {
    /// The name of the command.
    pub(super) command: &'static str,
    pub(super) format: Format,
    /// Whether the changes of each project are listed.
    pub(super) changes: bool,
    /// Whether the exit status shows that a project is out of date.
    pub(super) check: bool,
}

impl RunOutput {
    /// The output of a command that reads the codex and changes nothing.
    pub(super) fn of_query(command: &'static str, json: bool) -> Self {
        Self {
            command,
            format: if json { Format::Json } else { Format::Human },
            changes: false,
            check: false,
        }
    }

    /// Returns the reporter to pass to the run.
    pub(super) fn reporter(self, context: &Context) -> Arc<dyn Reporter> {
        let terminal = context.terminal.clone();
        let limit = WarningLimit::new(self.limits_warnings(context));
        let print = move |event: &Event| {
            if !limit.hides(event) {
                terminal.event(event);
            }
        };
        let progress = Progress::new(context.terminal.bars, print);

        match self.format {
            Format::Ndjson => Arc::new(Lines::new(context.terminal.results.clone(), progress)),
            Format::Human | Format::Json => Arc::new(progress),
        }
    }

    /// Reports the warnings of the configuration and of the selection, and returns them so that the
    /// result can include them.
    pub(super) fn warnings(
        self,
        configuration: &Configuration,
        selection: Vec<Warning>,
        reporter: &dyn Reporter,
    ) -> Vec<Warning> {
        let configuration = configuration.warnings().map(|message| Warning {
            project: None,
            subject: WarningSubject::Other,
            message,
        });
        let warnings: Vec<_> = configuration.chain(selection).collect();

        for warning in &warnings {
            reporter.event(&Event::Warning {
                project: None,
                message: warning.message.clone(),
            });
        }
        warnings
    }

    /// Whether long lists of warnings are shortened.
    fn limits_warnings(self, context: &Context) -> bool {
        self.format.is_for_people() && !context.terminal.verbose
    }

    /// Writes the result of the run, and its documents besides the result, and returns the exit
    /// status.
    pub(super) fn finish(
        self,
        result: Result<SyncOutcome, CommandError>,
        artifacts: &[Artifact],
        context: &Context,
    ) -> u8 {
        match result {
            Ok(outcome) => self.outcome(&outcome, artifacts, context),
            Err(error) => {
                let exit = error.exit;
                self.error(None, &error.report, context);
                let errors = artifacts
                    .iter()
                    .filter_map(|artifact| artifact.write_failure(&error.report, context));
                for error in errors {
                    self.error(None, &error.report, context);
                }
                let step = context.workflow_step();
                step.write_summary(|command, _| step_summary::of_failure(command, &error.report));
                step.write_outputs(None, exit);
                if !self.format.is_for_people() {
                    self.document(json::failed(Some(error.report), exit), context);
                }
                exit
            }
        }
    }

    fn outcome(self, outcome: &SyncOutcome, artifacts: &[Artifact], context: &Context) -> u8 {
        let mut status = exit::of_run(outcome, &context.interrupt);
        let is_out_of_date = outcome
            .projects
            .iter()
            .any(|project| matches!(project.outcome, ProjectOutcome::WouldSync))
            || outcome.remote.creates_branch
            || outcome
                .remote
                .sync_branches
                .iter()
                .any(|branch| branch.merges_base && !branch.is_pushed);
        if self.check && status == exit::DONE && is_out_of_date {
            status = exit::OUT_OF_DATE;
        }

        self.report_omitted_warnings(outcome, context);
        let mut error = error_report::of_run(outcome);
        let written = artifacts
            .iter()
            .filter_map(|artifact| artifact.write(outcome, context));
        let written: Vec<_> = written.collect();
        for write_error in written.iter().filter_map(|written| written.error.as_ref()) {
            status = exit::first([write_error.exit, status]);
            error = Some(write_error.report.clone());
        }

        let errors = |project: &_| context.error_of_project(project);
        write_summary(outcome, error.as_ref(), context);
        context.workflow_step().write_outputs(Some(outcome), status);
        if self.format.is_for_people() {
            self.text(outcome, artifacts, &written, context);
        }
        self.findings(outcome, context);
        self.errors(outcome, error.as_ref(), context);
        if !self.format.is_for_people() {
            self.document(json::document(outcome, error, errors, status), context);
        }
        status
    }

    /// Writes the findings of the checks. Without `-v`, the lines of each project are limited. If the
    /// format has a document that includes the findings, they only become annotations.
    fn findings(self, outcome: &SyncOutcome, context: &Context) {
        let terminal = &context.terminal;
        let limit = if terminal.verbose {
            usize::MAX
        } else {
            MAX_FINDINGS
        };
        for project in &outcome.projects {
            let name = project.name.as_str();
            for (number, finding) in project.findings.iter().enumerate() {
                if self.format.is_for_people() && number < limit {
                    terminal.finding(name, finding);
                }
                terminal.annotate_finding(name, finding, &outcome.root);
            }
            let omitted = project.findings.len().saturating_sub(limit);
            if self.format.is_for_people() && omitted > 0 {
                terminal.event(&Event::Warning {
                    project: Some(name.to_owned()),
                    message: format!("and {omitted} more findings; -v shows all"),
                });
            }
        }
    }

    /// Writes the errors of the projects, then the error of the run.
    fn errors(self, outcome: &SyncOutcome, error: Option<&ErrorReport>, context: &Context) {
        for project in &outcome.projects {
            if project.outcome.is_own_fault()
                && let Some(error) = context.error_of_project(project)
            {
                self.error(Some(project.name.as_str()), &error, context);
            }
        }
        if let Some(error) = error {
            self.error(None, error, context);
        }
    }

    /// Writes the result for people. `written` are the documents of the run.
    fn text(
        self,
        outcome: &SyncOutcome,
        artifacts: &[Artifact],
        written: &[WrittenArtifact],
        context: &Context,
    ) {
        let terminal = &context.terminal;
        let view = View {
            style: terminal.out,
            width: terminal.width,
            changes: self.changes,
            all: terminal.verbose,
        };

        let document = written.iter().find_map(|written| match &written.text {
            WrittenText::Instead(document) => Some(document),
            WrittenText::After(_) => None,
        });
        if let Some(document) = document {
            terminal.result(document);
            return;
        }
        // The reader expects the document, so there is no table instead of it.
        if artifacts.iter().any(Artifact::is_on_stdout) {
            return;
        }
        let mut text = human::sync(outcome, view);
        for written in written {
            if let WrittenText::After(line) = &written.text {
                text.push_str(line);
            }
        }
        terminal.result(&text);
    }

    /// Shows the outcome of an earlier run. The step of a pipeline gets no outputs, because nothing
    /// was run.
    pub(super) fn show(self, outcome: &SyncOutcome, context: &Context) {
        let reporter = self.reporter(context);
        for warning in &outcome.warnings {
            reporter.event(&Event::Warning {
                project: warning.project.as_ref().map(ToString::to_string),
                message: warning.message.clone(),
            });
        }
        self.report_omitted_warnings(outcome, context);
        if self.format.is_for_people() {
            self.text(outcome, &[], &[], context);
        }
        self.findings(outcome, context);
        self.errors(outcome, None, context);
        if !self.format.is_for_people() {
            let document = json::document(
                outcome,
                None,
                |project| context.error_of_project(project),
                exit::DONE,
            );
            self.document(document, context);
        }
    }

    /// Reports the numbers of the warnings that were not shown.
    fn report_omitted_warnings(self, outcome: &SyncOutcome, context: &Context) {
        if self.limits_warnings(context) {
            for event in WarningLimit::omitted(&outcome.warnings) {
                context.terminal.event(&event);
            }
        }
    }

    /// Writes an error. If the format has a document that includes the error, it only becomes an
    /// annotation.
    fn error(self, subject: Option<&str>, error: &ErrorReport, context: &Context) {
        if self.format.is_for_people() {
            context.terminal.error(subject, error);
        } else {
            context.terminal.annotate(subject, error);
        }
    }

    fn document(self, document: SyncDocument, context: &Context) {
        let document = SyncDocument {
            command: self.command,
            ..document
        };
        let text = document_text(document, self.format);
        context.terminal.result(&text);
    }
}

/// Adds the section of a run, or of the plan of one, to the summary of the step of a pipeline.
pub(super) fn write_summary(outcome: &SyncOutcome, error: Option<&ErrorReport>, context: &Context) {
    let errors = |project: &_| context.error_of_project(project);
    let step = context.workflow_step();
    step.write_summary(|command, room| step_summary::of_run(command, outcome, error, errors, room));
}

/// Hides the warnings of a project beyond the first [`WarningLimit::LIMIT`].
struct WarningLimit {
    is_active: bool,
    /// The number of warnings so far, by project.
    counts: Mutex<BTreeMap<Option<String>, usize>>,
}

impl WarningLimit {
    const LIMIT: usize = 20;

    fn new(is_active: bool) -> Self {
        Self {
            is_active,
            counts: Mutex::default(),
        }
    }

    /// Counts the event if it is a warning, and returns whether it is to be hidden.
    fn hides(&self, event: &Event) -> bool {
        let Event::Warning { project, .. } = event else {
            return false;
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(project.clone()).or_default();
        *count += 1;
        self.is_active && *count > Self::LIMIT
    }

    /// Returns one warning per project with the number of its hidden warnings.
    fn omitted(warnings: &[Warning]) -> Vec<Event> {
        let mut counts: BTreeMap<Option<&ProjectName>, usize> = BTreeMap::new();
        for warning in warnings {
            *counts.entry(warning.project.as_ref()).or_default() += 1;
        }

        counts
            .into_iter()
            .map(|(project, count)| (project, count.saturating_sub(Self::LIMIT)))
            .filter(|(_, omitted)| *omitted > 0)
            .map(|(project, omitted)| Event::Warning {
                project: project.map(ToString::to_string),
                message: format!("and {omitted} more warnings; -v shows all"),
            })
            .collect()
    }
}
