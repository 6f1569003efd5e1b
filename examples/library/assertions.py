"""What must hold in the example cluster, in six lines. Run it from the root of the repository."""

from outgate import can_reach, connections, load

cluster = load("examples/recipes")
assert can_reach(cluster, "production/web-api", "production/postgres:5432"), "the shop needs its database"
assert not can_reach(cluster, "production/web-api", "169.254.169.254:80"), "credentials of the cloud are in reach"
assert not [one for one in connections(cluster) if str(one.source) == "production/batch" and one.all]
