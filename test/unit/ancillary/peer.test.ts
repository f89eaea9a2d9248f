import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type KernelFeature,
  kernelOffers,
  openPidfd,
  peerGroups,
  peerPidfd,
  socket,
  socketPair,
  UnixListener,
  type UnixStream,
} from "../../../src/ancillary/index.js";
import { python } from "../../fixtures/python.js";
import { newDescriptors, openDescriptors } from "./census.js";
import { runProgram } from "./program.js";

let before: Map<number, string>;
beforeEach(() => {
  before = openDescriptors();
});
afterEach(() => {
  expect(newDescriptors(before)).toEqual([]);
});

describe("a peer", () => {
  test("has the groups of its process", () => {
    const [a, b] = socketPair("unix");
    expect(peerGroups(a).sort()).toEqual(ownGroups());
    a.close();
    b.close();
  });

  test.runIf(process.getuid?.() === 0)("has as many groups as it likes", async () => {
    const groups = Array.from({ length: 300 }, (_, index) => 1000 + index);
    const seen = await runProgram(
      `const [a] = library.socketPair("unix"); report(library.peerGroups(a).toSorted((x, y) => x - y));`,
      { under: ["setpriv", `--groups=${groups.join()}`] },
    );
    expect(seen).toEqual([groups]);
  });

  test.runIf(kernelOffers("SO_PEERPIDFD"))("is its very process, as a pidfd that is not inherited", () => {
    const [a, b] = socketPair("unix");
    const [pidfd, own] = [peerPidfd(a), openPidfd(process.pid)];
    expect(openDescriptors().get(pidfd.borrow().number)).toBe("anon_inode:[pidfd]");
    expect(pidfd.identity()).toEqual(own.identity());
    for (const fd of [a, b, pidfd, own]) fd.close();
  });

  test.runIf(kernelOffers("SO_PEERPIDFD"))("that is gone is an error, not another process", async () => {
    const listener = UnixListener.bind("");
    const { path } = listener.localAddress() as { path: string };
    const child = spawn(python[0], [
      ...python.slice(1),
      "-c",
      `import socket; socket.socket(socket.AF_UNIX).connect(chr(0) + "${path.slice(1)}")`,
    ]);
    await once(child, "exit");
    const connection = listener.accept() as UnixStream;
    expect(connection.peerCred().pid).toBe(child.pid);
    let code: unknown;
    try {
      // Since Linux 6.16 the pidfd of a reaped process can be had here: it tells its end, and reaches nobody.
      peerPidfd(connection.fd).close();
    } catch (error) {
      ({ code } = error as NodeJS.ErrnoException);
    }
    expect([undefined, "ESRCH", "EINVAL"]).toContain(code);
    connection.close();
    listener.close();
  });

  test("that is not there is an error", () => {
    using lonely = socket("unix", "unix");
    const noData = expect.objectContaining({ code: "ENODATA", syscall: "getsockopt" });
    expect(() => peerGroups(lonely)).toThrow(noData);
    if (kernelOffers("SO_PEERPIDFD")) expect(() => peerPidfd(lonely)).toThrow(noData);
  });
});

test("a kernel feature that nobody knows is refused", () => {
  expect(() => kernelOffers("SO_TYPE" as KernelFeature)).toThrow(TypeError);
});

/** From /proc: process.getgroups() adds the effective group. */
function ownGroups(): number[] {
  const line = /^Groups:(.*)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  return (line.match(/\d+/g) ?? []).map(Number).sort();
}
