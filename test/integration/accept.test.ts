import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createConnection, type NetConnectOpts, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import type { ServiceView } from "../../src/daemon/control/api.js";
import { python } from "../fixtures/python.js";
import { isRunning } from "./census.js";
import { type Scene, scenes } from "./scene.js";

const { start } = scenes();
const host = "127.0.0.1";

/** Says what it was told, until it is told to end; `say` comes with the first line that it says. */
const echo = `#!/bin/sh
echo "$$ $GREETING $REMOTE_ADDR $REMOTE_PORT"
while read -r line; do
  case $line in
    fail) echo "this went wrong" >&2; exit 3 ;;
    *) echo "$line" ;;
  esac
done
`;

function echoing(port: number, o: { readonly socket?: string; readonly service?: string } = {}): string {
  return `
    [socket.s]
    listen = ["tcp://${host}:${port}"]
    accept = true
    ${o.socket ?? ""}
    [service.echo]
    command = ["/bin/sh", "./echo.sh"]
    sockets = ["s"]
    stdio = "socket"
    ${o.service ?? ""}`;
}

const prepare = (directory: string): void => writeFileSync(join(directory, "echo.sh"), echo);

/** A client that speaks in lines. */
class Client {
  readonly #socket: Socket;
  #text = "";

  constructor(to: NetConnectOpts) {
    this.#socket = createConnection(to);
    this.#socket.setEncoding("utf8").on("data", (text) => {
      this.#text += text;
    });
    this.#socket.on("error", () => {}); // A reset is the end.
  }

  /** The next line. */
  async line(): Promise<string> {
    await expect.poll(() => this.#text, { timeout: 20_000 }).toContain("\n");
    const [line = "", ...rest] = this.#text.split("\n");
    this.#text = rest.join("\n");
    return line;
  }

  async say(text: string): Promise<string> {
    this.#socket.write(`${text}\n`);
    return this.line();
  }

  tell(text: string): void {
    this.#socket.write(`${text}\n`);
  }

  get port(): number {
    return this.#socket.localPort ?? 0;
  }

  /** Closed by the other side, with or without a reset. */
  async closed(): Promise<void> {
    if (!this.#socket.closed) await once(this.#socket, "close");
  }

  async end(): Promise<void> {
    this.#socket.end();
    await this.closed();
  }
}

async function until(scene: Scene, fits: (view: ServiceView) => boolean): Promise<ServiceView> {
  let view: ServiceView | undefined;
  await expect
    .poll(
      async () => {
        view = await scene.service("echo");
        return fits(view) || view;
      },
      { timeout: 20_000 },
    )
    .toBe(true);
  return view!;
}

/** So many are open; `accepted`: so many were accepted so far, which the keeper tells a moment later. */
const open =
  (count: number, accepted?: number) =>
  ({ accepts }: ServiceView): boolean =>
    accepts?.open === count && (accepted === undefined || accepts.accepted === accepted);

describe("a socket that accepts", () => {
  test("starts a process for each connection, with it as stdin and stdout, and tells of those that fail", async () => {
    const port = await freePort();
    const scene = await start({ prepare, config: echoing(port, { service: 'env = { GREETING = "hello" }' }) });
    expect(await scene.service("echo")).toMatchObject({ phase: "waiting", instances: 0, ready: 0, workers: [] });

    const [one, other] = [new Client({ host, port }), new Client({ host, port })];
    const [pid, ...words] = (await one.line()).split(" ");
    expect(words).toEqual(["hello", host, String(one.port)]);
    expect((await other.line()).split(" ")[0]).not.toBe(pid);
    const view = await until(scene, open(2));
    expect(view).toMatchObject({ phase: "ready", instances: 2, ready: 2 });
    expect(view.workers.find((worker) => worker.pid === Number(pid))).toMatchObject({
      phase: "ready",
      peer: `${host}:${one.port}`,
    });

    expect(await one.say("what it was told")).toBe("what it was told");
    const otherPort = other.port;
    other.tell("fail");
    await other.closed();
    const failed = await scene.event("connection-failed", "echo");
    expect(failed.message).toMatch(new RegExp(`^echo/\\d \\(${host}:${otherPort}\\) exited with code 3$`));
    await scene.line("echo", /^this went wrong$/);
    await one.end();
    await until(scene, open(0, 2));
    expect(await scene.service("echo")).toMatchObject({
      phase: "waiting",
      accepts: { accepted: 2, refused: 0, queued: 0 },
      lastFailure: { code: "exited", exitCode: 3, lastLines: ["this went wrong"] },
    });
    const { stdout } = await scene.holdfast.cli("status", "echo");
    expect(stdout).toMatch(/0 of 64 connections[\s\S]*accepted +2, 0 queued, 0 refused/);
  });

  test("passes the connection as LISTEN_FDS does, where it is not asked for as stdin", async () => {
    const script = `
import os, socket, sys
assert os.environ["LISTEN_PID"] == str(os.getpid())
assert "NOTIFY_SOCKET" not in os.environ
connection = socket.socket(fileno=3)
said = [os.environ[name] for name in ("LISTEN_FDS", "LISTEN_FDNAMES")]
said += [connection.getblocking(), os.environ.get("REMOTE_ADDR"), sorted(os.listdir("/proc/self/fd"))[:4]]
connection.sendall(repr(said).encode() + b"\\n")
print("this is logged")
`;
    const scene = await start({
      prepare: (directory) => writeFileSync(join(directory, "shows.py"), script),
      config: `
        [socket.s]
        listen = ["unix://s.sock"]
        accept = true
        [service.echo]
        command = ${JSON.stringify([...python, "shows.py"])}
        sockets = ["s"]
        start = "manual"
        [service.after]
        command = ["/bin/sleep", "3600"]
        ready = "spawned"
        start = "manual"
        requires = ["echo"]`,
    });
    // It is ready for others as soon as it is started and its socket listens.
    expect(await scene.act("after", "start")).toMatchObject({ result: "done" });
    const client = new Client({ path: join(scene.directory, "s.sock") });
    expect(await client.line()).toBe("['1', 'connection', True, None, ['0', '1', '2', '3']]");
    await client.closed();
    await scene.line("echo", /^this is logged$/);
    expect(scene.events.filter(({ type }) => type === "connection-failed")).toEqual([]);
  });

  test("leaves connections in the queue at its limit, and pauses at its trigger limit", async () => {
    const port = await freePort();
    const socket = 'max_connections = 1\ntrigger_limit = { starts = 2, interval = "1s" }';
    const scene = await start({ prepare, config: echoing(port, { socket }) });
    const clients = [1, 2, 3].map(() => new Client({ host, port }));
    await clients[0]!.line();
    const full = await until(
      scene,
      ({ accepts }) => accepts?.phase === "full" && accepts.open === 1 && accepts.queued === 2,
    );
    expect(full).toMatchObject({ phase: "ready", accepts: { open: 1, most: 1, atLimit: "queue" } });
    expect(full.next).toContain("the next one waits until one ends");
    await clients[0]!.end();
    await clients[1]!.line();
    await clients[1]!.end();
    const paused = await scene.event("accept-paused", "echo");
    expect(paused.message).toContain("trigger_limit");
    await scene.event("accept-resumed", "echo", paused.sequence);
    await clients[2]!.line();
    await clients[2]!.end();
  });

  test("lets what is open finish when its service is stopped, then ends it, and keeps the socket for the next start", async () => {
    const port = await freePort();
    const scene = await start({
      prepare,
      config: echoing(port, { service: 'stop = { timeout = "20s" }\ndrain = { timeout = "20s" }' }),
    });
    const client = new Client({ host, port });
    const [pid] = (await client.line()).split(" ");
    await until(scene, open(1));
    const stopped = scene.act("echo", "stop");
    const stopping = await until(scene, ({ phase }) => phase === "stopping");
    expect(stopping.workers).toMatchObject([{ pid: Number(pid), phase: "draining", role: "retiring" }]);
    // The keeper hears of it after what ends its accepting: whoever came before would get a process.
    expect(await scene.holdfast.act("echo", { action: "signal", signal: "SIGCONT" })).toMatchObject({ result: "done" });
    const later = new Client({ host, port });
    expect(await client.say("still here")).toBe("still here");
    await client.end();
    expect(await stopped).toMatchObject({ result: "done" });
    expect(await scene.service("echo")).toMatchObject({ phase: "stopped", accepts: { open: 0 } });
    expect(await scene.socket("s")).toMatchObject({ bound: true, queued: 1 });
    expect(await scene.act("echo", "start")).toMatchObject({ result: "done" });
    await later.line();
    await later.end();
  });

  test("asks what does not finish in time to stop, and kills what does not, with what it has started", async () => {
    const port = await freePort();
    const stubborn = `#!/bin/sh\ntrap "" TERM\nsleep 1000 &\necho $$ $!\nwhile :; do wait; done\n`;
    const scene = await start({
      prepare: (directory) => writeFileSync(join(directory, "echo.sh"), stubborn),
      config: echoing(port, { service: 'stop = { timeout = "100ms" }\ndrain = "signal"' }),
    });
    const client = new Client({ host, port });
    const pids = (await client.line()).split(" ").map(Number);
    await until(scene, open(1));
    expect(await scene.act("echo", "stop")).toMatchObject({ result: "done" });
    await client.closed();
    await expect.poll(() => pids.filter(isRunning), { timeout: 20_000 }).toEqual([]);
    expect(scene.events.map(({ type }) => type)).toContain("stop-timeout");
  });

  test("ends what a process leaves behind that was asked to stop", async () => {
    const port = await freePort();
    const leaves = `#!/bin/sh\nsleep 1000 &\necho $$ $!\nread -r line\n`;
    const scene = await start({
      prepare: (directory) => writeFileSync(join(directory, "echo.sh"), leaves),
      config: echoing(port, { service: 'stop = { timeout = "60s" }\ndrain = "signal"' }),
    });
    const client = new Client({ host, port });
    const pids = (await client.line()).split(" ").map(Number);
    await until(scene, open(1));
    expect(await scene.act("echo", "stop")).toMatchObject({ result: "done" });
    expect(pids.filter(isRunning)).toEqual([]);
    await client.closed();
    expect(scene.events.map(({ type }) => type)).not.toContain("stop-timeout");
  });

  test("gives new connections what a restart or an apply has changed, and leaves those alone that are open", async () => {
    const port = await freePort();
    const config = echoing(port, { service: 'env = { GREETING = "old" }' });
    const scene = await start({ prepare, config });
    const old = new Client({ host, port });
    expect(await old.line()).toContain("old");
    const text = readFileSync(scene.holdfast.file, "utf8");
    writeFileSync(
      scene.holdfast.file,
      text
        .replace('GREETING = "old"', 'GREETING = "new"')
        .replace("accept = true", "accept = true\nmax_connections = 2"),
    );
    expect(await scene.holdfast.post("/v1/apply", {})).toMatchObject({
      result: "done",
      changes: [
        { subject: "socket", how: "live", keys: ["accept"] },
        { subject: "service", how: "live" },
      ],
    });
    const young = new Client({ host, port });
    expect(await young.line()).toContain("new");
    expect(await old.say("still here")).toBe("still here");
    expect(
      (await until(scene, ({ accepts }) => accepts?.phase === "full" && accepts.open === 2)).accepts,
    ).toMatchObject({
      open: 2,
      most: 2,
    });

    writeFileSync(join(scene.directory, "echo.sh"), "echo another program");
    expect(await scene.restart("echo")).toMatchObject({ result: "done" });
    await young.end();
    const another = new Client({ host, port });
    expect(await another.line()).toBe("another program");
    expect(await old.say("still here")).toBe("still here");
    await another.closed();
    expect(await scene.holdfast.act("echo", { action: "scale", workers: 3 })).toMatchObject({ result: "failed" });
    await old.end();
  });

  test("goes on while the supervisor is replaced, after a re-exec of the keeper and after its death, and no count is wrong", async () => {
    const port = await freePort();
    const scene = await start({ prepare, config: echoing(port) });
    const old = new Client({ host, port });
    await old.line();
    await until(scene, open(1));

    process.kill(await scene.supervisorPid(), "SIGKILL");
    const meanwhile = new Client({ host, port });
    await meanwhile.line();
    await scene.holdfast.answers();
    await until(scene, open(2, 2));

    expect(await scene.holdfast.reExec()).toMatchObject({ result: "done" });
    const third = new Client({ host, port });
    await third.line();
    await until(scene, open(3, 3));
    await third.end();
    await until(scene, open(2));

    // Nobody can have heard of it when the keeper is killed.
    const unheard = new Client({ host, port });
    await unheard.line();
    await scene.holdfast.killKeeper();
    await until(scene, open(3));
    expect(await unheard.say("still here")).toBe("still here");
    await unheard.end();
    await until(scene, open(2));
    const fourth = new Client({ host, port });
    await fourth.line();
    const { workers } = await until(scene, open(3));
    expect(new Set(workers.map(({ id }) => id)).size).toBe(3);
    for (const client of [old, meanwhile, fourth]) {
      expect(await client.say("still here")).toBe("still here");
      client.tell("fail");
      await client.closed();
    }
    await until(scene, open(0));
    // Also of those whose keeper was another one, and which write to the same pipe as ever.
    await scene.line("echo", /^this went wrong$/);
  });
});
