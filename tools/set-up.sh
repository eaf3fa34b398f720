#!/bin/sh
# Makes what a checkout needs, a part at a time. The Makefile calls it and keeps stamps; every part may be called again.
#   python        a virtual environment in .venv with the server's dependencies and the server itself
#   development   what tests, checks and the lock files need, into the same environment
#   node          the npm packages; Node.js itself from PyPI where the machine has none
#   browsers      Chromium, Firefox ESR, espeak-ng and sox for the browser tests
# Python packages are checked against the hashes of the lock files, npm packages against package-lock.json.
set -eu
cd "$(dirname "$0")/.."

say() {
    printf '== %s\n' "$*"
}

fail() {
    printf '\n*** %s\n\n' "$*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Runs apt-get as root where that needs no password. Fails, quietly, where it may not be used.
apt() {
    have apt-get || return 1
    if [ "$(id -u)" -eq 0 ]; then
        DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" </dev/null
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" </dev/null
    else
        return 1
    fi
}

install_packages() {
    apt --version >/dev/null || return 1
    say "installing $* with apt-get"
    apt update && apt install --yes --no-install-recommends "$@"
}

suitable_python() {
    for name in "${PYTHON:-python3}" python3 python3.13 python3.12 python3.11; do
        if have "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
    fail "Python 3.11 or newer was not found. Name one with PYTHON=…"
}

pip_install() {
    .venv/bin/python -m pip --disable-pip-version-check --no-input -qq install "$@"
}

set_up_python() {
    # An environment of another machine or place may lie here; one that cannot run is made anew.
    if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
        base=$(suitable_python)
        say "making .venv with $base"
        if ! "$base" -c 'import ensurepip' 2>/dev/null; then
            install_packages python3-venv || fail "$base cannot make virtual environments. On Debian or Ubuntu: apt install python3-venv"
        fi
        "$base" -m venv --clear .venv
    fi
    say "installing the server's dependencies"
    pip_install --require-hashes --requirement requirements.txt
    pip_install --require-hashes --requirement requirements-build.txt
    pip_install --no-deps --no-build-isolation --editable .
}

set_up_development() {
    say "installing what tests and checks need"
    pip_install --require-hashes --requirement requirements-dev.txt
}

node_is_new_enough() {
    have node && have npm && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'
}

set_up_node() {
    PATH="$PWD/.venv/bin:$PATH"
    export PATH
    if ! node_is_new_enough; then
        say "installing Node.js from PyPI, as there is none of version 20 or newer"
        pip_install --require-hashes --requirement requirements-node.txt
    fi
    say "installing npm packages"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
}

missing_for_browsers() {
    have chromium || printf ' chromium'
    have firefox-esr || printf ' firefox-esr'
    have espeak-ng || printf ' espeak-ng'
    have sox || printf ' sox'
}

set_up_browsers() {
    missing=$(missing_for_browsers)
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # a list of names
    install_packages $missing || true
    missing=$(missing_for_browsers)
    [ -n "$missing" ] || return 0
    if [ "${CI:-}" = true ]; then
        fail "The browser tests need$missing, and apt-get could not install that."
    fi
    printf '\n*** The browser tests will be SKIPPED: they need%s. On Debian: apt install%s\n\n' "$missing" "$missing" >&2
}

case "${1:-}" in
    python) set_up_python ;;
    development) set_up_development ;;
    node) set_up_node ;;
    browsers) set_up_browsers ;;
    *) fail "usage: tools/set-up.sh python|development|node|browsers" ;;
esac
