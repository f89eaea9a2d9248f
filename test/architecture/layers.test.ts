import { describe, expect, test } from "vitest";
import { sourcesUnder } from "./sources.js";

/** What each layer may import at run time, beside itself. Types may be taken from where `types` says as well. */
const layers: Readonly<Record<string, { readonly code: readonly string[]; readonly types?: readonly string[] }>> = {
  "src/ancillary": { code: ["node:"] },
  "src/handoff": { code: [] },
  "src/worker": { code: ["node:", "src/ancillary/index.ts", "src/handoff"] },
  "src/daemon/config": { code: ["node:", "zod", "yaml", "toml-eslint-parser", "src/daemon/config"] },
  "src/daemon/plan": { code: [], types: ["src/daemon/config/config.ts"] },
  "src/daemon/lifecycle": { code: [], types: ["src/daemon/config/config.ts"] },
  "src/daemon/control": {
    code: ["node:", "zod", "hono", "@hono/node-server", "src/ancillary/index.ts"],
    types: ["src/daemon/config/config.ts"],
  },
  "src/daemon/runtime": {
    code: [
      "node:",
      "pino",
      "src/ancillary/index.ts",
      "src/handoff",
      "src/daemon/lifecycle",
      "src/daemon/plan",
      "src/daemon/control",
    ],
    types: ["src/daemon/config/config.ts"],
  },
  "src/cli": {
    code: ["node:", "commander", "src/ancillary/index.ts", "src/daemon/config", "src/daemon/package.ts"],
    types: ["src/daemon/control/api.ts", "src/daemon/config/config.ts"],
  },
};

describe("the layers", () => {
  test.each(Object.entries(layers))("%s imports only what it may", (layer, { code, types = [] }) => {
    const foreign = sourcesUnder(layer).flatMap(({ path, imports }) =>
      imports
        .filter(({ from, typeOnly }) => {
          const allowed = [`${layer}/`, ...code, ...(typeOnly ? types : [])];
          return !allowed.some(
            (place) =>
              from === place || from.startsWith(place.endsWith(":") || place.endsWith("/") ? place : `${place}/`),
          );
        })
        .map(({ from }) => `${path} imports ${from}`),
    );
    expect(foreign).toEqual([]);
  });

  test("nobody imports from bin, test or bench", () => {
    const wrong = sourcesUnder("src").flatMap(({ path, imports }) =>
      imports
        .filter(({ from }) => /^(bin|test|bench|scripts)\//.test(from))
        .map(({ from }) => `${path} imports ${from}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe("the pure layers", () => {
  const impure =
    /\b(Date|performance|process(?!")|setTimeout|setInterval|setImmediate|queueMicrotask|console|globalThis)\b|Math\.random|\bawait\b|\basync\b|\bPromise\b/;

  test.each(["src/daemon/plan", "src/daemon/lifecycle"])("%s has no clock, no I/O, no await and no chance", (layer) => {
    const found = sourcesUnder(layer).flatMap(({ path, code }) => {
      const match = impure.exec(code);
      return match ? [`${path}: ${match[0]}`] : [];
    });
    expect(found).toEqual([]);
  });
});

describe("what only one place may do", () => {
  const places = (pattern: RegExp): string[] =>
    sourcesUnder("src")
      .filter(({ code }) => pattern.test(code))
      .map(({ path }) => path);

  test("only the entry points end the process, and the library for workers at their end", () => {
    expect(places(/process\.(exit|reallyExit|abort)\b/)).toEqual([
      "src/cli/main.ts",
      "src/daemon/main.ts",
      "src/worker/process-end.ts",
    ]);
  });

  test("only the logger knows pino", () => {
    const importers = sourcesUnder("src").filter(({ imports }) => imports.some(({ from }) => from === "pino"));
    expect(importers.map(({ path }) => path)).toEqual(["src/daemon/runtime/logger.ts"]);
  });

  test("only one module loads the addon", () => {
    expect(places(/holdfast\.node/)).toEqual(["src/ancillary/native.ts"]);
  });

  test("no child process is started by anybody but the keeper, and a keeper that takes the place of a killed one", () => {
    const importers = sourcesUnder("src").filter(({ imports }) =>
      imports.some(({ from }) => from === "node:child_process"),
    );
    // Nobody but the keeper is left to start the next keeper.
    expect(importers.map(({ path }) => path)).toEqual(["src/daemon/runtime/succession/start-keeper.ts"]);
  });
});
