import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { noteAlso } from "../../../src/daemon/runtime/valve/epoll-registration.js";
import { valveWords } from "../../../src/daemon/runtime/valve/valve-words.js";
import { ValveScene, type Waiting, type WorkerOptions, waitsAgain } from "./valve-scene.js";

/** A server that is installed, in a folder of its own; each answers with the pid of the process that served. */
interface Server {
  readonly executable: string;
  readonly debianPackage: string;
  /** Bits that its registrations are known to have. */
  readonly events: number;
  readonly start: (
    folder: string,
    port: number,
  ) => { readonly argv: readonly string[]; readonly worker: WorkerOptions };
}

const nginxConf = (port: number): string => `
daemon off;
worker_processes 2;
pid nginx.pid;
error_log stderr error;
events {}
http {
  access_log off;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path temp/${name};`).join("\n  ")}
  server { listen 127.0.0.1:${port}; location / { return 200 "$pid\\n"; } }
}`;

const wsgi = `
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
`;

function gunicorn(folder: string, ...options: string[]): readonly string[] {
  writeFileSync(join(folder, "wsgi.py"), wsgi);
  return ["/usr/bin/gunicorn", "--log-level", "error", "--workers", "2", ...options, "wsgi:app"];
}

const servers: Readonly<Record<string, Server>> = {
  "nginx (two processes, exclusive registrations)": {
    executable: "/usr/sbin/nginx",
    debianPackage: "nginx-light",
    events: 0x10000001,
    start(folder, port) {
      mkdirSync(join(folder, "temp"));
      writeFileSync(join(folder, "nginx.conf"), nginxConf(port));
      const argv = ["/usr/sbin/nginx", "-p", folder, "-e", "stderr", "-c", "nginx.conf"];
      return { argv, worker: { processes: 3, waits: 2, env: ["NGINX=3:"] } };
    },
  },
  "gunicorn with threads (two processes)": {
    executable: "/usr/bin/gunicorn",
    debianPackage: "gunicorn",
    events: 0x1,
    start: (folder) => ({
      argv: gunicorn(folder, "--threads", "4"),
      worker: { processes: 3, waits: 2, directory: folder, env: ["LISTEN_FDS=1"] },
    }),
  },
};

let scene: ValveScene | undefined;
afterEach(() => scene?.close());

const askAll = (count: number) => scene!.askMany(count, "http");

async function close(worker: Waiting) {
  await waitsAgain(worker);
  const { registrations } = await scene!.find(worker);
  for (const { outcome } of await scene!.quiesce(registrations)) expect(outcome).toBe("done");
  const again = await scene!.rearmed(worker);
  await scene!.quiesce(again);
  return noteAlso(registrations, again);
}

describe.each(Object.entries(servers))("%s", (_name, { executable, debianPackage, events, start }) => {
  const missing = !existsSync(executable);
  if (missing) console.warn(`SKIPPED: this needs the Debian package ${debianPackage}`);

  test.skipIf(missing)("stops accepting without its help, and accepts again", async () => {
    scene = await ValveScene.start("tcp");
    const worker = async (name: string) => {
      const { argv, worker } = start(scene!.folder(name), scene!.port);
      return scene!.worker(argv, worker);
    };
    const old = await worker("old");
    const successor = await worker("successor");
    expect(valveWords(await scene.find(old))).toBe("epoll");
    const before = (await scene.find(old)).registrations;
    for (const registration of before) expect(registration.events & events).toBe(events);

    const noted = await close(old);
    for (const pid of await askAll(60)) expect(successor.pids).toContain(pid);
    for (const { outcome } of await scene.resume(noted)) expect(outcome).toBe("done");
    expect((await scene.find(old)).registrations).toEqual(before);
    await close(successor);
    for (const pid of await askAll(10)) expect(old.pids).toContain(pid);
    for (const stopped of [old, successor]) await scene.stop(stopped, 0); // Also the one whose valve is closed.
  });
});

describe("gunicorn without threads", () => {
  const missing = !existsSync("/usr/bin/gunicorn");
  if (missing) console.warn("SKIPPED: this needs the Debian package gunicorn");

  test.skipIf(missing)("blocks in select, which is said", async () => {
    scene = await ValveScene.start("tcp");
    const folder = scene.folder("old");
    const options = { processes: 3, waits: 2, directory: folder, env: ["LISTEN_FDS=1"] };
    const worker = await scene.worker(gunicorn(folder), options);
    const valve = await scene.find(worker);
    expect(valve.registrations).toEqual([]);
    expect(valveWords(valve)).toMatch(/^signal \(gunicorn[^,]*, pid \d+, waits in (p?select6?|p?poll)\(2\)\)$/);
    await scene.stop(worker, 0);
  });
});
