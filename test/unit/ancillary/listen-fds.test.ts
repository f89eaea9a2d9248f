import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { listenFdsEnvironment, takeListenFds } from "../../../src/ancillary/index.js";
import { compileLibrary } from "./compiled.js";

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

  test("gives names and descriptors from 3 on, once, and keeps them from children", async () => {
    const library = await compileLibrary();
    // A shell opens 3 and 4 and becomes Node, so that LISTEN_PID is known.
    const script = 'exec 3</dev/null 4</etc/passwd; export LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES="web:"; exec "$@"';
    const code = `
      import { execFileSync } from "node:child_process";
      import { readlinkSync } from "node:fs";
      import { takeListenFds } from "${library}";
      const files = (taken) => taken.map(({ name, fd }) => [name, readlinkSync("/proc/self/fd/" + fd.borrow().number)]);
      const first = files(takeListenFds());
      const child = execFileSync("sh", ["-c", "test -e /proc/self/fd/4 && echo inherited; env | grep -c LISTEN_; true"]);
      console.log(JSON.stringify([first, files(takeListenFds()), String(child).trim()]));`;
    const { stdout } = await run("sh", ["-c", script, "sh", process.execPath, "--input-type=module", "-e", code]);
    const files = [
      ["web", "/dev/null"],
      ["unknown", "/etc/passwd"],
    ];
    expect(JSON.parse(stdout)).toEqual([files, [], "0"]);
  });

  test("is refused when it names what is not open", async () => {
    const free = 1000;
    const code = `
      import { takeListenFds } from "${await compileLibrary()}";
      try { takeListenFds({ LISTEN_FDS: "${free}", LISTEN_PID: String(process.pid) }); }
      catch (error) { console.log(error.code, error.cause.code); }`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", code]);
    expect(stdout).toBe("ERR_LISTEN_FDS EBADF\n");
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
