#!/usr/bin/env bash
# Builds the service's container image with a tiny classifier in it, runs it as it should be run (not root, read-only,
# no capabilities, no network but loopback) and asks it. Needs root on Debian, but no Docker engine and no image registry.
#
#   IMAGE_TEST_BASE=FILE.tar   keeps the stand-in for the base image there, and uses it where it is
#   IMAGE_TEST_WHEELS=FOLDER   wheels to prefer to those of the package index
#   IMAGE_TEST_TMP=FOLDER      where to work; about 20 GB are needed while it runs (/var/tmp)
set -Eeuo pipefail
shopt -s nullglob
cd "$(dirname "$0")/.."

readonly BASE=docker.io/library/python:3.11-slim IMAGE=localhost/tellapart-image-test
readonly PODMAN=(podman --cgroup-manager=cgroupfs)
readonly PYTHON=$PWD/.venv/bin/python
readonly NEEDED=(buildah podman crun debootstrap unshare)

say() { printf 'image-test: [%4d s] %s\n' "$SECONDS" "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
quietly() { "$@" >"$work/step.log" 2>&1 || { tail -n 40 "$work/step.log" >&2; fail "this failed: $1 ${2:-}"; }; }

check_machine() {
    ((EUID == 0)) || fail "this needs root, to make a base image and namespaces; run: sudo make image-test"
    [[ -x $PYTHON ]] || fail "there is no .venv; run: make setup"
    local missing=()
    for tool in "${NEEDED[@]}"; do command -v "$tool" >/dev/null || missing+=("${tool/unshare/util-linux}"); done
    ((${#missing[@]} == 0)) || fail "not found: ${missing[*]}; run: apt-get install -y --no-install-recommends ${missing[*]}"
    local parent=${IMAGE_TEST_TMP:-/var/tmp}
    (($(df --output=avail -B1G "$parent" | tail -n 1) >= 20)) || fail "$parent has less than 20 GB free; set IMAGE_TEST_TMP"
    work=$(mktemp -d "$parent/tellapart-image.XXXXXX")
    trap clean_up EXIT
    trap 'exit 130' INT TERM HUP
    export CONTAINERS_STORAGE_CONF=$work/storage.conf BENTOML_HOME=$work/bentoml TELLAPART_HOME=$work/home
    export BENTOML_DO_NOT_TRACK=True
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/graph"\nrunroot = "%s/run"\n' "$work" "$work" >"$work/storage.conf"
}

# Containers, images and every file, also after an error or Ctrl-C.
clean_up() {
    set +e
    "${PODMAN[@]}" rm --all --force --time 5
    buildah rm --all
    umount --lazy "$work/graph/overlay"
    rm -rf "$work"
} >/dev/null 2>&1

make_bento() {
    "$PYTHON" - "$work/pictures" <<'PYTHON'
import random, sys
from pathlib import Path
from PIL import Image
rng = random.Random(0)
for name, (r, g, b) in {"red": (200, 40, 40), "blue": (40, 40, 200)}.items():
    folder = Path(sys.argv[1]) / name
    folder.mkdir(parents=True)
    for i in range(12):
        picture = Image.new("RGB", (96, 96), (r + rng.randrange(-30, 30), g + rng.randrange(40), b + rng.randrange(-30, 30)))
        picture.paste((255, 255, 255), (0, 0, rng.randrange(8, 60), rng.randrange(8, 60)))
        picture.save(folder / f"{i}.png")
PYTHON
    quietly "$PYTHON" -m cli train "$work/pictures" --name colours --backbone efficientnet_lite0 --mode head
    quietly "$PYTHON" -m bentoml build --version image-test
}

# Debian with its own Python 3.11 in the place of the official image, and this machine's settings for its downloads.
make_base() {
    local tar=${IMAGE_TEST_BASE:-$work/base.tar} root=$work/root mirror settings
    if [[ ! -f $tar ]]; then
        mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | sort -u | head -n 1)
        quietly debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv bookworm "$root" "$mirror"
        rm -f "$root"/usr/lib/python3.*/EXTERNALLY-MANAGED
        ln -s /usr/bin/python3 "$root/usr/local/bin/python"
        for settings in /etc/pip.conf /etc/apt/apt.conf.d/99* /usr/local/share/ca-certificates/*.crt; do
            cp "$settings" "$root$settings"
        done
        quietly chroot "$root" update-ca-certificates
        tar --numeric-owner -C "$root" -cf "$tar.part" . && mv "$tar.part" "$tar"
        rm -rf "$root"
    fi
    local change=(--change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin')
    change+=(--change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt')
    [[ -z ${IMAGE_TEST_WHEELS:-} ]] || change+=(--change 'ENV UV_FIND_LINKS=/opt/wheels')
    quietly "${PODMAN[@]}" import "${change[@]}" "$tar" "$BASE"
}

make_image() {
    local options=(--opt isolation=chroot --opt network=host --opt pull-never)
    [[ -z ${IMAGE_TEST_WHEELS:-} ]] || options+=(--opt "volume=$IMAGE_TEST_WHEELS:/opt/wheels:ro")
    quietly "$PYTHON" -m bentoml containerize tellapart:image-test --backend buildah -t "${IMAGE#localhost/}" "${options[@]}"
    "${PODMAN[@]}" image exists "$IMAGE" || { tail -n 40 "$work/step.log" >&2; fail "buildah made no image"; }
    [[ $("${PODMAN[@]}" image inspect --format '{{.Config.User}}' "$IMAGE") == bentoml ]] || fail "the image runs as root"
}

# In a network namespace of its own that has loopback only. crun refuses a cgroup2 mount beside version 1.
run_and_ask() {
    ip link set lo up
    ! mountpoint -q /sys/fs/cgroup/unified || umount --lazy /sys/fs/cgroup/unified
    local options=(--read-only --tmpfs /tmp:exec --env BENTOML_HOME=/tmp/bentoml --cap-drop all)
    options+=(--security-opt no-new-privileges --network host --cgroups disabled --ulimit nofile=4096:4096 --ulimit nproc=4096:4096)
    # without the variable BentoML starts a worker again that died, as it does outside containers
    local command=(env -u BENTOML_CONTAINERIZED bentoml serve --timeout-keep-alive 75 /home/bentoml/bento)
    quietly "${PODMAN[@]}" run --detach --name image-test "${options[@]}" "$IMAGE" "${command[@]}"
    local process rc=0
    process=$("${PODMAN[@]}" inspect --format '{{.State.Pid}}' image-test)
    "$PYTHON" deploy/image_checks.py "$process" "$work/pictures/red/0.png" red || rc=$?
    "${PODMAN[@]}" stop --time 30 image-test >/dev/null
    ((rc == 0)) || { "${PODMAN[@]}" logs --tail 40 image-test >&2; fail "the image does not do what it should"; }
    rc=$("${PODMAN[@]}" inspect --format '{{.State.ExitCode}}' image-test)
    ((rc == 0)) || fail "the container stopped with status $rc"
}

main() {
    check_machine
    say "making a tiny classifier and a Bento"
    make_bento
    say "making the base image"
    make_base
    say "making the image (PyTorch is large)"
    make_image
    say "the image has $("${PODMAN[@]}" image inspect --format '{{.Size}}' "$IMAGE" | numfmt --to=si)B; running it"
    export work
    unshare --net --mount --propagation private "$0" inside
    say "built, run, asked and stopped"
}

if [[ ${1:-} == inside ]]; then run_and_ask; else main; fi
