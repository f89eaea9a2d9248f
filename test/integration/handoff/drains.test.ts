import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { Agent, request as httpsRequest } from "node:https";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { NotifySocket } from "../../../src/ancillary/index.js";
import { KeptAliveClient } from "./clients.js";
import { HandoffScene, type HandoffWorker } from "./scene.js";

const program = "drains.mjs";
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
let folder: string;
let tls: NodeJS.ProcessEnv;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-drains-"));
  tls = { KEY: join(folder, "key.pem"), CERT: join(folder, "cert.pem") };
  if (!hasOpenssl) return console.warn("openssl is not there: nothing with TLS is tried");
  const options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost";
  execFileSync("openssl", [...options.split(" "), "-keyout", tls.KEY!, "-out", tls.CERT!], { stdio: "ignore" });
});
afterAll(() => rmSync(folder, { recursive: true }));

let scene: HandoffScene;
let clients: KeptAliveClient[];
beforeEach(() => {
  scene = new HandoffScene();
  clients = [];
});
afterEach(async () => {
  for (const each of clients) each.destroy();
  await scene.end();
});

async function client(port: number): Promise<KeptAliveClient> {
  const made = new KeptAliveClient(port);
  clients.push(made);
  await made.connected;
  return made;
}

/** A worker as systemd or nobody would start it: without a channel. */
async function start(protocol: string, env: NodeJS.ProcessEnv = {}): Promise<{ worker: HandoffWorker; port: number }> {
  const worker = scene.start(program, { channel: false, env: { PROTOCOL: protocol, ...tls, ...env } });
  const port = await until("it listens", () => /port (\d+)/.exec(worker.output)?.[1]);
  return { worker, port: Number(port) };
}

async function terminate(worker: HandoffWorker): Promise<void> {
  worker.kill("SIGTERM");
  await until("it retires", () => worker.output.includes("retire"));
}

describe("a server at SIGTERM, without a channel", () => {
  test("answers what has begun, says that the connection is closed, and ends with 0", async () => {
    const { worker, port } = await start("http", { PORT: "0" });
    const [slow, half, silent, idle] = await Promise.all([client(port), client(port), client(port), client(port)]);
    await idle.get("/");
    half.socket.write("GET /half HTT");
    const answer = slow.get("/slow");
    await idle.get("/"); // So the others have been read.
    await terminate(worker);
    expect(worker.output).toContain("retire 5000 false");
    expect([(await answer).url, slow.toldToClose]).toEqual(["/slow", true]);
    expect([(await half.send("P/1.1\r\nHost: x\r\n\r\n")).url, half.toldToClose]).toEqual(["/half", true]);
    expect([(await silent.get("/silent")).url, silent.toldToClose]).toEqual(["/silent", true]);
    expect([(await idle.get("/idle")).url, idle.toldToClose]).toEqual(["/idle", true]);
    expect(await worker.ended).toBe(0);
    expect(worker.output).toContain("finished");
  });

  test("closes kept-alive connections that stay idle, not at once and not all at the same time", async () => {
    const { worker, port } = await start("http", { PORT: "0", LINGER_MS: "1000" });
    const idle = await Promise.all(Array.from({ length: 20 }, () => client(port)));
    await Promise.all(idle.map((each) => each.get("/")));
    await terminate(worker);
    const at = performance.now();
    const ends = await Promise.all(
      idle.map((each) => new Promise<number>((end) => each.socket.once("close", () => end(performance.now() - at)))),
    );
    expect(await worker.ended).toBe(0);
    expect(Math.min(...ends)).toBeGreaterThan(300);
    expect(Math.max(...ends)).toBeLessThan(3000);
    expect(Math.max(...ends) - Math.min(...ends)).toBeGreaterThan(100);
  });

  test("accepts nothing more, and the socket lives on for others", async () => {
    const port = scene.listen("web");
    const { worker } = await start("http");
    const slow = await client(port);
    const answer = slow.get("/slow");
    await (await client(port)).get("/");
    await terminate(worker);
    const waiting = await client(port);
    const late = waiting.get("/late");
    await answer;
    const { worker: next } = await start("http");
    expect((await late).pid).toBe(next.pid);
    expect(await worker.ended).toBe(0);
  });

  test("lets an upgraded connection be until the deadline", async () => {
    const { worker, port } = await start("http", { PORT: "0", DEADLINE_MS: "1500", LINGER_MS: "100" });
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes;
    });
    socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    await until("it is upgraded", () => text.includes("101"));
    await terminate(worker);
    const at = performance.now();
    socket.on("error", () => {}); // The deadline may reset it.
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const echo = setInterval(() => socket.write("."), 100);
    await closed;
    clearInterval(echo);
    expect(performance.now() - at).toBeGreaterThan(1000);
    expect(text.split("\r\n\r\n")[1]!.length).toBeGreaterThan(5);
    expect(await worker.ended).toBe(0);
  });

  test("of net lets connections end by themselves", async () => {
    const { worker, port } = await start("net", { PORT: "0" });
    const socket = connect(port, "127.0.0.1");
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.write("a");
    await new Promise((resolve) => socket.once("data", resolve));
    await terminate(worker);
    socket.write("b");
    expect(String(await new Promise((resolve) => socket.once("data", resolve)))).toBe("b");
    expect(worker.child.exitCode).toBe(null);
    socket.end();
    expect(await worker.ended).toBe(0);
  });

  test("tells its service manager", async () => {
    const notify = NotifySocket.bind();
    const said: string[] = [];
    notify.start(({ pid, fields }) => said.push(...[...fields].map(([name, value]) => `${pid} ${name}=${value}`)));
    const { worker } = await start("http", { PORT: "0", NOTIFY_SOCKET: notify.address });
    worker.kill("SIGTERM");
    expect(await worker.ended).toBe(0);
    notify.drain();
    expect(said).toEqual([`${worker.pid} READY=1`, `${worker.pid} STOPPING=1`]);
    notify.close();
  });

  test("that was given no socket and knows no place says so", async () => {
    const worker = scene.start(program, { channel: false, env: { PROTOCOL: "http" } });
    expect(await worker.ended).toBe(1);
    expect(worker.output).toContain("ERR_NO_SOCKET");
  });
});

describe("a server with TLS at SIGTERM", () => {
  test.runIf(hasOpenssl)(
    "answers, says that the connection is closed, and closes idle ones after a while",
    async () => {
      const { worker, port } = await start("https", { PORT: "0", LINGER_MS: "800" });
      const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
      const get = (path: string): Promise<string | undefined> =>
        new Promise((resolve, reject) => {
          const sent = httpsRequest({ host: "127.0.0.1", port, path, agent }, (response) => {
            response.resume().once("end", () => resolve(response.headers.connection));
          });
          sent.once("error", reject).end();
        });
      expect(await Promise.all([get("/"), get("/")])).toEqual(["keep-alive", "keep-alive"]);
      const answer = get("/slow");
      await terminate(worker);
      expect(await answer).toBe("close");
      const at = performance.now();
      expect(await worker.ended).toBe(0);
      expect(performance.now() - at).toBeLessThan(3000); // Long before the deadline.
      agent.destroy();
    },
  );
});

describe("a server of HTTP/2 at SIGTERM", () => {
  const ask = (session: ClientHttp2Session, path: string): Promise<number | "refused"> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ":path": path });
      stream.once("response", (headers) => resolve(headers[":status"] ?? 0));
      stream.once("error", (error) => (error.message.includes("REFUSED_STREAM") ? resolve("refused") : reject(error)));
      stream.resume().end();
    });

  test.each([
    ["h2c", "serve one that crosses its GOAWAY", 200],
    ["h2", "refuse one that crosses its GOAWAY, so that it may be repeated", "refused"],
  ] as const)("(%s) lets open streams finish, and does %s", async (protocol, _, crosses) => {
    if (protocol === "h2" && !hasOpenssl) return;
    const { worker, port } = await start(protocol, { PORT: "0" });
    const way = await SlowWay.to(port);
    const scheme = protocol === "h2" ? "https" : "http";
    const session = connectHttp2(`${scheme}://127.0.0.1:${way.port}`, { rejectUnauthorized: false });
    const goaways: number[] = [];
    session.on("goaway", (_, lastStream) => goaways.push(lastStream));
    expect(await ask(session, "/")).toBe(200);
    const open = ask(session, "/slow");
    expect(await ask(session, "/")).toBe(200); // So the one before has been read.
    way.hold();
    await terminate(worker);
    const crossing = ask(session, "/crossing"); // Its client cannot know.
    const sent = way.sent;
    await until("it is on its way", () => way.sent > sent);
    expect(goaways).toEqual([]);
    way.letGo();
    expect(await Promise.all([open, crossing])).toEqual([200, crosses]);
    expect(await worker.ended).toBe(0);
    expect(goaways[0]).toBe(protocol === "h2c" ? 2 ** 31 - 1 : 5);
    session.destroy();
    await way.close();
  });
});

describe("a running worker with a channel", () => {
  // ss(8) shows the backlog of a listening socket as its Send-Q.
  test.runIf(spawnSync("ss", ["-V"]).status === 0)(
    "leaves the backlog of its socket as it was configured",
    async () => {
      const port = scene.listen("web");
      await scene.startReady(program, { env: { PROTOCOL: "http" } });
      const [, , sendQueue] = execFileSync("ss", ["-Hltn", `sport = :${port}`])
        .toString()
        .trim()
        .split(/\s+/);
      expect(sendQueue).toBe("1024");
    },
  );

  test("holds no descriptor of connections that came and went", async () => {
    const port = scene.listen("web");
    const first = await scene.startReady(program, { env: { PROTOCOL: "http" } });
    const many = await Promise.all(Array.from({ length: 20 }, () => client(port)));
    await Promise.all(many.map((each) => each.get("/")));
    const second = await scene.startReady(program, { env: { PROTOCOL: "http" } });
    const before = readdirSync(`/proc/${second.pid}/fd`).length;
    scene.relay.retire(first.id, 5000);
    expect(await first.ended).toBe(0);
    await Promise.all(many.slice(0, 10).map((each) => each.get("/")));
    await until("it has them all", () => readdirSync(`/proc/${second.pid}/fd`).length === before + 20);
    for (const each of many) each.destroy();
    await until("they are closed", () => readdirSync(`/proc/${second.pid}/fd`).length === before);
  });

  test("serves a socket that comes, and leaves one that goes to others", async () => {
    const first = scene.listen("web");
    const worker = await scene.startReady(program, { env: { PROTOCOL: "http" } });
    const kept = await client(first);
    expect((await kept.get("/")).pid).toBe(worker.pid);
    const second = scene.listen("more");
    scene.relay.offer(() => scene.offered);
    expect((await (await client(second)).get("/")).pid).toBe(worker.pid);
    const old = scene.listeners.get("web")!;
    scene.listeners.delete("web");
    scene.relay.offer(() => scene.offered);
    await until("it has closed the socket", () => openOf(worker, old.identity().ino) === 0);
    expect((await kept.get("/")).pid).toBe(worker.pid);
    expect((await (await client(second)).get("/")).pid).toBe(worker.pid);
    const waiting = await client(first); // It is still bound, and somebody else may serve it.
    waiting.destroy();
    old.close();
  });

  test("hands nothing over at a signal alone", async () => {
    const port = scene.listen("web");
    const worker = await scene.startReady(program, { env: { PROTOCOL: "http" } });
    await scene.startReady(program, { env: { PROTOCOL: "http" } });
    const idle = await client(port);
    await idle.get("/");
    const { pid } = await idle.get("/");
    const server = pid === worker.pid ? worker : scene.workers.get(2)!;
    await terminate(server);
    expect(await idle.get("/")).toMatchObject({ pid });
    expect(idle.toldToClose).toBe(true);
    expect(await server.ended).toBe(0);
    expect((await scene.countsOf(server)).left).toBe(0);
  });
});

function openOf(worker: HandoffWorker, inode: bigint): number {
  const list = execFileSync("ls", ["-l", `/proc/${worker.pid}/fd`]).toString();
  return list.split("\n").filter((line) => line.endsWith(`socket:[${inode}]`)).length;
}

/** Between a client and a server: what the server sends can be held up. */
class SlowWay {
  sent = 0;
  readonly #held: Buffer[] = [];
  #holds = false;
  #client: Socket | undefined;
  readonly #door: Server;

  private constructor(port: number) {
    this.#door = createServer((client) => {
      this.#client = client;
      const server = connect(port, "127.0.0.1");
      client.on("data", (bytes) => {
        this.sent += bytes.length;
        server.write(bytes);
      });
      server.on("data", (bytes) => {
        if (this.#holds) this.#held.push(bytes);
        else client.write(bytes);
      });
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        one.on("error", () => other.destroy());
        one.on("close", () => other.destroySoon());
      }
    });
  }

  static async to(port: number): Promise<SlowWay> {
    const way = new SlowWay(port);
    await new Promise<void>((resolve) => way.#door.listen(0, "127.0.0.1", resolve));
    return way;
  }

  get port(): number {
    return (this.#door.address() as AddressInfo).port;
  }

  hold(): void {
    this.#holds = true;
  }

  letGo(): void {
    this.#holds = false;
    for (const bytes of this.#held.splice(0)) this.#client?.write(bytes);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#door.close(() => resolve()));
  }
}
