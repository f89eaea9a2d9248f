import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { documents, root } from "./fences.js";

const all = [...documents, "ARCHITECTURE.md", "STYLE.md", "bench/README.md", "config/examples/README.md"];

/** What a link may name behind `#`, as GitHub makes it of the headings. */
function anchorsOf(path: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading] of readFileSync(path, "utf8").matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = heading!
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-");
    let unique = slug;
    for (let count = 1; anchors.has(unique); count += 1) unique = `${slug}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

/** Why the link leads nowhere; undefined if it does not. */
function brokenBecause(document: string, link: string): string | undefined {
  const [path, anchor] = link.split("#");
  const target = path === "" ? join(root, document) : join(root, dirname(document), path!);
  if (!existsSync(target)) return "there is no such file";
  if (anchor === undefined || statSync(target).isDirectory()) return undefined;
  return anchorsOf(target).has(anchor) ? undefined : "there is no such heading";
}

describe("a link", () => {
  test.each(all)("of %s leads somewhere", (document) => {
    const text = readFileSync(join(root, document), "utf8").replaceAll(/^(`{3,})[^\n]*\n[\s\S]*?^\1$/gm, "");
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link]) => link!)
      .filter((link) => !/^[a-z]+:/.test(link));
    const broken = links.flatMap((link) => {
      const why = brokenBecause(document, link);
      return why === undefined ? [] : [`${link}: ${why}`];
    });
    expect(broken).toEqual([]);
  });
});
