#!/usr/bin/env bash
# Tries each line of probes.txt with a real connection between the pods it names.
#
#   deploy/e2e/probe.sh table   what is denied must not connect, what is allowed must
#   deploy/e2e/probe.sh open    everything must connect: the control, without which a broken network would pass as denial
set -euo pipefail

cd "$(dirname "$0")"
mode="${1:-}"
case "$mode" in
    table | open) ;;
    *) echo "usage: deploy/e2e/probe.sh table|open" >&2; exit 2 ;;
esac

# The pod itself says what happened. That kubectl could not ask is neither, and must not look like a denial.
PROGRAM='
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
except OSError:
    print("deny")
else:
    print("allow")
'

address() { kubectl -n "${1%%/*}" get pod "${1##*/}" -o jsonpath='{.status.podIP}'; }

observe() {
    # Standard input belongs to the loop below.
    kubectl -n "${1%%/*}" exec "${1##*/}" -- /usr/bin/python3 -c "$PROGRAM" "$(address "$2")" "$3" </dev/null
}

probes=0 wrong=0
while read -r from to port expected; do
    [ "$mode" = table ] || expected=allow
    observed="$(observe "$from" "$to" "$port")" || observed="no answer"
    probes=$((probes + 1))
    if [ "$observed" != "$expected" ]; then
        wrong=$((wrong + 1))
        echo "WRONG  $from -> $to:$port  expected $expected, observed $observed"
    fi
done < <(grep -v '^#' probes.txt)
echo "$probes probes, $wrong wrong"
[ "$probes" -gt 0 ] && [ "$wrong" -eq 0 ]
