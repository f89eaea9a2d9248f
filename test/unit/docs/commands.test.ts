import { CommanderError } from "commander";
import { describe, expect, test } from "vitest";
import { catalogue, later } from "../../../src/cli/catalogue.js";
import { buildProgram } from "../../../src/cli/program.js";
import { type CommandLine, commandLinesInProse, commandLinesOf } from "./command-lines.js";
import { documents, fencesOf, readDocument } from "./fences.js";

/** Why the command line is not one that this version takes; undefined: it is. */
async function problemOf(words: readonly string[]): Promise<string | undefined> {
  const program = await buildProgram(words, async () => {});
  const silent = { writeOut: () => {}, writeErr: () => {}, outputError: () => {} };
  for (const command of [program, ...program.commands]) command.configureOutput(silent).exitOverride();
  try {
    await program.parseAsync([...words], { from: "user" });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? undefined : error.message;
  }
}

async function problemsOf(lines: readonly CommandLine[]): Promise<string[]> {
  const found: string[] = [];
  for (const { place, words } of lines) {
    const problem = await problemOf(words);
    if (problem !== undefined) found.push(`${place}: holdfast ${words.join(" ")}: ${problem}`);
  }
  return found;
}

const inBlocks = documents.flatMap((path) => fencesOf(path, readDocument(path)).flatMap(commandLinesOf));
const inProse = documents.flatMap((path) => commandLinesInProse(path, readDocument(path)));

describe("the documents", () => {
  test("show only command lines that this version takes", async () => {
    expect(inBlocks.length).toBeGreaterThan(40);
    expect(await problemsOf(inBlocks)).toEqual([]);
  }, 120_000); // The first to load all commands.

  test("name only commands and options that there are, or that a later version brings", async () => {
    expect(inProse.length).toBeGreaterThan(30);
    // `holdfast start` in a sentence stands for all of its command lines; cli.md has headings such as `holdfast ls [name...]`.
    const abridged = inProse
      .filter(({ words: [name = ""] }) => !Object.hasOwn(later, name))
      .map(({ place, words }) => ({ place, words: completed(words) }));
    expect(await problemsOf(abridged)).toEqual([]);
  });

  test("say of exactly the commands that a later version brings that they come later", () => {
    const [, section = ""] = readDocument("docs/cli.md").split("\n## Later\n");
    const [sentence = ""] = section.trim().split("\n");
    const named = [...sentence.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
    expect(named.sort()).toEqual(Object.keys(later).sort());
  });

  test("show every command at least once", () => {
    const shown = new Set(inBlocks.map(({ words }) => words.find((word) => Object.hasOwn(catalogue, word))));
    expect(Object.keys(catalogue).filter((name) => !shown.has(name))).toEqual([]);
  });
});

/** With operands where a sentence leaves them out, and without the placeholders of a heading. */
function completed(words: readonly string[]): readonly string[] {
  const given = words
    .filter((word) => !/^[[<(]|[\])>]$|^…$|\.\.\.$/.test(word))
    .map((word) => word.replace(/^[A-Z]+=/, "x="));
  const operands = given.filter(
    (word, index) => index > 0 && !word.startsWith("-") && !given[index - 1]!.startsWith("-"),
  );
  if (operands.length > 0) return given;
  const missing: Readonly<Record<string, readonly string[]>> = {
    self: ["status"],
    config: ["show"],
    scale: ["x=1"],
    signal: ["x", "HUP"],
  };
  const [name = ""] = given;
  const takesNames = ![
    "run",
    "check",
    "plan",
    "apply",
    "ls",
    "events",
    "sockets",
    "-c",
    "--help",
    "--version",
  ].includes(name);
  return [...given, ...(missing[name] ?? (takesNames ? ["x"] : []))];
}

describe("the search for command lines", () => {
  const search = (language: string, text: string) =>
    commandLinesOf({ place: "x:1", language, text }).map(({ words }) => words.join(" "));

  test.each([
    ["sh", "holdfast ls   # all", ["ls"]],
    ["sh", "holdfast stop '*' && holdfast ls -o json | jq .", ["stop *", "ls -o json"]],
    ["sh", "until holdfast is-ready '*'; do sleep 1; done", ["is-ready *"]],
    ["sh", "docker exec CONTAINER holdfast ls", ["ls"]],
    ["sh", "docker build -t holdfast .", []],
    ["sh", "HOLDFAST_CONTROL=/run/x sudo bin/holdfast status \\\n  web", ["status web"]],
    ["sh", "holdfast config schema > holdfast.schema.json", ["config schema"]],
    ["console", "$ holdfast why web\nholdfast: nothing\n", ["why web"]],
    ["ini", "ExecStart=/usr/bin/env node /opt/holdfast/bin/holdfast run", ["run"]],
    ["", "holdfast-keeper [--grace MS]", []],
  ])("in %s %j finds %j", (language, text, lines) => {
    expect(search(language, text)).toEqual(lines);
  });

  test.each([
    [["restrat", "web"], /unknown command/],
    [["restart", "web", "--softly"], /unknown option/],
    [["restart"], /missing required argument/],
    [["ls", "-o", "xml"], /Allowed choices/],
  ])("is followed by a check that refuses %j", async (words, problem) => {
    expect(await problemOf(words)).toMatch(problem);
  });
});
