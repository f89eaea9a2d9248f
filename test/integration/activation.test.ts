import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../bench/lib/holdfast.mjs";
import { ask, askUdp, askUnix, connect } from "./ask.js";
import { descriptorCount, noMoreThan } from "./census.js";
import { command } from "./fixture.js";
import { itself } from "./itself.js";
import { type Scene, scenes } from "./scene.js";
import { replaceWorker } from "./worker-file.js";

const { start } = scenes();

/** How each kind of socket is written and asked, as the only one of a service of that name. The port is chosen anew for each run. */
const kinds: Record<
  string,
  { listen: (port: number) => string; ask: (scene: Scene, port: number, name: string) => Promise<string> }
> = {
  "tcp over IPv4": {
    listen: (port) => `tcp://127.0.0.1:${port}`,
    ask: (_, port) => ask({ host: "127.0.0.1", port }),
  },
  "tcp over IPv6": { listen: (port) => `tcp://[::1]:${port}`, ask: (_, port) => ask({ host: "::1", port }) },
  "udp over IPv4": { listen: (port) => `udp://127.0.0.1:${port}`, ask: (_, port) => askUdp(port) },
  "udp over IPv6": { listen: (port) => `udp://[::1]:${port}`, ask: (_, port) => askUdp(port, "::1") },
  "a unix stream socket": {
    listen: () => "unix://stream.sock",
    ask: ({ directory }) => ask({ path: join(directory, "stream.sock") }),
  },
  "an abstract unix stream socket": {
    listen: (port) => `unix://@holdfast-test-${port}`,
    ask: (_, port) => askUnix("unix", `@holdfast-test-${port}`),
  },
  "a unix datagram socket": {
    listen: () => "unix-dgram://datagram.sock",
    ask: ({ directory }) => askUnix("unix-dgram", join(directory, "datagram.sock")),
  },
  "an abstract unix datagram socket": {
    listen: (port) => `unix-dgram://@holdfast-test-datagram-${port}`,
    ask: (_, port) => askUnix("unix-dgram", `@holdfast-test-datagram-${port}`),
  },
  "a unix seqpacket socket": {
    listen: () => "unix-seqpacket://seqpacket.sock",
    ask: ({ directory }) => askUnix("unix-seqpacket", join(directory, "seqpacket.sock")),
  },
  "a fifo": {
    listen: () => "fifo://s.fifo",
    ask: async (scene, _, name) => {
      await writeFile(join(scene.directory, "s.fifo"), "hello\n");
      const { text } = await scene.line(name, / heard hello$/);
      return text.replace(" heard hello", "\n");
    },
  },
};

describe("a service that starts with a connection", () => {
  test("is started by any kind of socket, and answers it", async () => {
    const port = await freePort();
    const all = Object.entries(kinds).map(([kind, how]) => ({ kind, name: kind.replaceAll(" ", "-"), ...how }));
    const scene = await start({
      config: all
        .map(
          ({ name, listen }) => `
            [socket.${name}]
            listen = ["${listen(port)}"]
            [service.${name}]
            ${command("answers-pid")}
            sockets = ["${name}"]
            start = "connection"
            ready = "notify"`,
        )
        .join("\n"),
    });
    for (const { kind, name, ask } of all) {
      expect(await scene.service(name), kind).toMatchObject({ phase: "waiting", workers: [] });
      const answer = await ask(scene, port, name);
      await scene.ready(name);
      expect(answer, kind).toBe(`${await scene.pid(name)}\n`);
      expect(await ask(scene, port, name), `${kind}: a second one goes to the same worker`).toBe(answer);
    }
  });

  test("gives its worker the sockets in order, blocking, and no other descriptor", async () => {
    const port = await freePort();
    const scene = await start({
      env: { SECRET: "not for workers" },
      config: `
        [socket.unused]
        listen = ["unix://unused.sock"]
        [socket.beta]
        listen = ["unix://beta.sock"]
        [socket.alpha]
        listen = ["tcp://127.0.0.1:${port}", "udp://127.0.0.1:${port}", "unix-seqpacket://alpha.sock"]
        [socket.pipe]
        listen = ["fifo://pipe.fifo"]
        [service.other]
        ${command("never-ready")}
        [service.web]
        ${command("shows-itself")}
        sockets = ["beta", "alpha", "pipe"]
        start = "connection"`,
    });
    await connect({ host: "127.0.0.1", port });
    const self = await itself(scene, "web");

    const pid = await scene.pid("web");
    expect(self.pid).toBe(pid);
    expect(self.session).toBe(pid);
    expect(self.environment).toMatchObject({
      LISTEN_PID: String(pid),
      LISTEN_FDS: "5",
      LISTEN_FDNAMES: "beta:alpha:alpha:alpha:pipe",
    });
    expect(self.sockets).toMatchObject([
      { family: "AF_UNIX", type: "SOCK_STREAM", name: join(scene.directory, "beta.sock") },
      { family: "AF_INET", type: "SOCK_STREAM", name: ["127.0.0.1", port] },
      { family: "AF_INET", type: "SOCK_DGRAM", name: ["127.0.0.1", port] },
      { family: "AF_UNIX", type: "SOCK_SEQPACKET", name: join(scene.directory, "alpha.sock") },
    ]);
    expect(self.descriptors).toEqual({
      0: { target: "/dev/null", mode: "r", blocking: true },
      1: { target: expect.stringMatching(/^pipe:/), mode: "w", blocking: true },
      2: { target: expect.stringMatching(/^pipe:/), mode: "w", blocking: true },
      ...Object.fromEntries(
        [3, 4, 5, 6].map((number) => [
          number,
          { target: expect.stringMatching(/^socket:/), mode: "rw", blocking: true },
        ]),
      ),
      7: { target: join(scene.directory, "pipe.fifo"), mode: "rw", blocking: true },
    });
    expect(self.descriptors[1]?.target).not.toBe(self.descriptors[2]?.target);
    expect(self.blocked_signals).toBe("0000000000000000");
  });

  test("starts one worker for each connection when each exits after its answer, none is reset", async () => {
    const port = await freePort();
    const scene = await start({ config: answersOnce(port) });
    // All at once: at each moment most of them wait in the queue, and between two workers nothing runs.
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask({ host: "127.0.0.1", port })));
    expect(new Set(answers).size).toBe(20);
    for (const answer of answers) expect(answer).toMatch(/^\d+\n$/);
    await expect.poll(async () => (await scene.service("web")).phase).toBe("waiting");
  });

  test("is activated fifty times in a row without a wait, and holds no more descriptors after that", async () => {
    const port = await freePort();
    const scene = await start({ config: answersOnce(port) });
    const supervisor = await scene.supervisorPid();
    const answerAll = async (count: number) => {
      const pids = new Set<string>();
      for (let i = 0; i < count; i++) pids.add(await ask({ host: "127.0.0.1", port }));
      expect(pids.size).toBe(count);
    };
    const census = () => [descriptorCount(scene.holdfast.keeperPid!), descriptorCount(supervisor)];
    await answerAll(3);
    await expect.poll(async () => (await scene.service("web")).phase).toBe("waiting");
    const before = census();

    await answerAll(50);
    // No limit of starts has counted them.
    expect(scene.events.filter(({ type }) => type === "start-delayed")).toEqual([]);
    await expect.poll(async () => (await scene.service("web")).phase).toBe("waiting");
    await expect.poll(census).toEqual(noMoreThan(before));
  });

  test("starts no worker for a connection once the operator has stopped it, and serves that connection at the next start", async () => {
    const port = await freePort();
    const scene = await start({ config: answersOnce(port) });
    expect(await scene.act("web", "stop")).toMatchObject({ result: "done" });
    const waiting = await connect({ host: "127.0.0.1", port });
    expect(await scene.socket("s")).toMatchObject({ bound: true, queued: 1 });
    expect(await scene.service("web")).toMatchObject({ phase: "stopped", workers: [] });

    await scene.act("web", "start");
    expect(await waiting.answer).toMatch(/^\d+\n$/);
  });

  test("goes on waiting when its program cannot be executed, and serves the same connection once it can", async () => {
    const port = await freePort();
    const scene = await start({
      config: `${answersOnce(port).replace(/command = .*/, 'command = ["./worker"]')}
        restart = { when = "always", backoff = { initial = "20ms", max = "50ms" }, limit = { starts = 1000, interval = "1s" } }`,
    });
    const waiting = await connect({ host: "127.0.0.1", port });
    const failed = await scene.event("worker-ended", "web");
    expect(failed.data).toMatchObject({ end: { kind: "not-started" } });
    await scene.event("worker-ended", "web", failed.sequence);
    expect(await scene.service("web")).toMatchObject({ lastFailure: { code: "start-failed", errno: "ENOENT" } });

    await replaceWorker(scene, "answers-once");
    expect(await waiting.answer).toMatch(/^\d+\n$/);
  });

  test("is not given up when its program exits at once: who connects at the start limit waits, and is served by itself once it is mended", async () => {
    const port = await freePort();
    const scene = await start({
      config: `
        [socket.s]
        listen = ["tcp://127.0.0.1:${port}"]
        [service.web]
        command = ["./worker"]
        sockets = ["s"]
        start = "connection"
        restart = { backoff = { initial = "0ms" }, limit = { starts = 3, interval = "2s" } }`,
      prepare: (directory) => replaceWorker({ directory }, "exits-with", "1"),
    });
    const first = await connect({ host: "127.0.0.1", port });
    const delayed = await scene.event("start-delayed", "web");
    expect(delayed.data).toMatchObject({ why: "start-limit" });
    const second = await connect({ host: "127.0.0.1", port });
    expect(await scene.socket("s")).toMatchObject({ bound: true, queued: 2 });

    await replaceWorker(scene, "answers-pid");
    const answer = await first.answer;
    expect(answer).toBe(`${await scene.pid("web")}\n`);
    expect(await second.answer).toBe(answer);
  });
});

function answersOnce(port: number): string {
  return `
    [socket.s]
    listen = ["tcp://127.0.0.1:${port}"]
    [service.web]
    ${command("answers-once")}
    sockets = ["s"]
    start = "connection"
    ready = "spawned"`;
}
