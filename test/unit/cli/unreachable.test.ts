import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bind, listen, socket } from "../../../src/ancillary/index.js";
import { exchange } from "../../../src/cli/transport.js";
import { unreachableSentence } from "../../../src/cli/unreachable.js";
import { fillQueue } from "../../fixtures/full-queue.js";
import { ControlFixture } from "../control/control-fixture.js";
import { aService } from "../control/fake-operations.js";
import { readUntil, runBin, startBin } from "./cli-fixture.js";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
  path = join(folder, "control.sock");
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("a command without a supervisor", () => {
  const ls = (...more: string[]) => runBin(["ls", "--control", path, ...more]);

  test("says that there is no socket", async () => {
    const { code, out, err } = await ls();
    expect([code, out]).toEqual([151, ""]);
    expect(err).toMatch(
      /^holdfast: no supervisor runs here: there is no control socket .*; start it with "holdfast run/,
    );
  });

  test("waits for one that is about to be there, if it is wait", async () => {
    const fixture = new ControlFixture();
    fixture.operations.serviceViews = [aService("web")];
    const child = startBin(["wait", "web", "--control", path, "--timeout", "20s"]);
    const ended = once(child, "close");
    await readUntil(child.stderr, /no supervisor listens on .*control\.sock yet\n/);
    symlinkSync(fixture.path, path);
    expect(await ended).toEqual([0, null]);
    await fixture.close();
  });

  test("waits for one no longer than it was told to", async () => {
    const { code, err } = await runBin(["wait", "web", "--control", path, "--timeout", "100ms"]);
    expect(code).toBe(151);
    // Where the first look takes as long as that, it has not waited.
    expect(err).toMatch(/^(holdfast: .* yet\n)?holdfast: no supervisor runs here: there is no control socket/);
  });

  test("says that nobody listens on a socket that was left behind", async () => {
    const left = socket("unix", "unix");
    bind(left, { kind: "unix", path });
    listen(left, 1);
    left.close();
    const { code, err } = await ls();
    expect(code).toBe(151);
    expect(err).toContain("nobody listens on");
    expect(err).toContain("left behind");
  });

  test("waits for room in a queue that is full, and no longer than it may", async () => {
    const full = socket("unix", "unix");
    bind(full, { kind: "unix", path });
    listen(full, 0);
    const waiting = fillQueue(path);
    const ask = { method: "GET", path: "/v1/supervisor" };
    await expect(exchange(path, { ...ask, timeoutMs: 100 })).rejects.toMatchObject({ code: "ETIMEDOUT" });

    const asked = exchange(path, ask);
    await new Promise(setImmediate); // It is refused by now.
    for (const client of waiting) client.close();
    const server = createServer((client) => {
      client.on("error", () => {});
      client.on("data", () => client.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{"pid":7}'));
    }).listen({ fd: full.release() });
    expect(await asked).toEqual({ status: 200, body: { pid: 7 } });
    server.close();
    expect(unreachableSentence("EAGAIN", "", path, [path])).toContain("its queue is full");
  });

  test("says that a file is not a socket", async () => {
    writeFileSync(path, "");
    expect((await ls()).err).toContain("is not a socket");
  });

  test("says that something else listens", async () => {
    const other = createServer((client) => client.on("error", () => {}).end("220 smtp ready\r\n")).listen(path);
    await once(other, "listening");
    const { code, err } = await ls();
    other.close();
    expect(code).toBe(151);
    expect(err).toMatch(/no supervisor of Holdfast|cannot be reached/);
  });

  test("names every default path that it tried", () => {
    const tried = ["/run/user/1/holdfast/control.sock", "/run/holdfast/control.sock"];
    expect(unreachableSentence("ENOENT", "", tried[1]!, tried)).toContain(`${tried[1]} (tried before it: ${tried[0]})`);
  });

  test.runIf(process.getuid?.() === 0)("says who may connect where permission is denied", () => {
    const held = socket("unix", "unix");
    bind(held, { kind: "unix", path });
    held.close();
    chmodSync(path, 0o660);
    expect(unreachableSentence("EACCES", "", path, [path])).toMatch(
      /permission denied on .* \(mode 0660\): root, the user root and members of the group root may use it/,
    );
  });
});

describe("a command that is not permitted", () => {
  test("exits with 4 and says who is", async () => {
    const fixture = new ControlFixture({ authorize: () => "denied" });
    const { code, out, err } = await runBin(["stop", "web", "--control", fixture.path]);
    expect([code, out]).toEqual([4, ""]);
    expect(err).toBe(
      "holdfast: only root, the user of the supervisor and members of its control_group may use the control socket\n",
    );
    expect((await runBin(["status", "web", "--control", fixture.path])).code).toBe(4);
    await fixture.close();
  });
});
