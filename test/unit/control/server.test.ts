import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync } from "node:fs";
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { authorizer } from "../../../src/daemon/control/authorize.js";
import type { RouteContext } from "../../../src/daemon/control/route.js";
import { routes } from "../../../src/daemon/control/routes.js";
import * as schemas from "../../../src/daemon/control/schemas.js";
import { ControlFixture, openDescriptors, readToEnd } from "./control-fixture.js";
import { aFailure, aLine, anEvent, aService, FakeOperations } from "./fake-operations.js";

// biome-ignore lint/suspicious/noExplicitAny: the bodies are looked into as a client in another language would.
type Json = any;

let fixture: ControlFixture;
let before: string[];

async function open(...o: ConstructorParameters<typeof ControlFixture>): Promise<ControlFixture> {
  await fixture?.close();
  fixture = new ControlFixture(...o);
  return fixture;
}

beforeEach(async () => {
  before = openDescriptors();
  fixture = new ControlFixture();
});

afterEach(async () => {
  await fixture.close();
  expect(fixture.operations.followerCount).toBe(0);
  // The far ends of the connections, which are in this process too, close a little later.
  await expect.poll(openDescriptors).toEqual(before);
});

async function ask(method: string, path: string, body?: string): Promise<{ status: number; json: Json }> {
  const client = request({ socketPath: fixture.path, method, path, agent: false });
  const closed = once(client, "close");
  client.end(body);
  const [answer] = await once(client, "response");
  let text = "";
  for await (const chunk of answer) text += chunk;
  await closed;
  return { status: answer.statusCode, json: text === "" ? undefined : JSON.parse(text) };
}

const get = (path: string) => ask("GET", path);
const post = (path: string, body: unknown) => ask("POST", path, JSON.stringify(body));

describe("a control server", () => {
  test("answers with the plan, and applies the plan that was shown", async () => {
    const { operations } = fixture;
    const change = {
      subject: "service",
      name: "web",
      change: "change",
      how: "rolling",
      keys: ["command"],
      message: "m",
    } as const;
    operations.planView = { ...operations.planView, changes: [change], warnings: ["w"] };
    operations.applyView = {
      result: "rolled-back",
      message: "m",
      changes: [change],
      service: "web",
      receipts: [],
      durationMs: 1,
    };
    expect(schemas.planView.strict().parse((await get("/v1/plan")).json)).toEqual(operations.planView);
    const { status, json } = await post("/v1/apply", { plan: operations.planView.id });
    expect(status).toBe(200);
    expect(schemas.applyView.strict().parse(json)).toEqual(operations.applyView);
    await post("/v1/apply", {});
    expect(operations.applied).toEqual([operations.planView.id, undefined]);
    expect((await post("/v1/apply", { config: "/etc/shadow" })).status).toBe(400);
  });

  test("answers with the views, as its own schemas describe them", async () => {
    const { operations } = fixture;
    operations.serviceViews = [aService("web", { phase: "backoff", lastFailure: aFailure(), next: "another start" })];
    operations.lines = [aLine("hello")];
    operations.eventViews = [anEvent(1)];
    expect(schemas.supervisorView.strict().parse((await get("/v1/supervisor")).json)).toEqual(
      operations.supervisorView,
    );
    const { json } = await get("/v1/services");
    expect(schemas.serviceView.strict().parse(json.services[0])).toEqual(operations.serviceViews[0]);
    expect((await get("/v1/services/web")).json).toEqual(operations.serviceViews[0]);
    expect((await get("/v1/sockets")).json).toEqual({ sockets: operations.socketViews });
    expect((await get("/v1/services/web/logs?lines=5")).json).toEqual({ lines: [aLine("hello")], dropped: 0 });
    expect((await get("/v1/events")).json).toEqual({ events: [anEvent(1)] });
  });

  test("passes an action on and answers with its outcome", async () => {
    const { status, json } = await post("/v1/services/web/actions", { action: "restart" });
    expect(status).toBe(200);
    expect(schemas.outcome.strict().parse(json).result).toBe("done");
    expect(fixture.operations.acted).toEqual([{ service: "web", action: { action: "restart", hard: false } }]);
    expect(fixture.logged).toMatchObject([
      { event: "control-action", data: { uid: process.getuid?.(), service: "web" } },
    ]);
  });

  test("has the keeper re-executed, and takes nothing but an absolute path for it", async () => {
    const { status, json } = await post("/v1/supervisor/re-exec", {});
    expect(status).toBe(200);
    expect(schemas.reExecView.strict().parse(json).reExecs).toBe(2);
    expect((await post("/v1/supervisor/re-exec", { path: "/opt/holdfast-keeper" })).status).toBe(200);
    for (const path of ["holdfast-keeper", "", "/x\0y", `/${"x".repeat(4095)}`])
      expect((await post("/v1/supervisor/re-exec", { path })).status, path).toBe(400);
    expect(fixture.operations.reExecuted).toEqual([undefined, "/opt/holdfast-keeper"]);
    expect(fixture.logged).toMatchObject([{ data: { action: "re-exec" } }, { data: { path: "/opt/holdfast-keeper" } }]);
  });

  test("has the supervisor upgraded, and takes nothing but an absolute path and a time for it", async () => {
    const { status, json } = await post("/v1/supervisor/upgrade", { timeoutMs: 500 });
    expect(status).toBe(200);
    expect(schemas.upgradeView.strict().parse(json)).toMatchObject({ result: "willing", id: "17" });
    expect((await post("/v1/supervisor/upgrade", { directory: "/opt/holdfast-2", timeoutMs: 1 })).status).toBe(200);
    for (const body of [{}, { timeoutMs: 0 }, { timeoutMs: 1, directory: "next" }, { timeoutMs: 1, path: "/x" }])
      expect((await post("/v1/supervisor/upgrade", body)).status, JSON.stringify(body)).toBe(400);
    expect(fixture.operations.upgraded).toEqual([
      [undefined, 500],
      ["/opt/holdfast-2", 1],
    ]);
    expect(fixture.logged).toMatchObject([{ data: { action: "upgrade" } }, { data: { directory: "/opt/holdfast-2" } }]);
  });

  test("lets nobody but root and its own user name a program that runs as that user", async () => {
    const route = routes.find(({ operationId }) => operationId === "reExecKeeper")!;
    const operations = new FakeOperations();
    const ask = (uid: number, body: unknown) =>
      route.answer(
        { operations, log: () => {}, peer: { pid: 1, uid, gid: uid } } as unknown as RouteContext,
        "",
        {},
        body,
      );
    const stranger = process.getuid!() + 4711;
    await expect(ask(stranger, { path: "/tmp/mine" })).rejects.toMatchObject({ code: "permission-denied" });
    expect(operations.reExecuted).toEqual([]);
    await ask(stranger, {});
    await ask(process.getuid!(), { path: "/tmp/mine" });
    expect(operations.reExecuted).toEqual([undefined, "/tmp/mine"]);
  });

  test("lets nobody but root and its own user name another version of the supervisor", async () => {
    const route = routes.find(({ operationId }) => operationId === "upgradeSupervisor")!;
    const operations = new FakeOperations();
    const ask = (uid: number, body: unknown) => {
      const context = { operations, log: () => {}, peer: { pid: 1, uid, gid: uid } } as unknown as RouteContext;
      return route.answer(context, "", {}, body);
    };
    const stranger = process.getuid!() + 4711;
    await expect(ask(stranger, { directory: "/tmp/mine", timeoutMs: 1 })).rejects.toMatchObject({
      code: "permission-denied",
    });
    expect(operations.upgraded).toEqual([]);
    await ask(stranger, { timeoutMs: 1 });
    expect(operations.upgraded).toEqual([[undefined, 1]]);
  });

  test("finds a name that has to be escaped", async () => {
    fixture.operations.serviceViews = [aService("a b/c")];
    expect((await get("/v1/services/a%20b%2Fc")).json.name).toBe("a b/c");
  });

  test("waits, and tells the runtime when the one who waited has gone", async () => {
    expect((await get("/v1/services/web/wait?for=ready&timeout=5")).json).toEqual({ result: "reached" });
    let asked: () => void = () => {};
    const wasAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    fixture.operations.wait = () => {
      asked();
      return new Promise(() => {});
    };
    const client = fixture.connect();
    client.write("GET /v1/services/web/wait?for=stopped HTTP/1.1\r\nhost: x\r\n\r\n");
    await wasAsked;
    const signal = fixture.operations.waitSignals.at(-1);
    const aborted = once(signal!, "abort");
    client.destroy();
    await aborted;
  });

  test("describes every route in its OpenAPI document, with no reference that leads nowhere", async () => {
    const { json } = await get("/v1/openapi.json");
    expect(json.openapi).toMatch(/^3\.1/);
    expect(Object.keys(json.paths).sort()).toEqual([...new Set(routes.map(({ path }) => path))].sort());
    const references = JSON.stringify(json).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g);
    const names = [...references].map(([, name]) => name);
    expect(names).toContain("Service");
    for (const name of names) expect(json.components.schemas).toHaveProperty(name!);
  });

  test.each([
    ["GET", "/v1/nothing", undefined, 404, "no-such-route"],
    ["GET", "/v1/services/nope", undefined, 404, "no-such-service"],
    ["GET", "/v1/services/nope/logs", undefined, 404, "no-such-service"],
    ["GET", "/v1/services/nope/wait?for=ready", undefined, 404, "no-such-service"],
    ["POST", "/v1/services/nope/actions", '{"action":"stop"}', 404, "no-such-service"],
    ["DELETE", "/v1/services/web", undefined, 405, "method-not-allowed"],
    ["GET", "/v1/services/web/actions", undefined, 405, "method-not-allowed"],
    ["POST", "/v1/services/web/actions", "{", 400, "bad-request"],
    ["POST", "/v1/services/web/actions", "", 400, "bad-request"],
    ["POST", "/v1/services/web/actions", '{"action":"explode"}', 400, "bad-request"],
    ["POST", "/v1/services/web/actions", '{"action":"scale","workers":0}', 400, "bad-request"],
    ["POST", "/v1/services/web/actions", '{"action":"stop","workers":1}', 400, "bad-request"],
    ["POST", "/v1/services/web/actions", '{"action":"signal","signal":"SIGNOT"}', 400, "bad-request"],
    ["GET", "/v1/services/web/wait", undefined, 400, "bad-request"],
    ["GET", "/v1/services/web/wait?for=ready&timeout=99999999", undefined, 400, "bad-request"],
    ["GET", "/v1/events?lines=-1", undefined, 400, "bad-request"],
    ["GET", "/v1/events?line=1", undefined, 400, "bad-request"],
    ["POST", "/v1/services/web/actions", `"${"x".repeat(64 * 1024)}"`, 413, "body-too-large"],
  ])("refuses %s %s with %s in words", async (method, path, body, status, code) => {
    const answer = await ask(method, path, body);
    expect(fixture.logged).toEqual([]);
    expect(answer).toMatchObject({ status, json: { error: { code } } });
    expect(answer.json.error.message).toMatch(/\w+ \w+/);
    expect(fixture.operations.acted).toEqual([]);
  });

  test("takes a body in chunks, and no more than its limit of them", async () => {
    const send = async (chunks: string[]) => {
      const client = request({
        socketPath: fixture.path,
        method: "POST",
        path: "/v1/services/web/actions",
        agent: false,
      });
      const closed = once(client, "close");
      for (const chunk of chunks) client.write(chunk);
      client.end();
      const [answer] = await once(client, "response");
      answer.resume();
      await closed;
      return answer.statusCode;
    };
    expect(await send(['{"action":', '"stop"}'])).toBe(200);
    expect(await send(Array.from({ length: 5 }, () => " ".repeat(16 * 1024)))).toBe(413);
  });

  test("does not open a stream for HEAD", async () => {
    expect((await ask("HEAD", "/v1/events?follow=1")).status).toBe(405);
    expect(fixture.operations.followerCount).toBe(0);
  });

  test("hides what it did not expect, and logs it", async () => {
    fixture.operations.outcome = () => {
      throw new Error("secret");
    };
    const { status, json } = await post("/v1/services/web/actions", { action: "stop" });
    expect(status).toBe(500);
    expect(JSON.stringify(json)).not.toContain("secret");
    expect(fixture.logged.at(-1)).toMatchObject({ level: "error", event: "control-internal-error" });
  });
});

describe("a follower of a control server", () => {
  async function stream(path: string) {
    const client = request({ socketPath: fixture.path, path, agent: false });
    client.on("error", () => {});
    client.end();
    const [answer] = await once(client, "response");
    answer.setEncoding("utf8");
    return { client, answer };
  }

  test("gets the last entries and then each new one", async () => {
    fixture.operations.eventViews = [anEvent(1), anEvent(2)];
    const { client, answer } = await stream("/v1/events?follow=1&lines=1");
    expect(answer.headers["content-type"]).toBe("text/event-stream");
    const [first] = await once(answer, "data");
    expect(first).toBe(`id: 2\nevent: event\ndata: ${JSON.stringify(anEvent(2))}\n\n`);
    const next = once(answer, "data");
    fixture.operations.emitEvent(anEvent(3));
    expect((await next)[0]).toContain('"sequence":3');
    client.destroy();
    await fixture.operations.followers(0);
  });

  test("has its headers before there is anything to say", async () => {
    const { client } = await stream("/v1/services/web/logs?follow=1&lines=0");
    client.destroy();
    await fixture.operations.followers(0);
  });

  test("ends in order when the server closes", async () => {
    const { answer } = await stream("/v1/events?follow=1");
    const end = once(answer, "end");
    answer.resume();
    await fixture.replaceServer();
    await end;
    expect(answer.complete).toBe(true);
  });

  test("that does not read is told how much it missed, and disconnected", async () => {
    const { answer } = await stream("/v1/services/web/logs?follow=1&lines=0");
    await fixture.operations.followers(1);
    const count = 4000;
    for (let i = 0; i < count; i += 1) fixture.operations.emitLine(aLine("x".repeat(1024)));
    let text = "";
    for await (const chunk of answer) text += chunk;
    const got = text.match(/^event: log$/gm)?.length ?? 0;
    const gap = /event: gap\ndata: \{"dropped":(\d+)\}\n\n$/.exec(text);
    expect(got).toBeLessThan(count);
    expect(got + Number(gap?.[1])).toBe(count);
    expect(fixture.logged).toMatchObject([{ event: "control-follower-too-slow", data: { dropped: count - got } }]);
  });

  test("that never reads again is cut off", async () => {
    await open({ limits: { unreadMs: 50 } });
    const { client } = await stream("/v1/services/web/logs?follow=1&lines=0");
    await fixture.operations.followers(1);
    for (let i = 0; i < 4000; i += 1) fixture.operations.emitLine(aLine("x".repeat(1024)));
    await fixture.operations.followers(0);
    client.destroy();
  });
});

describe("the gate of a control server", () => {
  test("lets a client wait in silence for longer than it may leave an answer unread", async () => {
    await open({ limits: { unreadMs: 10, requestMs: 500 } });
    fixture.operations.wait = () => delay(800, "reached" as const);
    expect((await get("/v1/services/web/wait?for=ready")).json).toEqual({ result: "reached" });
  });

  test("answers a denied caller with 403 and one line in the log, whatever it asks", async () => {
    await open({ authorize: () => "denied" });
    for (let i = 0; i < 3; i += 1) {
      const { status, json } = await post("/v1/services/web/actions", { action: "stop" });
      expect(status).toBe(403);
      expect(json.error.code).toBe("permission-denied");
    }
    expect(fixture.operations.acted).toEqual([]);
    expect(fixture.logged).toMatchObject([
      { event: "control-denied", data: { uid: process.getuid?.(), pid: process.pid } },
    ]);
  });

  test.runIf(process.getuid?.() === 0)("knows another user by the kernel's word", async () => {
    await open({ authorize: authorizer({ ownUid: 0, controlGroup: "0" }) as never });
    chmodSync(fixture.folder, 0o755);
    chmodSync(fixture.path, 0o666);
    const script = `require("node:http").get({socketPath:${JSON.stringify(fixture.path)},path:"/v1/services"},(a)=>{process.stdout.write(String(a.statusCode))})`;
    const child = spawn(process.execPath, ["-e", script], { uid: 65534, gid: 65534, cwd: "/" });
    const [[code], [text]] = await Promise.all([once(child, "close"), once(child.stdout, "data")]);
    expect([code, String(text)]).toEqual([0, "403"]);
    expect(fixture.logged).toMatchObject([{ event: "control-denied", data: { uid: 65534, pid: child.pid } }]);
  });

  test("turns away who comes when all places are taken, and admits the next when one is free", async () => {
    await open({ limits: { maxConnections: 2 } });
    const first = request({ socketPath: fixture.path, path: "/v1/events?follow=1", agent: false }).end();
    const second = request({ socketPath: fixture.path, path: "/v1/events?follow=1", agent: false }).end();
    await fixture.operations.followers(2);
    expect(await get("/v1/services")).toMatchObject({ status: 503, json: { error: { code: "too-many-connections" } } });
    expect(fixture.logged).toMatchObject([{ event: "control-full" }]);
    for (const client of [first, second]) client.on("error", () => {}).destroy();
    await fixture.operations.followers(0);
    expect((await get("/v1/services")).status).toBe(200);
  });

  test.each([
    ["is silent", ""],
    ["never ends its headers", "GET /v1/services HTTP/1.1\r\nx-a: b\r\n"],
    ["never ends its body", "POST /v1/services/web/actions HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{"],
  ])("does not wait for a client that %s", async (_, text) => {
    await open({ limits: { requestMs: 50 } });
    const client = fixture.connect();
    client.write(text);
    expect(await readToEnd(client)).toMatch(/^HTTP\/1\.1 408 .*request-timeout/s);
    expect(fixture.operations.acted).toEqual([]);
  });

  test.each([
    ["garbage", Buffer.from([0, 255, 1, 2, 3, 13, 10, 13, 10]), 400],
    ["another protocol", Buffer.from("SSH-2.0-OpenSSH_9.6\r\n"), 400],
    ["headers without end", Buffer.from(`GET / HTTP/1.1\r\na: ${"b".repeat(20_000)}\r\n`), 431],
    ["a target that is no path", Buffer.from("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n"), 400],
    ["a host that is none", Buffer.from("GET / HTTP/1.1\r\nhost: a b/%\r\n\r\n"), 400],
  ])("answers %s with an error and goes on", async (_, bytes, status) => {
    const client = fixture.connect();
    client.write(bytes);
    expect(await readToEnd(client)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*"error":`, "s"));
    expect((await get("/v1/services")).status).toBe(200);
  });

  test("survives random bytes, cut anywhere", async () => {
    let seed = 20260102;
    const random = () => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed;
    };
    const request = "POST /v1/services/web/actions HTTP/1.1\r\nhost: x\r\ncontent-length: 17\r\n\r\n";
    for (let round = 0; round < 50; round += 1) {
      const bytes = Buffer.from(`${request}{"action":"nope"}`);
      for (let i = 0; i < 5; i += 1) bytes[random() % bytes.length] = random() % 256;
      const client = fixture.connect();
      const end = readToEnd(client);
      client.end(bytes.subarray(0, random() % bytes.length));
      await end;
    }
    expect((await get("/v1/services")).status).toBe(200);
    expect(fixture.operations.acted).toEqual([]);
  });

  test("carries one request per connection", async () => {
    const client = fixture.connect();
    client.write("GET /v1/supervisor HTTP/1.1\r\nhost: x\r\n\r\n".repeat(3));
    const text = await readToEnd(client);
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
    expect(text.toLowerCase()).toContain("connection: close");
  });
});
