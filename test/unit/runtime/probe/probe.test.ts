import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  listen,
  localAddress,
  type OwnedFd,
  type SocketAddress,
  setSocketOption,
} from "../../../../src/ancillary/index.js";
import { kernelTellsConnections } from "../../../../src/daemon/runtime/connections/sockets-look.js";
import { ProbeLoop } from "../../../../src/daemon/runtime/probe/probe-loop.js";
import { type ProbeResult, probeOnce } from "../../../../src/daemon/runtime/probe/probe-once.js";
import { type ProbeTarget, probeTarget } from "../../../../src/daemon/runtime/probe/probe-target.js";
import { childrenOf } from "../../../../src/daemon/runtime/process-stat.js";
import { python } from "../../../fixtures/python.js";
import { type Scene, sceneOfEachTest } from "../connections/worker-fixture.js";

const canLook = kernelTellsConnections();
if (!canLook) console.warn("SKIPPED: this kernel has no sock_diag(7) for TCP and unix sockets");

if (process.getuid?.() !== 0) console.warn("SKIPPED: looking as another user needs root to set it up");

const loopback: SocketAddress = { kind: "ipv4", host: "127.0.0.1", port: 0 };
const soon = { timeout: 5_000, interval: 5 };
const policy = { everyMs: 10, timeoutMs: 5_000, successes: 1 };
let scene: Scene;

const opened = sceneOfEachTest((fresh) => {
  scene = fresh;
});

/** Answers what the path says: its status, or in the way that it names. */
const NODE_HTTP = `
  const server = require("http").createServer((request, response) => {
    const what = request.url.slice(1);
    if (/^[0-9]+$/.test(what)) response.writeHead(Number(what)).end("x".repeat(100000));
    else if (what === "hang") return;
    else if (what === "close") request.socket.destroy();
    else if (what === "headers") response.end(request.method + " " + request.headers.host + " " + request.headers.connection);
  });
  server.listen({ fd: 3 }, () => console.log("x"));`;
const node = ["node", "-e", NODE_HTTP];

const PYTHON_HTTP = `
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
  def log_message(self, *a): pass
  def do_GET(self): self.send_response(int(self.path[1:])); self.end_headers()
class Server(http.server.HTTPServer):
  address_family = socket.AF_UNIX if FAMILY == "unix" else socket.AF_INET6 if FAMILY == "ipv6" else socket.AF_INET
  def server_bind(self): self.socket.close(); self.socket = socket.socket(fileno=3)
  def server_activate(self): pass
  def get_request(self):
    c, a = self.socket.accept(); return c, ("", 0)
s = Server(("", 0), Handler)
print("x", flush=True)
s.serve_forever()`;
const serving = (family: string): string[] => [...python, "-c", `FAMILY = "${family}"\n${PYTHON_HTTP}`];

/** Answers a whole request in one piece and closes. */
const AT_ONCE = `
import socket
s = socket.socket(fileno=3)
print("x", flush=True)
while True:
  c, head = s.accept()[0], b""
  while not head.endswith(b"\\r\\n\\r\\n"): head += c.recv(4096)
  c.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n"); c.close()`;

/** Says a line to whoever connects. */
const says = (line: string): string[] => [
  ...python,
  "-c",
  `import socket, time\ns = socket.socket(fileno=3)\nprint("x", flush=True)\nwhile True:\n  c = s.accept()[0]; c.sendall(b"${line}"); time.sleep(100)`,
];

function target(fd: OwnedFd, path?: string, source?: string): ProbeTarget {
  const http = path === undefined ? {} : { http: { path, status: [] } };
  return probeTarget({ ...policy, ...http }, [localAddress(fd)], source)!;
}

const ask = (to: ProbeTarget, ...pids: number[]): Promise<ProbeResult> =>
  probeOnce(to, { timeoutMs: 5_000, pids: () => pids });

/** The same for a loop. */
const asking = (to: ProbeTarget, pid: number) => (signal: AbortSignal) =>
  probeOnce(to, { timeoutMs: 5_000, pids: () => [pid], signal });

describe.skipIf(!canLook)("a probe over HTTP", () => {
  test.each([
    ["200", { ok: true }],
    ["204", { ok: true }],
    ["302", { ok: true }],
    ["404", { ok: false, reason: "GET /404 answered 404" }],
    ["503", { ok: false, reason: "GET /503 answered 503" }],
    ["close", { ok: false, reason: "GET /close: the connection was closed without an answer" }],
  ])("of a Node worker that answers %s", async (answer, result) => {
    const fd = scene.listener(loopback);
    const pid = await scene.program(fd, node);
    expect(await ask(target(fd, `/${answer}`), pid)).toEqual(result);
  });

  test.each<[string, SocketAddress]>([
    ["IPv4", loopback],
    ["IPv6", { kind: "ipv6", host: "::1", port: 0 }],
    ["every address", { kind: "ipv6", host: "::", port: 0 }],
    ["unix", { kind: "unix", path: `@holdfast-probe-${process.pid}` }],
  ])("reaches a Python worker over %s", async (_how, address) => {
    const fd = scene.listener(address, address.kind === "unix" ? "unix" : "tcp");
    const pid = await scene.program(fd, serving(address.kind));
    expect(await ask(target(fd, "/200"), pid)).toEqual({ ok: true });
    expect(await ask(target(fd, "/500"), pid)).toEqual({ ok: false, reason: "GET /500 answered 500" });
  });

  test("takes the statuses that it is told to", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.program(fd, node);
    const told = (path: string) => {
      const to = target(fd, path);
      return ask({ ...to, http: { ...to.http!, status: [401] } }, pid);
    };
    expect(await told("/401")).toEqual({ ok: true });
    expect(await told("/200")).toEqual({ ok: false, reason: "GET /200 answered 200" });
  });

  test("says what answers without HTTP", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.program(fd, says("SSH-2.0\\r\\n"));
    const reason = 'GET / answered "SSH-2.0··", which is no HTTP/1';
    expect(await ask(target(fd, "/"), pid)).toEqual({ ok: false, reason });
  });

  test.each([
    ["does not answer", node, "GET /hang got no answer within 300 ms"],
    ["does not accept", ["sh", "-c", "echo x; exec sleep 100"], "nobody accepted the connection to"],
  ])("ends in time when the worker %s", async (_what, argv, reason) => {
    const fd = scene.listener(loopback);
    const pid = await scene.program(fd, argv);
    const result = await probeOnce(target(fd, "/hang"), { timeoutMs: 300, pids: () => [pid] });
    expect(result).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  });

  test.each([
    ["of Node", node],
    ["that has answered and closed before anybody can look", [...python, "-c", AT_ONCE]],
  ])("reaches a worker %s, which gets connections with their first bytes only", async (_which, argv) => {
    const fd = scene.listener(loopback);
    setSocketOption(fd, "TCP_DEFER_ACCEPT", 30);
    const pid = await scene.program(fd, argv);
    expect(await ask(target(fd, "/200"), pid)).toEqual({ ok: true });
  });

  test("counts an answer of a child that the connection was passed to", async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-probe-"));
    const file = join(folder, "cluster.cjs");
    writeFileSync(
      file,
      `const cluster = require("cluster"); if (cluster.isPrimary) cluster.fork(); else {${NODE_HTTP}}`,
    );
    const fd = scene.listener(loopback);
    const pid = await scene.program(fd, ["node", file]);
    const [child] = childrenOf(pid);
    expect(await ask(target(fd, "/200"), pid, child!)).toEqual({ ok: true });
    rmSync(folder, { recursive: true });
  });
});

describe.skipIf(!canLook || process.getuid?.() !== 0)("a probe without privilege", () => {
  afterEach(() => {
    process.seteuid!(0);
    process.setegid!(0);
  });

  test("reaches a worker of the same user, and cannot tell who answers for another one", async () => {
    const [own, foreign] = [scene.listener(loopback), scene.listener(loopback)];
    const pids = [await scene.program(own, node, { uid: 65534 }), await scene.program(foreign, node)] as const;
    const [ownTarget, foreignTarget] = [target(own, "/200"), target(foreign, "/200")];
    process.setegid!(65534);
    process.seteuid!(65534);
    expect(await ask(ownTarget, pids[0])).toEqual({ ok: true });
    const reason = expect.stringMatching(/^the kernel does not tell who answers 127\.0\.0\.1:/);
    expect(await ask(foreignTarget, pids[1])).toEqual({ ok: false, reason });
  });
});

describe.skipIf(!canLook)("a probe by connection", () => {
  test("succeeds once the worker accepts", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.worker(fd);
    expect(await ask(target(fd), pid)).toEqual({ ok: true });
  });

  test("says that nobody listens", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, "close");
    const result = await ask({ address: { kind: "ipv4", host: "127.0.0.1", port } }, process.pid);
    expect(result).toEqual({ ok: false, reason: `could not connect to 127.0.0.1:${port}: connection refused` });
  });

  test("says that there is no such path", async () => {
    const result = await ask({ address: { kind: "unix", path: "/nonexistent/s" } }, process.pid);
    expect(result).toEqual({ ok: false, reason: "could not connect to /nonexistent/s: no such file or directory" });
  });

  test("does not wait for room in a full unix queue", async () => {
    const fd = scene.listener({ kind: "unix", path: `@holdfast-full-${process.pid}` }, "unix");
    listen(fd, 0);
    await scene.client(fd);
    expect(await ask(target(fd), process.pid)).toMatchObject({
      ok: false,
      reason: expect.stringContaining("could not"),
    });
  });
});

describe.skipIf(!canLook)("a probe of one of several workers", () => {
  test("does not take the answer of another one, and asks it nothing", async () => {
    const fd = scene.listener(loopback);
    const other = await scene.program(fd, node);
    expect(await ask(target(fd, "/200"), process.pid)).toEqual({ ok: "other-worker" });
    expect(await ask(target(fd, "/200"), other)).toEqual({ ok: true });
  });

  test("is repeated until this one is met", async () => {
    const fd = scene.listener(loopback);
    const pids = [await scene.program(fd, node), await scene.program(fd, node), await scene.program(fd, node)];
    for (const pid of pids) {
      await new Promise<void>((resolve) => {
        new ProbeLoop({ policy, ask: asking(target(fd, "/200"), pid), onReady: resolve });
      });
    }
  });

  test("fails in words when others take every connection", async () => {
    const fd = scene.listener(loopback);
    await scene.program(fd, node);
    const loop = await new Promise<ProbeLoop>((resolve) => {
      const made: ProbeLoop = new ProbeLoop({
        policy,
        ask: asking(target(fd, "/200"), process.pid),
        onReady: () => {},
        onFailure: () => resolve(made),
      });
    });
    loop.close();
    expect(loop.lastReason).toMatch(/^other processes took all 64 connections$/);
  });
});

describe.skipIf(!canLook)("a repeated probe", () => {
  test("makes ready what failed at first, after so many successes in a row", async () => {
    const fd = scene.listener(loopback);
    const text = `let n = 0; require("http").createServer((q, r) => r.writeHead([503, 200, 503, 200, 200, 200][n++]).end()).listen({ fd: 3 }, () => console.log("x"))`;
    const pid = await scene.program(fd, ["node", "-e", text]);
    const reasons: string[] = [];
    await new Promise<void>((resolve) => {
      const options = { policy: { ...policy, successes: 3 }, ask: asking(target(fd, "/"), pid) };
      new ProbeLoop({ ...options, onReady: resolve, onFailure: (reason) => reasons.push(reason) });
    });
    expect(reasons).toEqual(["GET / answered 503", "GET / answered 503"]);
  });

  test("says nothing once it was closed", async () => {
    const fd = scene.listener(loopback);
    const pid = await scene.program(fd, node);
    const own = opened().length;
    let said = 0;
    const heard = (): void => void said++;
    const loop = new ProbeLoop({
      policy,
      ask: asking(target(fd, "/hang"), pid),
      onReady: heard,
      onFailure: heard,
    });
    await expect.poll(() => opened().length, soon).toBe(own + 1);
    loop.close();
    loop.close();
    await expect.poll(() => opened().length, soon).toBe(own);
    expect(said).toBe(0);
  });
});

describe("the target of a probe", () => {
  const own = (host: string, kind: "ipv4" | "ipv6"): SocketAddress => ({ kind, host, port: 80 });
  const http = { http: { path: "/", status: [] } };

  test.each([
    ["127.0.0.1", "ipv4", undefined, { address: own("127.0.0.1", "ipv4") }],
    ["0.0.0.0", "ipv4", undefined, { address: own("127.0.0.1", "ipv4") }],
    ["::", "ipv6", undefined, { address: own("::1", "ipv6") }],
    ["::", "ipv6", "127.88.0.2", { address: own("127.0.0.1", "ipv4"), localAddress: "127.88.0.2" }],
    ["127.0.0.1", "ipv4", "127.88.0.2", { address: own("127.0.0.1", "ipv4"), localAddress: "127.88.0.2" }],
    ["::1", "ipv6", "127.88.0.2", { address: own("::1", "ipv6") }],
  ] as const)("is %s (%s) from %s", (host, kind, source, wanted) => {
    expect(probeTarget(policy, [own(host, kind)], source)).toEqual(wanted);
  });

  test("is the address of the policy, whatever the worker has", () => {
    const address = { kind: "tcp", host: "::1", port: 9000, family: "ipv6" } as const;
    const wanted = {
      address: { kind: "ipv6", host: "::1", port: 9000 },
      http: { path: "/", host: "[::1]:9000", status: [] },
    };
    expect(probeTarget({ ...policy, ...http, address }, [own("127.0.0.1", "ipv4")], "127.88.0.1")).toEqual(wanted);
  });

  test("has the host that was written", () => {
    const policyOfHost = { ...policy, http: { path: "/", host: "example.org", status: [] } };
    expect(probeTarget(policyOfHost, [{ kind: "unix", path: "/s" }])?.http?.host).toBe("example.org");
    expect(probeTarget({ ...policy, ...http }, [{ kind: "unix", path: "/s" }])?.http?.host).toBe("localhost");
  });

  test("is nothing where the worker has no socket", () => {
    expect(probeTarget({ ...policy, ...http }, [])).toBeUndefined();
  });
});

describe.skipIf(!canLook)("a probe with a source address", () => {
  test("comes from there", async () => {
    const fd = scene.listener({ kind: "ipv6", host: "::", port: 0 });
    const text = `require("http").createServer((q, r) => r.writeHead(q.socket.remoteAddress === "::ffff:127.88.0.3" ? 200 : 500).end()).listen({ fd: 3 }, () => console.log("x"))`;
    const pid = await scene.program(fd, ["node", "-e", text]);
    expect(await ask(target(fd, "/", "127.88.0.3"), pid)).toEqual({ ok: true });
    expect(await ask(target(fd, "/"), pid)).toEqual({ ok: false, reason: "GET / answered 500" });
  });
});
