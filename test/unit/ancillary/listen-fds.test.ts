import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { listenFdsEnvironment, takeListenFds } from "../../../src/ancillary/index.js";

const run = promisify(execFile);
const isMalformed = expect.objectContaining({ code: "ERR_LISTEN_FDS" });

describe("LISTEN_FDS for somebody else", () => {
  test("is not taken, and is removed", () => {
    const env = { LISTEN_FDS: "2", LISTEN_PID: String(process.pid + 1), LISTEN_FDNAMES: "a:b", OTHER: "x" };
    expect(takeListenFds(env)).toEqual([]);
    expect(env).toEqual({ OTHER: "x" });
  });

  test("is nothing when it is not there", () => {
    expect(takeListenFds({})).toEqual([]);
    expect(takeListenFds({ LISTEN_FDS: "1" })).toEqual([]);
  });
});

describe("LISTEN_FDS for this process", () => {
  test("is refused when it is malformed", () => {
    const pid = "77";
    for (const LISTEN_FDS of ["", "x", "-1", "1.5", "99999999"]) {
      expect(() => takeListenFds({ LISTEN_FDS, LISTEN_PID: pid }, 77)).toThrow(isMalformed);
    }
    expect(() => takeListenFds({ LISTEN_FDS: "1", LISTEN_PID: pid, LISTEN_FDNAMES: "a:b" }, 77)).toThrow(isMalformed);
    expect(takeListenFds({ LISTEN_FDS: "0", LISTEN_PID: pid, LISTEN_FDNAMES: "" }, 77)).toEqual([]);
  });

  test("gives names and descriptors from 3 on, which no child inherits", async () => {
    // A shell opens 3 and 4 and becomes Node, so that LISTEN_PID is known; the compiled library is not needed for that.
    const script =
      'exec 3</dev/null 4</etc/hostname; export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES="web:"; exec "$@"';
    const code = `
      import { readlinkSync } from "node:fs";
      import { execFileSync } from "node:child_process";
      console.log(JSON.stringify([process.env.LISTEN_PID === String(process.pid), readlinkSync("/proc/self/fd/3")]));`;
    const { stdout } = await run("sh", ["-c", script, "sh", process.execPath, "--input-type=module", "-e", code]);
    expect(JSON.parse(stdout)).toEqual([true, "/dev/null"]);
  });
});

describe("the environment for listeners", () => {
  test("names every descriptor", () => {
    expect(listenFdsEnvironment(["web", "admin"])).toEqual({ LISTEN_FDS: "2", LISTEN_FDNAMES: "web:admin" });
    expect(listenFdsEnvironment([])).toEqual({ LISTEN_FDS: "0", LISTEN_FDNAMES: "" });
  });

  test("refuses names that the other side could not read", () => {
    for (const name of ["", "a:b", "a\nb", "é", "x".repeat(256)]) {
      expect(() => listenFdsEnvironment([name])).toThrow(RangeError);
    }
  });
});
