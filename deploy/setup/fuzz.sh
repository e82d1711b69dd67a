#!/usr/bin/env bash
# Runs every fuzz target of the module, one after another, each for the time given.
set -euo pipefail

time=${1:-20s}
go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./... | while read -r folder; do
  { grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$folder"/*_test.go || true; } | awk '{print $2}' | while read -r target; do
    echo "$(basename "$folder"): $target"
    (cd "$folder" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" .)
  done
done
