import { describeValue } from "./leaf.js";
import { type Parsed, quote, right, wrong } from "./problem.js";

/** A path below a folder that the system keeps for such things, in its shortest form. */
export function parseDirectoryName(value: unknown): Parsed<string> {
  const form = 'a path below the system\'s folder, such as "web" or "web/images"';
  if (typeof value !== "string")
    return wrong(`expected ${form}, found ${describeValue(value)}`, { code: "wrong-type" });
  if (value.startsWith("/")) {
    const hint = /^\/(?:run|etc|var\/(?:lib|cache|log))\/(.+)$/.exec(value)?.[1];
    return wrong(`expected ${form}, found the absolute path ${quote(value)}`, {
      hint: hint === undefined ? "set working_directory or env for a folder elsewhere" : `did you mean ${quote(hint)}?`,
    });
  }
  const parts = value.replace(/\/+$/, "").split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".."))
    return wrong(`expected ${form}, without "." and "..", found ${quote(value)}`);
  if (value.includes(":")) return wrong(`${quote(value)} has a colon, which separates the paths in the environment`);
  return right(parts.join("/"));
}
