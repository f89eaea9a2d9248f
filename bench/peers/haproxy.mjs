import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "../lib/daemon.mjs";

const common = { needs: "/usr/sbin/haproxy", install: "Debian package haproxy", upstream: true };

/** SIGUSR2 to the master: it executes itself again and starts a worker, the old one serves what it has. */
export const haproxyMasterWorker = {
  ...common,
  name: "haproxy reload, master-worker",
  seenBefore: { new: 0, ka: 0 },
  async start({ directory, port }) {
    const file = writeConfiguration(directory, port);
    const daemon = new Daemon(["/usr/sbin/haproxy", "-W", "-f", file], { directory });
    await daemon.listens(port);
    return {
      async restart() {
        const before = daemon.descendants();
        daemon.signal("SIGUSR2");
        await daemon.replaced(before);
      },
      stop: () => daemon.end(),
    };
  },
};

/** A new process takes the sockets from the old one (-x) and tells it to finish (-sf). */
export const haproxyTakesSockets = {
  ...common,
  name: "haproxy -x -sf",
  seenBefore: { new: 0, ka: 1 },
  async start({ directory, port }) {
    const file = writeConfiguration(directory, port);
    const socket = join(directory, "haproxy.sock");
    let daemon = new Daemon(["/usr/sbin/haproxy", "-db", "-f", file], { directory });
    await daemon.listens(port);
    return {
      async restart() {
        const old = daemon;
        daemon = new Daemon(["/usr/sbin/haproxy", "-db", "-f", file, "-x", socket, "-sf", String(old.pid)], {
          directory,
        });
        await old.ended();
      },
      stop: () => daemon.end(),
    };
  },
};

function writeConfiguration(directory, port) {
  const file = join(directory, "haproxy.cfg");
  writeFileSync(
    file,
    `global
  stats socket ${join(directory, "haproxy.sock")} level admin expose-fd listeners
  hard-stop-after 10s
  maxconn 4096
  nbthread 2
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
frontend web
  bind 127.0.0.1:${port}
  http-response set-header X-Worker %pid
  default_backend upstream
backend upstream
  server one unix@${join(directory, "upstream.sock")}
`,
  );
  return file;
}
