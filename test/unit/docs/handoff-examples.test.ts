import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { until } from "../../../bench/lib/until.mjs";
import { MAX_HEAD_BYTES, MAX_RECORD_BYTES, MAX_STATE_BYTES, MAX_UNREAD_BYTES } from "../../../src/handoff/frame.js";
import { fencesOf, readDocument, root } from "./fences.js";

const folder = "docs/examples/handoff";
const document = readDocument("docs/handoff.md");
const lines = document.split("\n");

/** The fenced blocks that stand behind `<!-- example: NAME -->`, with that name. */
const quoted = fencesOf("docs/handoff.md", document).flatMap(({ place, text }) => {
  const opening = Number(place.split(":")[1]) - 2;
  const name = /^<!-- example: (\S+) -->$/.exec(lines[opening - 1] ?? "")?.[1];
  return name === undefined ? [] : [{ name, text }];
});

describe("docs/handoff.md", () => {
  test("quotes every example as its file has it; test/integration/handoff runs them", () => {
    const named = quoted.filter(({ name }) => name !== "inline");
    expect(named.map(({ name }) => name).sort()).toEqual(readdirSync(join(root, folder)).sort());
    for (const { name, text } of named) expect(`${text}\n`).toBe(readFileSync(join(root, folder, name), "utf8"));
  });

  test("has the bounds that the sources have", () => {
    const head = String(MAX_HEAD_BYTES);
    for (const bound of [head, MAX_RECORD_BYTES, MAX_STATE_BYTES, MAX_UNREAD_BYTES]) {
      expect(document).toContain(` ${bound} `);
    }
  });

  test("has a first example that serves by itself, and ends at SIGTERM", async () => {
    const text = quoted.find(({ name }) => name === "inline")!.text.replace("port: 8080", 'host: "127.0.0.1", port: 0');
    const say = "\nconsole.log(server.address().port); await finished; console.log('finished');";
    const child = spawn(process.execPath, ["--input-type=module", "-e", text + say], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (bytes) => {
      output += bytes;
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    const port = await until("it listens", () => /^(\d+)\n/.exec(output)?.[1]);
    const answer = await fetch(`http://127.0.0.1:${port}`, { headers: { connection: "close" } });
    expect(await answer.text()).toBe("hello\n");
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    expect(output).toMatch(/^\d+\nfinished\n$/);
  });
});
