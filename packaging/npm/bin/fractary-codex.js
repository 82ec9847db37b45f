#!/usr/bin/env node
require("../run.js")("fractary-codex");
