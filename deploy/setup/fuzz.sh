#!/usr/bin/env bash
# Runs every fuzz target of the module, one after another, each for the time given, or
# for so many inputs: 20s, 1000x. A package is built once for all its targets.
set -euo pipefail
cd "$(dirname "$0")/../.."

time=${1:-20s}
binary=$PWD/build/fuzz.test
cache=$(go env GOCACHE)/fuzz # where `go test -fuzz` keeps the inputs that it finds
go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}} {{.ImportPath}}{{end}}' ./... | while read -r folder package; do
  targets=$({ grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$folder"/*_test.go || true; } | awk '{ print $2 }')
  [ -n "$targets" ] || continue
  go test -c -fuzz . -o "$binary" "$package"
  for target in $targets; do
    echo "$package: $target"
    (cd "$folder" && "$binary" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$time" -test.fuzzcachedir "$cache/$package")
  done
done
rm -f "$binary"
