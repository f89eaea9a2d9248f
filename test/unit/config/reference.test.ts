import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { jsonSchema, parseConfigText, schemaText, updateReference } from "../../../src/daemon/config/index.js";
import { noteOf } from "../../../src/daemon/config/leaf.js";
import { supervisorSchema } from "../../../src/daemon/config/schema.js";
import { serviceSchema } from "../../../src/daemon/config/schema-service.js";
import { socketSchema } from "../../../src/daemon/config/schema-socket.js";
import { keyPaths } from "../../../src/daemon/config/shape.js";
import { ANN } from "./fixture.js";

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), "utf8");

const SECTIONS = { supervisor: supervisorSchema, socket: socketSchema, service: serviceSchema };

/** The services that examples name. */
const OTHERS = ["migrate", "cache", "web", "database", "tunnel", "suite", "maintenance", "tell-somebody"]
  .map((name) => `[service.${name}]\ncommand = "x"\nstart = "manual"\n${name === "migrate" ? 'type = "task"' : ""}\n`)
  .join("");

/** A key of what is asked needs somebody to ask, and the mode of a folder a folder. */
function askedElsewhere(path: string, base: string): string {
  const folders = /^(\w+_directory)\.(?!names)/.exec(path)?.[1];
  if (folders !== undefined) return `${base}\n${folders}.names = "web"`;
  const table = /^(ready\.probe|health)\.(?!http|tcp|exec)/.exec(path)?.[1];
  return table === undefined ? base : `${base}\n${table}.http = "http://[::1]/"`;
}

describe("the reference", () => {
  const markdown = read("docs/configuration.md");

  test("is what scripts/generate-schema.mjs makes of the schema", () => {
    expect(updateReference(markdown)).toBe(markdown);
  });

  test.each(Object.entries(SECTIONS))("has each key of %s and no other", (name, schema) => {
    const part = markdown.split(`<!-- keys: ${name} -->`)[1]?.split("<!-- end -->")[0] ?? "";
    const documented = [...part.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]);
    expect(documented).toEqual(keyPaths(schema).map(({ path }) => path));
    expect(documented.length).toBeGreaterThan(4);
  });

  test("has every code of a problem", () => {
    const source = read("src/daemon/config/problem.ts");
    const codes = [...(/ProblemCode =([^;]*);/.exec(source)?.[1] ?? "").matchAll(/"([a-z-]+)"/g)].map(
      (match) => match[1],
    );
    const documented = [...(markdown.split("## Codes")[1] ?? "").matchAll(/`([a-z]+(?:-[a-z]+)*)`(?= \||\s\()/g)].map(
      (m) => m[1],
    );
    expect(codes.length).toBeGreaterThan(10);
    expect(documented.toSorted()).toEqual(codes.toSorted());
  });

  test.each(Object.entries(SECTIONS))("has an example of each key of %s that the schema takes", (name, schema) => {
    for (const { path, schema: key } of keyPaths(schema)) {
      const { example } = noteOf(key);
      expect(example, path).toBeDefined();
      const table = name === "supervisor" ? "supervisor" : name === "socket" ? "socket.x" : "service.x";
      // What an example needs around it to be complete.
      const around: Record<string, string> = {
        shell: 'command = "x"',
        remain_after_exit: 'command = "x"\ntype = "task"',
        sockets: 'command = "x"',
        "log.rotate": 'command = "x"\nlog.to = "file:x"',
        "log.rotate.size": 'command = "x"\nlog.to = "file:x"',
        "log.rotate.keep": 'command = "x"\nlog.to = "file:x"',
        start: 'command = "x"\nsockets = "web"',
        idle_stop: 'command = "x"\nsockets = "web"\nstart = "connection"',
        symlinks: 'listen = "unix:///run/y"',
        listen: "",
        command: "",
        "reload.timeout": 'command = "x"\nreload.signal = "HUP"',
        "check.timeout": 'command = "x"\ncheck.command = "y"',
        "reload.wait": 'command = "x"\nreload.signal = "HUP"',
        "ready.probe": 'command = "x"\nsockets = "web"',
        "ready.probe.http": 'command = "x"\nsockets = "web"',
        "ready.probe.tcp": 'command = "x"\nsockets = "web"',
        "ready.probe.exec": 'command = "x"',
        health: 'command = "x"\nsockets = "web"',
        "health.http": 'command = "x"\nsockets = "web"',
        "health.tcp": 'command = "x"\nsockets = "web"',
        "health.exec": 'command = "x"',
        max_connections: 'listen = "tcp://127.0.0.1:80"\naccept = true',
        max_connections_per_source: 'listen = "tcp://127.0.0.1:80"\naccept = true',
        at_limit: 'listen = "tcp://127.0.0.1:80"\naccept = true',
        trigger_limit: 'listen = "tcp://127.0.0.1:80"\naccept = true',
        "trigger_limit.starts": 'listen = "tcp://127.0.0.1:80"\naccept = true',
        "trigger_limit.interval": 'listen = "tcp://127.0.0.1:80"\naccept = true',
        source_prefix: 'listen = "tcp://127.0.0.1:80"\naccept = true\nmax_connections_per_source = 2',
        "source_prefix.ipv4": 'listen = "tcp://127.0.0.1:80"\naccept = true\nmax_connections_per_source = 2',
        "source_prefix.ipv6": 'listen = "tcp://127.0.0.1:80"\naccept = true\nmax_connections_per_source = 2',
        scheduling_priority: 'command = "x"\nscheduling = "fifo"',
        stdio: 'command = "x"\nsockets = "web"',
      };
      const listen =
        path === "ipv6_only"
          ? "tcp://[::1]:80"
          : /unix|file/i.test(descriptionOf(key))
            ? "unix:///run/x"
            : "tcp://127.0.0.1:80";
      const base = name === "socket" ? `listen = "${listen}"` : name === "service" ? 'command = "x"' : "";
      const web = /^(start|sockets|stdio|idle_stop|health.*|ready\.probe.*)$/.test(path)
        ? `[socket.web]\nlisten = "tcp://127.0.0.1:1"\n${path === "stdio" ? "accept = true\n" : ""}`
        : "";
      const others = /^(after|before|requires|wants|binds_to|part_of|conflicts|on_failure)$/.test(path) ? OTHERS : "";
      const text = `version = 1\n${web}${others}[${table}]\n${around[path] ?? askedElsewhere(path, base)}\n${path} = ${example}\n`;
      const result = parseConfigText(text, "x.toml", { ...ANN, uid: 0 });
      expect(result.ok ? [] : result.problems, text).toEqual([]);
    }
  });
});

function descriptionOf(schema: unknown): string {
  return (schema as { meta(): { description?: string } | undefined }).meta()?.description ?? "";
}

describe("the JSON Schema", () => {
  test("in config/ is what scripts/generate-schema.mjs makes", () => {
    expect(read("config/holdfast.schema.json")).toBe(schemaText());
  });

  test("knows the short forms", () => {
    const service = JSON.stringify(jsonSchema(), [
      "properties",
      "service",
      "additionalProperties",
      "restart",
      "anyOf",
      "enum",
    ]);
    expect(service).toContain(
      '"anyOf":[{"enum":["always","on-failure","on-abnormal","on-abort","on-watchdog","on-success","never"]}',
    );
  });
});

describe("an example configuration", () => {
  test.each(["config/holdfast.toml"])("%s is sound", (path) => {
    const result = parseConfigText(read(path), path, ANN);
    expect(result.ok ? [] : result.problems).toEqual([]);
  });
});
