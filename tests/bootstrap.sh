#!/bin/sh
# Prepares this machine. Does nothing that is done already.
#   venv        the virtual environment .cache/venv and the path .cache/collections
#   hosts       the packages that throwaway hosts need
#   client      psql
#   analyser    what ansible-test sanity checks shell scripts with
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache/logs
PATH=${PATH#"$PWD/.cache/venv/bin:"} # an environment cannot make itself

fail() {
    echo "failed" >&2
    echo "$1" >&2
    exit 1
}

step() { # title, log, command...
    title=$1
    log=.cache/logs/$2.log
    shift 2
    printf '%s ... ' "$title"
    start=$(date +%s)
    "$@" >"$log" 2>&1 </dev/null || fail "$(tail -n 20 "$log")
Whole log: $log"
    echo "$(($(date +%s) - start)) s"
}

install_packages() {
    if [ "$(id -u)" -eq 0 ]; then sudo=; else sudo=sudo; fi
    $sudo apt-get -q update || true # another repository's failure is not ours; a missing package fails below
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends "$@"
}

need_packages() {
    missing=
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "This is not Debian or Ubuntu: install by hand what these packages give:$missing"
    # shellcheck disable=SC2086 # a list of words
    step "apt-get install$missing" apt install_packages $missing
}

find_python() {
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return 0; fi
    done
    fail "Python 3.11 or later is needed (tried: ${PYTHON:-python3 python3.13 python3.12 python3.11}).
Install it, or name it: make PYTHON=/path/to/python3.12 ..."
}

venv() {
    find_python
    # Scripts in a virtual environment hold its path: a moved clone needs a new one, other requirements do not.
    base=$(pwd && "$python" -VV)
    wanted=$(echo "$base" | cat - requirements.txt requirements-test.txt)
    if [ "$(cat .cache/venv/base 2>/dev/null)" != "$base" ]; then
        if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            need_packages python3-venv
            "$python" -c 'import ensurepip, venv' || fail "$python cannot make virtual environments: it lacks venv or ensurepip."
        fi
        step "virtual environment" venv "$python" -m venv --clear .cache/venv
        echo "$base" >.cache/venv/base
    fi
    if [ "$(cat .cache/venv/wanted 2>/dev/null)" != "$wanted" ]; then
        step "Python packages (a minute or two)" pip .cache/venv/bin/python -m pip install \
            --disable-pip-version-check --no-input --quiet --requirement requirements-test.txt
        echo "$wanted" >.cache/venv/wanted
    fi
    # ansible, pytest and mypy find the collection by its name.
    mkdir -p .cache/collections/ansible_collections/dbops
    ln -sfn ../../../.. .cache/collections/ansible_collections/dbops/postgres
}

hosts() {
    need_packages podman runc netavark aardvark-dns iptables mmdebstrap debian-archive-keyring openssh-client
}

client() {
    command -v psql >/dev/null || need_packages postgresql-client
}

analyser() {
    need_packages shellcheck
}

case ${1:-} in
venv | hosts | client | analyser) "$1" ;;
*) fail "usage: $0 venv|hosts|client|analyser" ;;
esac
