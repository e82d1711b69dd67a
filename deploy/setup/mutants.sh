#!/usr/bin/env bash
# Changes one thing at a time in each of the folders given and runs that package's
# tests: a change that no test finds is a mutant that lives. It works on a copy, each
# folder within MUTANTS_LIMIT (30m), and leaves a list of those that live below
# build/mutants/.
#
# gremlins leaves out what coverage does not name, and Go's coverage never names the
# condition of a case. So it is told that every line of a file is covered of which any
# is; and its runs are -short and without C, so that no server is started.
# A run that takes five times as long as the one for coverage counts as endless: on a busy
# machine a run that finds nothing may well take three times as long.
set -euo pipefail
cd "$(dirname "$0")/../.."

gremlins=$PWD/.tools/bin/gremlins
out=$PWD/build/mutants
mkdir -p "$out/bin"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard -- '*.go' 'go.*' '*/testdata/*' 'docs/*' | xargs -0 cp --parents -t "$copy"

go=$(command -v go)
cat >"$out/bin/go" <<EOF
#!/usr/bin/env bash
set -euo pipefail
[ "\$1" = test ] || exec $go "\$@"
shift
ulimit -v 8388608 # KiB: a loop that a mutant made endless may fill the memory
$go test -short -vet=off "\$@"
while [ \$# -gt 0 ] && [ "\$1" != -coverprofile ]; do shift; done
[ \$# = 0 ] || sed -nEi '1p; s/^([^:]+):.* [1-9][0-9]*\$/\1:1.1,1000000.1 1 1/p' "\$2"
EOF
chmod +x "$out/bin/go"

cd "$copy"
for folder in "$@"; do
  report=$out/${folder//\//-}.txt
  echo "$folder:"
  CGO_ENABLED=0 PATH=$out/bin:$PATH timeout "${MUTANTS_LIMIT:-30m}" "$gremlins" unleash --timeout-coefficient 5 --output-statuses lct --exclude-files "test/" "./$folder" >"$report" 2>&1 ||
    echo "gremlins ended with status $? (124: the time was up)" >>"$report"
  grep -v '^Gathering\|^Starting\|^done in\|^Executing' "$report"
done
