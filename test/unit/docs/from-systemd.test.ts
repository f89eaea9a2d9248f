import { describe, expect, test } from "vitest";
import { laterKey } from "../../../src/daemon/config/later.js";
import { serviceSchema } from "../../../src/daemon/config/schema-service.js";
import { socketSchema } from "../../../src/daemon/config/schema-socket.js";
import { keyPaths } from "../../../src/daemon/config/shape.js";
import { readDocument } from "./fences.js";

const named = [
  ...new Set(
    [...readDocument("docs/from-systemd.md").matchAll(/`((?:socket|service)\.[a-z0-9_.]+)[^`]*`/g)].map(
      ([, key]) => key!,
    ),
  ),
];
const known = new Set(
  Object.entries({ socket: socketSchema, service: serviceSchema }).flatMap(([section, schema]) =>
    keyPaths(schema).map(({ path }) => `${section}.${path}`),
  ),
);

describe("what stands for a key of systemd", () => {
  test("is there", () => expect(named.length).toBeGreaterThan(50));

  test.each(named)("%s is a key, or refused as one that comes later", (key) => {
    const [section, ...path] = key.split(".");
    expect(known.has(key) || laterKey(section!, path.join(".")) !== undefined).toBe(true);
  });
});
