#!/bin/sh
# Publishes two projects from a pipeline without any configuration file: variables define everything.
# CODEX_URL and CODEX_TOKEN come from the pipeline's secrets.
set -eu
cd "$(dirname "$0")"
export FRACTARY_CODEX_ORGANIZATION=acme
export FRACTARY_CODEX_REMOTE__URL="${CODEX_URL:?the URL of the codex}"
export FRACTARY_CODEX_REMOTE__TOKEN="${CODEX_TOKEN-}"
export FRACTARY_CODEX_PROJECTS='{ api = { root = "api" }, web = { root = "web", to = "handbook/web" } }'
export FRACTARY_CODEX_SYNC__TO_CODEX__INCLUDE='["docs/**", "README.md"]'
exec fractary-codex sync -p api -p web "$@"
