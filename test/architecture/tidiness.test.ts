import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { root, sourcesUnder } from "./sources.js";

const sources = sourcesUnder("src");

function offenders(pattern: RegExp): string[] {
  return sources.flatMap(({ path, code }) => {
    const match = pattern.exec(code);
    return match ? [`${path}: ${match[0].trim()}`] : [];
  });
}

describe("the sources", () => {
  test("have no default export", () => expect(offenders(/^export default\b/m)).toEqual([]));
  test("have no enum", () => expect(offenders(/^\s*(export\s+)?(const\s+)?enum\b/m)).toEqual([]));
  test("do not escape from the type system", () =>
    expect(offenders(/\bas any\b|: any\b|@ts-ignore|@ts-expect-error/)).toEqual([]));
  test("swallow no error in silence", () => {
    const silent = sources.flatMap(({ path, text }) => (/catch\s*(\(\w*\))?\s*\{\s*\}/.test(text) ? [path] : []));
    expect(silent).toEqual([]);
  });

  test("have no drawer for everything", () => {
    const drawers = sources.filter(({ path }) => /(utils?|helpers?|manager|misc|common)(\.ts|\/)/.test(path));
    expect(drawers.map(({ path }) => path)).toEqual([]);
  });

  test("leave nothing for later in a comment", () => {
    const later = sources.filter(({ text }) => /\b(TODO|FIXME|XXX|HACK)\b/.test(text)).map(({ path }) => path);
    expect(later).toEqual([]);
  });

  test("have file names in kebab case", () => {
    const odd = sources.filter(({ path }) => !/^[a-z0-9/-]+\.ts$/.test(path)).map(({ path }) => path);
    expect(odd).toEqual([]);
  });
});

describe("the documents", () => {
  const documents = ["README.md", "ARCHITECTURE.md", "STYLE.md", "CHANGELOG.md"]
    .concat(
      readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".md"))
        .map((name) => `docs/${name}`),
    )
    .filter((path) => existsSync(join(root, path)));

  test.each(documents)("%s links only to what is there", (path) => {
    const text = readFileSync(join(root, path), "utf8");
    const links = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1]!)
      .filter((link) => !/^[a-z]+:/.test(link));
    const broken = links.filter((link) => !existsSync(join(root, dirname(path), link)));
    expect(broken).toEqual([]);
  });

  test("ARCHITECTURE.md names every layer", () => {
    const text = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
    const layers = ["native/sys", "native/addon", "native/keeper", "src/ancillary", "src/cli"].concat(
      readdirSync(join(root, "src/daemon"), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => `src/daemon/${entry.name}`),
    );
    expect(layers.filter((layer) => !text.includes(`\`${layer}\``))).toEqual([]);
  });
});
