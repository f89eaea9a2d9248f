import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { number, parseOptions, WrongOption } from "../../../bench/lib/options.mjs";

const root = join(import.meta.dirname, "../../..");
const options = {
  times: number({ min: 1, max: 100, default: 10 }),
  rate: number({ min: 1 }),
  hours: number({ whole: false }),
  cpu: number({ min: -1, default: 3 }),
  sizes: number({ min: 1, list: true, default: [1, 50] }),
  name: { type: "string" } as const,
  json: { type: "boolean", default: false } as const,
};
const parse = (line: string) =>
  parseOptions({ args: line.split(" ").filter(Boolean), options, allowPositionals: true });

describe("a number on the command line of a program", () => {
  test("is one, or what stands for it when it is missing", () => {
    const defaults = { times: 10, cpu: 3, sizes: [1, 50], json: false };
    expect(parse("")).toEqual({ values: defaults, positionals: [] });
    expect(parse("x --times 3 --hours=0.5 --cpu -1 --sizes 7,8 --name abc --json")).toEqual({
      values: { times: 3, hours: 0.5, cpu: -1, sizes: [7, 8], name: "abc", json: true },
      positionals: ["x"],
    });
  });

  test.each([
    ["--times abc", '--times takes a whole number from 1 to 100, not "abc"'],
    ["--times 0", '--times takes a whole number from 1 to 100, not "0"'],
    ["--times 101", '--times takes a whole number from 1 to 100, not "101"'],
    ["--times 1.5", '--times takes a whole number from 1 to 100, not "1.5"'],
    ["--times=", '--times takes a whole number from 1 to 100, not ""'],
    ["--times 1e1", '--times takes a whole number from 1 to 100, not "1e1"'],
    ["--rate -1", '--rate takes a whole number of at least 1, not "-1"'],
    ["--rate 99999999999999999999", /^--rate takes a whole number of at least 1, not/],
    ["--hours -0.5", '--hours takes a number of at least 0, not "-0.5"'],
    ["--sizes 1,,2", '--sizes takes a whole number of at least 1, not ""'],
    ["--rate", /--rate/],
    ["--tims 3", /--tims/],
  ])("is refused in one line: %s", (line, words) => {
    let message = "";
    try {
      parse(line);
    } catch (error) {
      expect(error).toBeInstanceOf(WrongOption);
      message = (error as Error).message;
    }
    if (typeof words === "string") expect(message).toBe(words);
    else expect(message).toMatch(words);
    expect(message).not.toContain("\n");
  });
});

describe("a program that is called with nonsense for a number", () => {
  test.each([
    ["bench/activation.mjs", "--times"],
    ["bench/ancillary.mjs", "--rounds"],
    ["bench/load.mjs", "--seconds"],
    ["bench/logs.mjs", "--megabytes"],
    ["bench/memory-idle.mjs", "--seconds"],
    ["bench/peers-restarts.mjs", "--rate"],
    ["bench/restart-after-kill.mjs", "--times"],
    ["bench/restarts.mjs", "--times"],
    ["bench/supervisor-kill.mjs", "--times"],
    ["scripts/fuzz.mjs", "--seconds"],
    ["scripts/simulate.mjs", "--hours"],
  ])("says so and exits with 2: %s %s", (program, option) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, program), option, "-3"], {
      encoding: "utf8",
    });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(new RegExp(`^${program.split("/")[1]}: ${option} takes a .*number .*, not "-3"\n$`));
  });
});
