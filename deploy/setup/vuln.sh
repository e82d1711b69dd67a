#!/usr/bin/env bash
# Runs govulncheck by the newest vulnerability database, which is published as a Go
# module and comes as every module does; or by the one that VULNDB names (a URL,
# file:// too). Where the data cannot be had, it says so and fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

module=golang.org/x/vulndb
if [ -z "${VULNDB:-}" ]; then
  out=$PWD/build/vulndb
  if ! data=$(cd / && go mod download -json "$module@latest" 2>/dev/null); then
    echo "the vulnerability data could not be had: $module is not reachable as a Go module; run \`make vuln\` where it is, or \`make vuln VULNDB=URL\` with a database of your own" >&2
    exit 1
  fi
  folder=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<<"$data")
  version=$(sed -n 's/.*"Version": "\(.*\)".*/\1/p' <<<"$data")
  echo "database $version"
  mkdir -p "$out"
  deploy/setup/quiet.sh go run "$module/cmd/indexdb@$version" -vulns "$folder/data/osv" -out "$out"
  VULNDB=file://$out
fi
# Of the ways from here to a vulnerability the first is enough.
.tools/bin/govulncheck -db "$VULNDB" ./... | sed -E '/^ +#([2-9]|[1-9][0-9]+): /d'
