// use.ts DIRECTORY: prints what is in the documents of a directory, as a program of a user does. `run.py` calls it.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import type { Line } from "./types/events";
import type { LogReport } from "./types/log";
import type { SyncDocument } from "./types/sync";
import type { TraceReport } from "./types/trace";

function sync(document: SyncDocument): void {
  if (document.error !== null) {
    console.log(`sync: ${document.error.kind}: ${document.error.message}`);
  }
  for (const project of document.projects) {
    const added = project.changes.filter(({ op }) => op === "added");
    const isDone = project.status === "synced" || project.status === "up-to-date";
    const kind = project.error?.kind ?? "none";
    console.log(`sync: ${project.name}: ${text(isDone)} ${added.length} ${text(project.added)} ${kind}`);
  }
}

function event(line: Line): void {
  switch (line.event) {
    case "result":
      sync(line.document);
      break;
    case "warning":
      console.log(`event: ${text(line.project)}: ${line.message}`);
      break;
  }
}

function log(report: LogReport): void {
  for (const { project, commit } of report.syncs) {
    console.log(`log: ${project} ${commit.author.name}: ${commit.subject}`);
  }
}

function trace(report: TraceReport): void {
  for (const file of report.files) {
    console.log(`trace: ${file.path} ${text(file.origin === "sync")} ${file.published?.project ?? "-"}`);
  }
  for (const { argument, error } of report.failures) {
    console.log(`trace: ${argument}: ${error.kind}`);
  }
}

// The words of Python, so that the output of both programs is the same.
function text(value: boolean | number | string | null): string {
  return value === null ? "None" : value === true ? "True" : value === false ? "False" : String(value);
}

const directory = process.argv[2] ?? ".";
for (const name of readdirSync(directory).sort()) {
  const document: unknown = JSON.parse(readFileSync(join(directory, name), "utf8"));
  switch (name.slice(name.indexOf("-") + 1, -".json".length)) {
    case "sync":
      sync(document as SyncDocument);
      break;
    case "events":
      event(document as Line);
      break;
    case "log":
      log(document as LogReport);
      break;
    case "trace":
      trace(document as TraceReport);
      break;
  }
}
