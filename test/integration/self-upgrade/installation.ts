import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Scene } from "../scene.js";

const root = join(import.meta.dirname, "../../..");

/** Places in dist by file: what stands there, and what another version has in its place. */
export type Changes = Readonly<Record<string, readonly [find: string | RegExp, replace: string][]>>;

/** Another version of Holdfast in the scene's folder, with changes of what was compiled. Returns its directory. */
export function installation(
  { directory }: Pick<Scene, "directory">,
  o: { readonly version?: string; readonly changes?: Changes; readonly engine?: string } = {},
): string {
  const there = mkdtempSync(join(directory, "installed-"));
  const described = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { version = "9.0.0", engine = described.engines.node } = o;
  writeFileSync(join(there, "package.json"), JSON.stringify({ ...described, version, engines: { node: engine } }));
  for (const name of ["node_modules", "build", "native", "binding.gyp"])
    symlinkSync(join(root, name), join(there, name));
  cpSync(join(root, "dist"), join(there, "dist"), {
    recursive: true,
    filter: (path) => !path.endsWith(".map") && !path.endsWith(".d.ts"),
  });
  // Not the bundle: modules can be changed one by one.
  writeFileSync(join(there, "dist/bin/supervisor.js"), 'await import("../daemon/main.js");\n');
  change(there, o.changes ?? {});
  return there;
}

/** Changes what stands in dist; the returned function undoes it. */
export function change(directory: string, all: Changes): () => void {
  const before = Object.entries(all).map(([file, changes]) => {
    const path = join(directory, "dist/daemon", file);
    const text = readFileSync(path, "utf8");
    let changed = text;
    for (const [find, replace] of changes) {
      const next = changed.replace(find, replace);
      if (next === changed) throw new Error(`${file} has no ${find}`);
      changed = next;
    }
    writeFileSync(path, changed);
    return { path, text };
  });
  return () => {
    for (const { path, text } of before) writeFileSync(path, text);
  };
}
