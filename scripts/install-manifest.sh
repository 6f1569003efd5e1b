#!/usr/bin/env bash
# Prints deploy/kustomize/install.yaml: the resources of the base, in their order, in one file for `kubectl apply -f`.
# It joins texts instead of calling kustomize, which would drop the comments that say what each right is for; the base
# changes nothing of its resources, so the objects are the same, and the tests hold them against `kubectl kustomize`.
set -euo pipefail

cd "$(dirname "$0")/../deploy/kustomize"
cat <<'END'
# Outgate's agent in audit: it denies nothing. Made by `make manifests` from deploy/kustomize/base; docs/agent-install.md
# says what it does and how it is switched to enforce.
END
sed -n '/^resources:/,$s/^  - //p' base/kustomization.yaml | while read -r resource; do
    printf -- '---\n'
    cat "base/$resource"
done
