import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./programs.mjs";

const workers = join(root, "bench/workers");
const node = (name) => [process.execPath, join(workers, name)];
const python = (name) => ["/usr/bin/python3", join(workers, name)];
const gunicorn = (...args) => [
  ...["/usr/bin/gunicorn", "--chdir", workers, "--backlog", "4096", "--log-level", "error", "--timeout", "120"],
  ...[...args, "wsgi:app"],
];

/** Every 20th request takes 300 ms. */
const slow = { every: 20, path: "/slow/300" };

const failed = (result) => result.failed;
const race = (result) => result.idleRace;
const closed = (result) => result.closedIdle + result.closedAnnounced;

/**
 * What bench/restarts.mjs can run, by name:
 *   needs      path that must exist; `install` says how it comes there
 *   command    words, from {directory, port}
 *   instances  workers of the service
 *   kind       "http" (default), "udp", "long-lived"
 *   load       further options of the load
 *   socket, service   lines of their tables that make it better, where this version knows them
 *   stop       its graceful signal, where that is not SIGTERM
 *   promises   {new, ka}: what must be 0, as functions of the load's result by name; without one nothing is promised in that mode
 *   prepare    writes files into {directory, address}
 */
export const WORKERS = {
  "node-plain": {
    command: () => node("node-plain.mjs"),
    instances: 2,
    load: { echo: true, slow },
    promises: { new: { failed }, ka: { failed } },
  },
  "node-worker": {
    needs: join(root, "dist/worker/index.js"),
    install: "this version has no src/worker",
    command: () => node("node-worker.mjs"),
    instances: 2,
    load: { echo: true, slow },
    service: ["handoff = true"],
    promises: { new: { failed }, ka: { failed, race, closed } },
  },
  asyncio: {
    needs: "/usr/bin/python3",
    install: "Debian package python3",
    command: () => python("asyncio_server.py"),
    instances: 2,
    load: { echo: true, slow },
    promises: { new: { failed }, ka: {} },
  },
  blocking: {
    needs: "/usr/bin/python3",
    install: "Debian package python3",
    command: () => python("blocking.py"),
    instances: 4,
    load: { echo: true, slow: { every: 20, path: "/slow/20" } }, // One thread: 300 ms would be all it does.
    socket: ['distribution = "steered"'],
    promises: { new: { failed } },
  },
  "gunicorn-sync": {
    needs: "/usr/bin/gunicorn",
    install: "Debian package gunicorn",
    command: () => gunicorn("-k", "sync", "-w", "12"),
    instances: 1,
    load: { echo: true, slow },
    promises: { new: { failed } },
  },
  "gunicorn-gthread": {
    needs: "/usr/bin/gunicorn",
    install: "Debian package gunicorn",
    command: () => gunicorn("-k", "gthread", "-w", "2", "--threads", "16", "--keep-alive", "60"),
    instances: 1,
    load: { echo: true, slow },
    promises: { new: { failed }, ka: {} },
  },
  lighttpd: {
    needs: "/usr/sbin/lighttpd",
    install: "Debian package lighttpd",
    command: ({ directory }) => ["/usr/sbin/lighttpd", "-D", "-f", join(directory, "lighttpd.conf")],
    instances: 1,
    load: { expects: "^lighttpd\n$", slow: { every: 20, path: "/slow.cgi" } },
    stop: "SIGINT",
    promises: { new: { failed }, ka: {} },
    prepare: prepareLighttpd,
  },
  nginx: {
    needs: "/usr/sbin/nginx",
    install: "Debian package nginx-light",
    // NGINX names inherited sockets, as nginx passes them to its own successor; it does not know LISTEN_FDS.
    command: ({ directory }) => [
      "env",
      "NGINX=3:",
      "/usr/sbin/nginx",
      "-p",
      directory,
      "-e",
      "stderr",
      "-c",
      "nginx.conf",
    ],
    instances: 1,
    load: { echo: true, slow },
    stop: "SIGQUIT",
    upstream: true,
    promises: { new: { failed }, ka: {} },
    prepare: prepareNginx,
  },
  "udp-echo": {
    needs: "/usr/bin/python3",
    install: "Debian package python3",
    command: () => python("udp_echo.py"),
    kind: "udp",
    instances: 2,
    socket: ['distribution = "steered"', "receive_buffer = 4194304"],
    promises: {
      new: {
        lost: (result) => result.lost,
        duplicated: (result) => result.duplicated,
        wrong: (result) => result.wrong,
      },
    },
  },
  "long-lived-worker": {
    needs: join(root, "dist/worker/index.js"),
    install: "this version has no src/worker",
    command: () => node("long-lived-worker.mjs"),
    kind: "long-lived",
    instances: 1,
    service: ["handoff = true"],
    promises: { new: { failed } },
  },
  "long-lived": {
    command: () => node("long-lived.mjs"),
    kind: "long-lived",
    instances: 1,
    promises: {},
  },
};

/** Versions of a program that must not come in force, each with what makes a worker that is like it known. */
export const BROKEN = {
  exits: { command: ["/bin/sh", "-c", "exit 3"] },
  hangs: { command: ["/bin/sleep", "600"] },
  "wrong-port": { command: node("wrong-port.mjs") },
  "fails-probe": {
    command: node("fails-probe.mjs"),
    needs: ['ready = { when = "probe", probe = { http = "/health" }, timeout = "3s" }'],
  },
};

/** Why it cannot run here, or undefined. */
export function missing({ needs, install }) {
  return needs === undefined || existsSync(needs) ? undefined : `${needs} is missing: ${install}`;
}

/**
 * Makes `./worker` in that folder this command, in one step: who executes it meanwhile gets the one or the other.
 * A new version is deployed like that.
 */
export function deploy(directory, words) {
  const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const next = join(directory, "worker.new");
  writeFileSync(next, `#!/bin/sh\nexec ${quoted}\n`);
  chmodSync(next, 0o755);
  renameSync(next, join(directory, "worker"));
}

/** Writes nginx.conf; `listen` as in nginx. */
export function prepareNginx({ directory, address }) {
  copy("nginx.conf", directory, { LISTEN: address.path === undefined ? address.authority : `unix:${address.path}` });
}

function prepareLighttpd({ directory, address }) {
  copy("lighttpd.conf", directory, { BIND: address.path ?? address.bind, PORT: address.port ?? 80 });
  writeFileSync(join(directory, "index.txt"), "lighttpd\n");
  const answer = "Content-Type: text/plain\\r\\nContent-Length: 9\\r\\n\\r\\nlighttpd\\n";
  writeFileSync(join(directory, "slow.cgi"), `sleep 0.3\nprintf '${answer}'\n`);
}

function copy(name, directory, values) {
  const all = { ...values, DIR: directory };
  const text = readFileSync(join(workers, name), "utf8");
  writeFileSync(
    join(directory, name),
    text.replace(/@([A-Z]+)@/g, (whole, key) => String(all[key] ?? whole)),
  );
}
