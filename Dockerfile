# The image of the node agent, its DNS proxy, and the command line. Two stages: what builds stays behind, and the second
# holds an interpreter, two programs of the kernel's neighbourhood and Outgate; no compiler, no pip, no setuptools. Envoy is
# not in it: it runs from its own image, in a container beside the agent's (docs/decisions/0017).
#
#   docker build -t outgate/outgate:0.1.0 --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .

# Both stages must have the same Python, since the wheels of one run in the other. Bookworm has 3.11, and nft 1.0.6, the
# version that the test suite runs against. A mirror or a digest is given as --build-arg BASE=...
ARG BASE=debian:bookworm-slim

# ---------------------------------------------------------------------------------------------------------------------
FROM ${BASE} AS build

# python3-venv brings the pip that installs everything else.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /build

# The locks alone come first, so that a change of the sources does not install the dependencies anew.
COPY requirements/run.txt requirements/image.txt requirements/

# The build backend, pinned and hashed, in an environment that is left behind. Wheels only: nothing is compiled, and no
# package runs a script of its own.
RUN python3 -m venv tools \
    && tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/run.txt

# What Outgate needs to run, pinned and hashed, in an environment that has no pip of its own.
RUN python3 -m venv --without-pip /opt/outgate \
    && tools/bin/pip --python /opt/outgate/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        -r requirements/image.txt

# What the wheel is made of; hatchling reads the version, the readme and the licence.
COPY pyproject.toml README.md LICENSE ./
COPY src src

# Outgate itself, with what is locked above and without asking any index.
RUN tools/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir wheels . \
    && tools/bin/pip --python /opt/outgate/bin/python install --no-index --no-deps wheels/outgate-*.whl

# The CNI plugin as the file that it is. What pip puts on the path under its name calls the environment's Python, and on
# the node, where the container runtime calls the plugin, there is no such environment.
RUN install -D -m 0755 src/outgate/agent/plugin.py /opt/outgate/libexec/outgate-cni

# ---------------------------------------------------------------------------------------------------------------------
FROM ${BASE}

# nft loads rulesets (policy changes), ip is for whoever looks at a node. python3 without python3-venv has no pip, and
# no ensurepip that could bring one. No certificates of public authorities: a cluster brings its own. Versions are not
# pinned, because within a stable release of Debian what changes is what was mended.
RUN apt-get update \
    && apt-get install -y --no-install-recommends iproute2 nftables python3 \
    && rm -rf /var/lib/apt/lists/*

# The environment with Outgate, byte-compiled by pip: the root file system is read-only when the agent runs.
COPY --from=build /opt/outgate /opt/outgate

# `outgate` by name; no attempt to write .pyc files; log lines at once, not when a buffer is full.
ENV PATH=/opt/outgate/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# What registries and scanners show; the names are those of the OCI image specification.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="outgate" \
      org.opencontainers.image.description="Egress control for Kubernetes: the node agent and the command line" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# Root, because the kernel asks for CAP_NET_ADMIN and a capability that a container is given reaches a process of another
# user only as an ambient one, which Kubernetes cannot set. The manifests take every other capability away. By number,
# so that nobody has to read /etc/passwd to know.
USER 0:0

# The command line with whatever arguments: the manifests say `agent run`, a person says `lint -f -`.
ENTRYPOINT ["outgate"]
CMD ["--help"]
