import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { codesOf } from "./error-codes.js";
import { root, sourcesUnder } from "./sources.js";

interface Entry {
  readonly section: string;
  readonly code: string;
  readonly text: string;
}

const entries: readonly Entry[] = readFileSync(join(root, "docs/errors.md"), "utf8")
  .split(/^## /m)
  .slice(1)
  .flatMap((part) => {
    const section = part.split("\n", 1)[0]!;
    return part
      .split(/^### /m)
      .slice(1)
      .map((entry) => {
        const [heading = "", ...lines] = entry.split("\n");
        return { section, code: /^`([^`]+)`$/.exec(heading)?.[1] ?? heading, text: lines.join("\n") };
      });
  });

const sources = sourcesUnder("src").map(({ path, text }) => ({ path, ...codesOf(text) }));

describe("docs/errors.md", () => {
  test("has every code of the sources and no other", () => {
    const documented = new Set(entries.map(({ code }) => code));
    const placed = new Map(sources.flatMap(({ path, codes }) => codes.map((code) => [code, path])));
    expect(placed.size).toBeGreaterThan(50);
    expect({
      notDocumented: [...placed].filter(([code]) => !documented.has(code)).map(([code, path]) => `${code} (${path})`),
      notInTheSources: [...documented].filter((code) => !placed.has(code)),
    }).toEqual({ notDocumented: [], notInTheSources: [] });
  });

  test("has each code once in a section", () => {
    const headings = entries.map(({ section, code }) => `${section}: ${code}`);
    expect(headings.filter((heading, index) => headings.indexOf(heading) !== index)).toEqual([]);
  });

  test.each(["What happened", "What Holdfast did", "What to do"])("says of each code: %s", (question) => {
    const silent = entries.filter(({ text }) => !new RegExp(`^- \\*\\*${question}:\\*\\* \\S.{10}`, "m").test(text));
    expect(silent.map(({ section, code }) => `${section}: ${code}`)).toEqual([]);
  });
});

describe("a code in the sources", () => {
  test("is one of a list that the compiler knows, but where it is somebody else's", () => {
    expect(sources.flatMap(({ path, open }) => open.map((owner) => `${owner} in ${path}`))).toEqual([
      "Refusal in src/cli/client.ts", // what the supervisor answered
      "TransportError in src/cli/transport.ts", // the system's
      "FailureView in src/daemon/control/views/service-view.ts", // that of the `Failure`
      "SystemError in src/daemon/runtime/socket-open-error.ts", // the kernel's
    ]);
  });

  test("is written in small letters with hyphens, or as ERR_ and capitals where other programs get it", () => {
    const odd = sources.flatMap(({ path, codes }) => {
      const form = /^src\/(ancillary|worker)\//.test(path) ? /^ERR_[A-Z_]+$/ : /^[a-z]+(-[a-z]+)*$/;
      return codes.filter((code) => !form.test(code)).map((code) => `${code} (${path})`);
    });
    expect(odd).toEqual([]);
  });
});

describe("the collection of codes", () => {
  test.each([
    ["the value of a class field", 'class A extends Error { readonly code = "a-b"; }', ["a-b"]],
    ["the type of a class field", 'class A { readonly code: "a" | "b"; }', ["a", "b"]],
    ["the type of a property", 'interface A { readonly code?: "a" | undefined }', ["a"]],
    ["an alias over several lines", 'export type SomeCode =\n  | "a" // why\n  | "b";', ["a", "b"]],
    ["a property that a constructor declares", 'class A { constructor(readonly code: "a" | "b") {} }', ["a", "b"]],
    ["a parameter", 'function make(code: "a"): void {}', ["a"]],
    ["a property of an object", 'throw Object.assign(new Error("x"), { code: "a" });', ["a"]],
    ["an object over several lines", 'f({\n  code:\n    "a",\n});', ["a"]],
    ["a choice", 'f({ code: big ? "a" : (other ?? "b") });', ["a", "b"]],
    ["an assignment", 'error.code = "a";', ["a"]],
    ["a default", 'const { code = "a" } = error;', ["a"]],
    ["a constant", 'f({ code: "a" as const });', ["a"]],
  ])("finds %s", (_, text, codes) => {
    expect(codesOf(text).codes).toEqual(codes);
  });

  test.each([
    ["a comparison", 'if (error.code === "a" || "b" !== code) f();'],
    ["a case", 'switch (code) { case "a": f(); }'],
    ["the name of a property in a type", 'function make(code: Failure["code"]): void {}'],
    ["an errno", 'throw Object.assign(new Error("x"), { code: "ENOENT" });'],
    ["an issue of zod", 'context.addIssue({ code: "custom", message });'],
    ["an exit code", "const exitCode = { failed: 1 }; f({ code: 0 });"],
    ["a comment", '// code: "a"\n/* code = "b" */'],
    ["text inside a string", "const text = 'code: \"a\"';"],
    ["other types", 'type Kind = "a" | "b";'],
  ])("passes over %s", (_, text) => {
    expect(codesOf(text).codes).toEqual([]);
  });

  test("tells which codes have no list", () => {
    const text =
      "interface A { code: string } class B { code: string } class C { constructor(readonly code: string) {} }";
    expect(codesOf(text).open).toEqual(["A", "B", "C"]);
  });
});
