#!/usr/bin/env bash
# Sets up everything that `make run` needs; does nothing where all is there.
# With the argument `tests` also the servers that some tests ask (they are skipped where there are none).
set -Eeuo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# --- the system's packages: the browser, its driver, the demo pictures, Python's venv module
missing=()
[[ -x ${TELLAPART_CHROMIUM:-/usr/bin/chromium} ]] || missing+=(chromium)
[[ -x ${TELLAPART_CHROMEDRIVER:-/usr/bin/chromedriver} ]] || missing+=(chromium-driver)
[[ -d ${TELLAPART_GALLERY:-/usr/share/tuxpaint/stamps} ]] || missing+=(tuxpaint-stamps-default)
if [[ ${1:-} == tests ]]; then
    command -v redis-server >/dev/null || missing+=(redis-server)
    compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' >/dev/null || command -v pg_ctl >/dev/null || missing+=(postgresql)
fi

python=
for candidate in python3.11 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        python=$(command -v "$candidate")
        break
    fi
done
if [[ -z $python ]]; then
    missing+=(python3.11 python3.11-venv)
elif ! "$python" -c 'import ensurepip' 2>/dev/null; then
    missing+=(python3.11-venv)
fi

if ((${#missing[@]})); then
    install="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        say "not found: ${missing[*]}; install them with this system's package manager"
    elif ((EUID == 0)); then
        say "installing ${missing[*]}"
        DEBIAN_FRONTEND=noninteractive bash -c "$install" >&2 || say "that failed; run by hand: $install"
    elif sudo -n true 2>/dev/null; then
        say "installing ${missing[*]} with sudo"
        sudo -n env DEBIAN_FRONTEND=noninteractive bash -c "$install" >&2 || say "that failed; run by hand: sudo sh -c '$install'"
    else
        say "not found: ${missing[*]}; run: sudo sh -c '$install'"
    fi
    python=${python:-$(command -v python3.11 || true)}
fi
[[ -n $python ]] || fail "Python 3.11 is needed and was not found; install python3.11 and python3.11-venv, then run this again"

# --- the Python environment, exactly as Pipfile.lock says
stamp=.venv/.set-up
want=$(cat Pipfile.lock pyproject.toml deploy/setup.sh | sha256sum)
[[ -f $stamp && $(<"$stamp") == "$want" ]] && exit 0

say "making the Python environment in .venv (some minutes the first time: PyTorch is large)"
if [[ ! -x .pipenv/bin/pipenv ]]; then
    "$python" -m venv .pipenv || fail "cannot make a virtual environment; install python3.11-venv, then run this again"
    .pipenv/bin/python -m pip install --quiet --disable-pip-version-check "pipenv==2026.10.3"
fi
export PIPENV_VENV_IN_PROJECT=1 PIPENV_IGNORE_VIRTUALENVS=1 PIPENV_NOSPIN=1 PIPENV_YES=1
.pipenv/bin/pipenv --python "$python" sync --dev >&2
PYTHONWARNINGS=ignore .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --no-deps --no-build-isolation --editable .
printf '%s' "$want" >"$stamp"
say "done"
