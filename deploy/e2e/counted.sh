#!/usr/bin/env bash
# Fails unless the agents together have counted at least one of a metric.
#
#   deploy/e2e/counted.sh outgate_would_deny_packets_total
set -euo pipefail

metric="${1:?usage: deploy/e2e/counted.sh METRIC}"
namespace=outgate-system
PROGRAM='
import sys, urllib.request
text = urllib.request.urlopen("http://127.0.0.1:9765/metrics", timeout=5).read().decode()
print(sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == sys.argv[1]))
'

total=0
for pod in $(kubectl -n "$namespace" get pods -l app.kubernetes.io/component=agent -o name); do
    counted="$(kubectl -n "$namespace" exec "$pod" -c agent -- /usr/bin/python3 -c "$PROGRAM" "$metric" </dev/null)"
    echo "$pod: $metric $counted"
    total="$(awk -v a="$total" -v b="$counted" 'BEGIN { print a + b }')"
done
awk -v total="$total" 'BEGIN { exit !(total > 0) }'
