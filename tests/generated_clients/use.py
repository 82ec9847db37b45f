"""use.py DIRECTORY: prints what is in the documents of a directory, as a program of a user does. `run.py` calls it."""
import pathlib
import sys

from codex_models import events
from codex_models.events import Event, Line, ResultEvent, WarningEvent
from codex_models.log import LogReport
from codex_models.sync import SyncDocument
from codex_models.trace import OriginKind, TraceReport


def sync(document: SyncDocument | events.SyncDocument) -> None:
    if document.error is not None:
        print(f"sync: {document.error.kind}: {document.error.message}")
    for project in document.projects:
        added = [change.path for change in project.changes if change.op.value == "added"]
        is_done = project.status.value in ("synced", "up-to-date")
        kind = project.error.kind if project.error else "none"
        print(f"sync: {project.name}: {is_done} {len(added)} {project.added} {kind}")


def event(line: Line) -> None:
    match line.root:
        case ResultEvent(document=document):
            sync(document)
        case Event(root=WarningEvent(project=project, message=message)):
            print(f"event: {project}: {message}")
        case _:
            pass


def log(report: LogReport) -> None:
    for one in report.syncs:
        print(f"log: {one.project} {one.commit.author.name}: {one.commit.subject}")


def trace(report: TraceReport) -> None:
    for file in report.files:
        project = file.published.project if file.published else "-"
        print(f"trace: {file.path} {file.origin is OriginKind.sync} {project}")
    for failure in report.failures:
        print(f"trace: {failure.argument}: {failure.error.kind}")


for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    text = path.read_text()
    match path.stem.partition("-")[2]:
        case "sync":
            sync(SyncDocument.model_validate_json(text))
        case "events":
            event(Line.model_validate_json(text))
        case "log":
            log(LogReport.model_validate_json(text))
        case "trace":
            trace(TraceReport.model_validate_json(text))
