#!/usr/bin/env bash
# Gives each node of the kind cluster the plainest network there is: a veth for each pod, an address out of the node's
# range, a route to every other node. It is made of what the node image has (ptp, host-local, portmap); nothing is
# fetched, and nothing in it looks at a NetworkPolicy.
set -euo pipefail

CLUSTER_RANGE=10.244.0.0/16

# Prints NODE RANGE ADDRESS for each node.
nodes() {
    kubectl get nodes -o jsonpath='{range .items[*]}{.metadata.name} {.spec.podCIDR} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}'
}

conflist() {
    cat <<END
{
  "cniVersion": "0.4.0",
  "name": "e2e",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {"type": "host-local", "ranges": [[{"subnet": "$1"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
END
}

table="$(nodes)"
[ "$(wc -l <<<"$table")" -ge 2 ] || { echo "one node has nobody to talk to: $table" >&2; exit 1; }

while read -r node range _; do
    while read -r other other_range address; do
        [ "$node" = "$other" ] || docker exec "$node" ip route replace "$other_range" via "$address"
    done <<<"$table"
    # Out of the cluster with the node's address, and inside it with the pod's own, or no policy could tell who it was.
    docker exec "$node" iptables -t nat -A POSTROUTING -s "$range" ! -d "$CLUSTER_RANGE" -j MASQUERADE
    # The file comes last: it is what makes a node ready.
    conflist "$range" | docker exec -i "$node" tee /etc/cni/net.d/10-e2e.conflist >/dev/null
done <<<"$table"
