// Runs a program of the package for this system, which npm installed as an optional dependency.
"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const path = require("node:path");
const { name, optionalDependencies, version } = require("./package.json");

function directory() {
  const system = `${name}-${process.platform}-${process.arch}`;
  if (!(system in optionalDependencies)) {
    const systems = Object.keys(optionalDependencies).map((other) => other.slice(name.length + 1));
    throw new Error(
      `${name} has no program for ${process.platform}-${process.arch}, only for ${systems.join(", ")}\n` +
        "hint: build it from source, as the README of https://github.com/fractary/fractary-codex describes",
    );
  }
  let manifest;
  try {
    manifest = require.resolve(`${system}/package.json`);
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    throw new Error(
      `the package ${system}, which contains the program, is not installed\n` +
        "hint: install again without `--omit=optional` (`--no-optional`), and on the system that runs the program",
    );
  }
  const installed = require(manifest).version;
  if (installed !== version) {
    throw new Error(
      `${system} has version ${installed}, but ${name} has version ${version}\n` +
        `hint: install again: \`npm install ${name}@${version}\``,
    );
  }
  return path.dirname(manifest);
}

function fail(error) {
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 70;
}

module.exports = function run(program) {
  let child;
  try {
    child = spawn(path.join(directory(), program), process.argv.slice(2), { stdio: "inherit" });
  } catch (error) {
    return fail(error);
  }
  child.on("error", fail);

  // A terminal sends these signals to the program, too. Node has to outlive it, to return its exit status.
  for (const signal of ["SIGINT", "SIGQUIT", "SIGHUP"]) {
    process.on(signal, () => {});
  }
  process.on("SIGTERM", () => child.kill("SIGTERM"));

  child.on("exit", (code, signal) => {
    process.exitCode = signal === null ? code : 128 + constants.signals[signal];
  });
};
