#!/usr/bin/env bash
# Runs a command of go without its notes of what it downloads.
set -euo pipefail

{ "$@" 2>&1 >&3 | { grep -v '^go: downloading ' || true; } >&2; } 3>&1
