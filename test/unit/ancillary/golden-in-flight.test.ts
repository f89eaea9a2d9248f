import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readSync, writeSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { pipe } from "../../../src/ancillary/index.js";
import { newDescriptors, openDescriptors } from "./census.js";
import { canRun, readGoldenCases } from "./golden-case.js";
import { GoldenReplay } from "./golden-replay.js";
import { wantedResult } from "./golden-wanted.js";

const golden = readGoldenCases().find(({ name }) => name === "limit.stream.etoomanyrefs")!;

/** Each send of the case puts 100 descriptors in flight; the kernel refuses once more are than the limit. So: more than are open, fewer than 200. */
const limit = 190;
const pid = String(process.pid);

// Each file of tests is a process of its own; this one gives up its privileges for good.
describe("the recording of Rust's SocketAncillary with too many descriptors in flight", () => {
  test.skipIf(!canRun(golden))(golden.name, async () => {
    const before = openDescriptors();
    const [question, ask] = pipe();
    const [hear, answer] = pipe();
    // Raises the limit again when it is told to: this process will have neither the right nor the descriptors to start a program then.
    const script = `read line && prlimit --pid ${pid} --nofile=1024: && echo done`;
    const raiser = spawn("sh", ["-c", script], {
      // As the user that this process becomes: only it, or root with all its capabilities, may change the limit then.
      ...(({ uid, gid }) => ({ uid, gid }))(golden.ops.find(({ op }) => op === "drop_privs")!),
      stdio: [question.borrow().number, answer.borrow().number, "inherit"],
    });
    question.close();
    answer.close();
    execFileSync("prlimit", ["--pid", pid, `--nofile=${limit}:`]);
    const replay = new GoldenReplay(golden, {
      leaveFree: () => {},
      restore: () => {
        writeSync(ask.borrow().number, "go\n");
        expect(readSync(hear.borrow().number, Buffer.alloc(16))).toBe("done\n".length);
      },
    });
    golden.ops.forEach((operation, index) => {
      expect(replay.run(operation), `operation ${index}`).toEqual(wantedResult(golden, index));
    });
    replay.close();
    ask.close();
    hear.close();
    if (raiser.exitCode === null) await once(raiser, "exit");
    expect(newDescriptors(before)).toEqual([]);
  });
});
