import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { catalogue, later } from "../../../src/cli/catalogue.js";
import { buildProgram } from "../../../src/cli/program.js";
import { packageRoot, runBin, runHere } from "./cli-fixture.js";

describe("a wrong command line", () => {
  test.each([
    ["restrat web", /unknown command 'restrat'\n\(Did you mean restart\?\)/],
    ["ls --fooo", /unknown option '--fooo'/],
    ["restart", /missing required argument 'name'/],
    ["restart web --hrad", /Did you mean --hard\?/],
    ["ls -o xml", /Allowed choices are table, json, jsonl/],
    ["wait web --for never", /Allowed choices are ready, running, stopped/],
    ["wait web --timeout 3x", /is not a unit of time/],
    ["logs web -n many", /expected a number/],
    ["scale web", /is not NAME=WORKERS/],
    ["scale web=0", /"holdfast stop web" stops all of them/],
    ["signal web NOPE", /there is no signal "NOPE"; did you mean/],
    ["pause web --max 0s", /'--max <time>'.* A pause lasts 1ms to 1h\./],
    ["pause web --max 2h", /A pause lasts 1ms to 1h\./],
    ["sockets web", /too many arguments/],
    ["self nonsense", /self knows "status"/],
    ["self status --to x", /--to goes with upgrade and with reexec/],
    ["self reexec --timeout 1s", /--timeout goes with upgrade/],
    ["", /Usage: holdfast/],
  ])('"%s" exits with 2 and says why on stderr', async (line, words) => {
    const { code, out, err } = await runHere(line.split(" ").filter((word) => word !== ""));
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(words);
  });

  test("does so in a process of its own", async () => {
    const words = ["restrat", "web"];
    expect(await runBin(words)).toEqual(await runHere(words));
  });
});

describe("a command of a later version", () => {
  test.each([...Object.keys(later), "help top", "-o json top -x", "top --help"])(
    '"%s" says so and exits with 2',
    async (line) => {
      const { code, out, err } = await runHere(line.split(" "));
      expect([code, out]).toEqual([2, ""]);
      expect(err).toMatch(/^holdfast: [\w ]+ comes with a later version; \S/);
    },
  );
});

describe("help", () => {
  test("lists every command, on stdout", async () => {
    const { code, out, err } = await runBin(["--help"]);
    expect([code, err]).toEqual([0, ""]);
    for (const [name, { summary }] of Object.entries(catalogue))
      expect(out).toMatch(new RegExp(`^ {2}${name}\\b.* ${summary}$`, "m"));
    for (const name of Object.keys(later)) expect(out).not.toMatch(new RegExp(`^ {2}${name}\\b`, "m"));
  });

  test.each(Object.keys(catalogue))("of %s has examples and exit codes", async (name) => {
    const { code, out } = await runHere([name, "--help"]);
    expect(code).toBe(0);
    expect(out).toMatch(/\nExamples:\n {2}holdfast /);
    expect(out).toMatch(/\nExit codes:\n {2}0 /);
  });
});

describe("docs/cli.md", () => {
  const text = readFileSync(join(packageRoot, "docs/cli.md"), "utf8");
  const sections = new Map(
    text
      .split(/^### /m)
      .slice(1)
      .map((section) => [section.split("\n", 1)[0]!.replaceAll("`", "").split(" ")[1]!, section]),
  );

  test("has a section for every command and for no other", () => {
    expect([...sections.keys()]).toEqual(Object.keys(catalogue));
  });

  test.each(Object.keys(catalogue))("describes %s as it is", async (name) => {
    const section = sections.get(name)!;
    const spec = await catalogue[name]!.load();
    const program = await buildProgram([name], async () => {});
    const command = program.commands.find((candidate) => candidate.name() === name)!;
    expect(section.split("\n", 1)[0]).toBe(
      `\`${["holdfast", name, command.usage()].join(" ").replace("[options] ", "").replace(" [options]", "")}\``,
    );
    const documented = [...section.matchAll(/^\| `(-[^`]+)` \|/gm)].map(([, flags]) => flags);
    expect(documented).toEqual(command.options.map(({ flags }) => flags));
    const codes = [...(/^Exit codes: (.+)$/m.exec(section)?.[1] ?? "").matchAll(/(\d+) [^;.]+/g)].map(([, code]) =>
      Number(code),
    );
    expect(codes).toEqual(Object.keys(spec.exitCodes).map(Number));
  });

  test("has the options of every command", async () => {
    const program = await buildProgram([], async () => {});
    for (const { flags } of program.options) expect(text).toContain(`\`${flags}\``);
  });
});
