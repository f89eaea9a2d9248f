import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newDescriptors, openDescriptors } from "../ancillary/census.js";
import { fencesOf, readDocument, root } from "./fences.js";

const run = promisify(execFile);
const folder = "docs/examples/ancillary";
const document = readDocument("docs/ancillary.md");
const lines = document.split("\n");

/** The fenced blocks that stand behind `<!-- example: NAME -->`, with that name. */
const quoted = fencesOf("docs/ancillary.md", document).flatMap(({ place, text }) => {
  const opening = Number(place.split(":")[1]) - 2;
  const name = /^<!-- example: (\S+) -->$/.exec(lines[opening - 1] ?? "")?.[1];
  return name === undefined ? [] : [{ name, text }];
});
const inline = quoted.filter(({ name }) => name === "inline").map(({ text }) => text);

/** What a program prints, until it has ended by itself; whatever it writes to stderr is a failure. */
async function outputOf(...args: string[]): Promise<string[]> {
  const { stdout, stderr } = await run(process.execPath, args, { cwd: root, timeout: 20_000 });
  expect(stderr).toBe("");
  return stdout.trimEnd().split("\n");
}

let before: Map<number, string>;
beforeEach(() => {
  before = openDescriptors();
});
afterEach(() => {
  expect(newDescriptors(before)).toEqual([]);
});

describe("docs/ancillary.md", () => {
  test("quotes every example as its file has it", () => {
    const files = readdirSync(join(root, folder)).sort();
    const named = quoted.filter(({ name }) => name !== "inline");
    expect(named.map(({ name }) => name).sort()).toEqual(files);
    for (const { name, text } of named) expect(`${text}\n`).toBe(readFileSync(join(root, folder, name), "utf8"));
  });

  test("has a first message that arrives", async () => {
    expect(await outputOf("--input-type=module", "-e", inline[0]!)).toEqual(["a file hello true"]);
  });

  test("has a thin layer that carries a descriptor", async () => {
    expect(await outputOf("--input-type=module", "-e", inline[1]!)).toEqual(["a file hello"]);
  });
});

describe("README.md", () => {
  test("shows a message of the library that arrives", async () => {
    const block = fencesOf("README.md", readDocument("README.md")).find(({ text }) => text.includes("receive(theirs)"));
    const print =
      "\nconsole.log(message.data.toString(), message.fds.length, message.credentials.pid === process.pid);";
    expect(await outputOf("--input-type=module", "-e", block!.text + print)).toEqual(["a file 1 true"]);
  });
});

describe("an example", () => {
  test("lets a child accept on a socket of its parent", async () => {
    expect(await outputOf(`${folder}/listen-in-child.mjs`)).toEqual(["the child answered"]);
  });

  test("tells who connected from who sent", async () => {
    expect(await outputOf(`${folder}/who-is-there.mjs`)).toEqual([
      "connected (SO_PEERCRED): the parent",
      'sent "hello" (SCM_CREDENTIALS): the child',
      "same user: true",
      "it is gone",
    ]);
  });

  test("receives an open file from a C program", async () => {
    const place = mkdtempSync(join(tmpdir(), "holdfast-example-"));
    try {
      const program = join(place, "send_file");
      const file = join(place, "file");
      writeFileSync(file, "what the file has\n");
      const options = "-std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o".split(" ");
      await run("cc", [...options, program, `${folder}/send_file.c`], { cwd: root });
      expect(await outputOf(`${folder}/from-c.mjs`, program, file)).toEqual([
        `it sent ${file} itself`,
        "what the file has",
      ]);
    } finally {
      rmSync(place, { recursive: true });
    }
  });

  test("keeps a descriptor for one client and gives it to another", async () => {
    expect(await outputOf(`${folder}/descriptor-store.mjs`)).toEqual([
      "writer: stored",
      "reader: found - written by a process that has ended",
      "reader: missing",
    ]);
  });

  test("reads frames and their descriptors from a stream", async () => {
    expect(await outputOf(`${folder}/wire-protocol.mjs`)).toEqual([
      "plain []",
      "with two [first,second]",
      "500000 bytes [first]",
      "the last []",
    ]);
  });
});
