#!/usr/bin/env bash
# Runs the tests with versions of Python and Django that are newer than the pinned ones: `make newer`.
# It takes the Python of NEWER_PYTHON if this machine has it. Otherwise root gets one here: that of a Debian
# in .newer/debian (1 GB), made by debootstrap. DEBIAN_MIRROR replaces debootstrap's own.
set -euo pipefail
cd "$(dirname "$0")/.."
unset DATABASE_URL REDIS_URL
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

PYTHON=${NEWER_PYTHON:-python3.13}
CACHE=$PWD/.newer
DEBIAN=$CACHE/debian
RELEASE=trixie # its Python is 3.13
VENVS=${NEWER_VENVS:-$CACHE}

works() { "$PYTHON" -c 'import ensurepip, sqlite3, ssl' 2>/dev/null; }

# Runs a command with mounts of its own, which end with it.
apart() { unshare --mount --propagation private "$@"; }

make_debian() {
    if [ -e "$DEBIAN/ready" ]; then return; fi
    if ! command -v debootstrap >/dev/null; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
    fi
    rm -rf "$DEBIAN"
    mkdir -p "$CACHE"
    echo "Installing a Debian into $DEBIAN"
    apart debootstrap --variant=minbase --include=ca-certificates,git,make,postgresql,python3-venv,redis-server \
        "$RELEASE" "$DEBIAN" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$CACHE/debian.log" ||
        { tail "$CACHE/debian.log" >&2; exit 1; }
    touch "$DEBIAN/ready"
}

# Runs this script once more, in that Debian, where the project has the same path.
enter_debian() {
    if [ "$(id -u)" != 0 ]; then
        echo "Needs $PYTHON with venv, or root, who can install it." >&2
        exit 1
    fi
    make_debian
    cp -L /etc/resolv.conf /etc/hosts "$DEBIAN/etc/"
    cp -L /etc/ssl/certs/ca-certificates.crt "$DEBIAN/etc/ssl/certs/"
    mkdir -p "$DEBIAN$PWD"
    # shellcheck disable=SC2016
    apart bash -euc '
        mount --rbind /proc "$1/proc"
        mount --rbind /dev "$1/dev"
        mount --bind "$2" "$1$2"
        export HOME=/root PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin NEWER_VENVS=/venvs
        exec chroot "$1" bash "$2/tests/newer.sh"
    ' apart "$DEBIAN" "$PWD"
}

test_with() { # a version of Django
    local venv="$VENVS/${PYTHON##*/}-django$1"
    if [ ! "$venv/ready" -nt requirements-dev.txt ]; then
        "$PYTHON" -m venv --clear "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r requirements-dev.txt
        "$venv/bin/pip" install --quiet --disable-pip-version-check "django==$1.*"
        touch "$venv/ready"
    fi
    "$venv/bin/python" -c 'import sys, django; print("Python", sys.version.split()[0], "Django", django.__version__)'
    "$venv/bin/python" -m pytest -n "${JOBS:-2}" -p no:cacheprovider
}

if ! works; then
    if [ "$PYTHON" != python3.13 ]; then
        echo "$PYTHON does not work here." >&2
        exit 1
    fi
    enter_debian
    exit
fi
for version in ${NEWER_DJANGO:-6.0 6.1}; do
    test_with "$version"
done
