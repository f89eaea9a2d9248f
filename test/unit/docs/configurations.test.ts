import { describe, expect, test } from "vitest";
import { type ConfigProblem, parseConfigText } from "../../../src/daemon/config/index.js";
import { ACCOUNTS } from "../config/fixture.js";
import { documents, type Fence, fencesOf, readDocument } from "./fences.js";

const blocks = documents
  .flatMap((path) => fencesOf(path, readDocument(path)))
  .filter(({ language }) => language === "toml" || language === "yaml" || language === "json");

/** As root, for whom everything is permitted: what a reader may do is another matter. */
function problemsOf({ text, language }: Fence): readonly ConfigProblem[] {
  const result = parseConfigText(text, `/etc/holdfast/holdfast.${language}`, {
    env: {},
    uid: 0,
    accountFolder: ACCOUNTS,
  });
  return result.ok ? [] : result.problems;
}

describe("a configuration in the documents", () => {
  test("is there at least three times", () => {
    expect(blocks.filter(({ partBecause }) => partBecause === undefined).length).toBeGreaterThanOrEqual(3);
  });

  test.each(blocks.map((block) => [block.place, block] as const))("at %s is right", (_, block) => {
    const problems = problemsOf(block);
    // A part may lack what stands elsewhere; what it has must exist all the same.
    const lacks = ["missing", "unknown-reference"];
    const wrong = block.partBecause === undefined ? problems : problems.filter(({ code }) => !lacks.includes(code));
    expect(wrong.map(({ line, path, message }) => `${line}: ${path}: ${message}`)).toEqual([]);
  });
});

describe("a setting in a sentence or table", () => {
  /** `key = value` as the tables of docs/operation.md have them, tried in a service, in [supervisor] and in a socket. */
  const settings = [...readDocument("docs/operation.md").matchAll(/`(\w+ = (?:"[^`]*"|\{[^`]*\}|\[[^`]*\]))`/g)].map(
    ([, setting]) => setting!,
  );

  test("is there", () => expect(settings.length).toBeGreaterThan(15));

  test.each([...new Set(settings)])("%s is taken", (setting) => {
    const around = setting.startsWith("command") ? "" : 'command = "x"\nsockets = "x"\n';
    const inService = `version = 1\n[socket.x]\nlisten = "tcp://127.0.0.1:1"\n[service.x]\n${around}${setting}\n`;
    const inSupervisor = `version = 1\n[supervisor]\n${setting}\n[service.x]\ncommand = "x"\n`;
    const inSocket = `version = 1\n[socket.x]\nlisten = "tcp://127.0.0.1:1"\n${setting}\n[service.x]\ncommand = "x"\nsockets = "x"\n`;
    const place = { place: "", language: "toml" };
    const inTask = `version = 1\n[service.x]\ncommand = "x"\ntype = "task"\n${setting.startsWith("type") ? "" : setting}\n`;
    const tries = [inService, inSupervisor, inSocket, inTask].map((text) =>
      problemsOf({ ...place, text: text.replaceAll("…", "/x") }),
    );
    expect(
      tries.some((problems) => problems.length === 0),
      JSON.stringify(tries[0]),
    ).toBe(true);
  });
});
