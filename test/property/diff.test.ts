import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Config, ServiceConfig, SocketConfig } from "../../src/daemon/config/config.js";
import { diff, patch } from "../../src/daemon/plan/diff.js";

const names = fc.constantFrom("a", "b", "c", "constructor", "web-1");

function socketOf(name: string): fc.Arbitrary<SocketConfig> {
  return fc.record({
    name: fc.constant(name),
    listen: fc.array(fc.record({ kind: fc.constant("unix" as const), path: fc.constantFrom("/a", "@b") }), {
      minLength: 1,
      maxLength: 2,
    }),
    listenText: fc.constant(["unix:///a"]),
    backlog: fc.constantFrom(128, 4096),
    distribution: fc.constantFrom("shared", "steered"),
    mode: fc.constantFrom(0o660, 0o666),
    symlinks: fc.constant([]),
    removeOnStop: fc.boolean(),
    options: fc.record({ noDelay: fc.boolean() }, { requiredKeys: [] }),
  });
}

function serviceOf(name: string): fc.Arbitrary<ServiceConfig> {
  return fc.record(
    {
      name: fc.constant(name),
      command: fc.constantFrom(["a"], ["b", "c"]),
      sockets: fc.constant([]),
      workers: fc.integer({ min: 1, max: 3 }),
      start: fc.constantFrom("boot" as const, "manual" as const),
      user: fc.constantFrom("www", "nobody"),
      umask: fc.constant(0o22),
      env: fc.dictionary(fc.constantFrom("A", "__proto__x"), fc.constantFrom("1", "2")),
      envFiles: fc.constant([]),
      inheritEnv: fc.boolean(),
      limits: fc.constant({}),
      noNewPrivileges: fc.boolean(),
      ignoreSigpipe: fc.boolean(),
      handoff: fc.boolean(),
      ready: fc.constant({ when: "auto" as const, timeoutMs: 1, settleMs: 1 }),
      restart: fc.constant({
        when: "always" as const,
        backoff: { initialMs: 1, factor: 2, maxMs: 3, jitter: 0, resetAfterMs: 4 },
        limit: { starts: 1, intervalMs: 1 },
        prevent: [],
      }),
      rollout: fc.record({ surge: fc.constantFrom(1, 2), unavailable: fc.constant(0), pauseMs: fc.constant(0) }),
      drain: fc.record({
        when: fc.constantFrom("auto" as const, "signal" as const),
        timeoutMs: fc.constant(1),
        idleMs: fc.constant(1),
        waitFor: fc.constant("requests" as const),
      }),
      stop: fc.record({ signal: fc.constantFrom("SIGTERM", "SIGINT"), timeoutMs: fc.constant(1) }),
      log: fc.constantFrom({ to: "null" as const }, { to: "file" as const, path: "/x" }),
    },
    {
      requiredKeys: [
        "name",
        "command",
        "sockets",
        "workers",
        "start",
        "umask",
        "env",
        "envFiles",
        "inheritEnv",
        "limits",
        "noNewPrivileges",
        "ignoreSigpipe",
        "handoff",
        "ready",
        "restart",
        "rollout",
        "drain",
        "stop",
        "log",
      ],
    },
  );
}

function recordOf<T>(of: (name: string) => fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> {
  return fc
    .uniqueArray(names, { maxLength: 4 })
    .chain((chosen) => fc.tuple(...chosen.map((name) => of(name).map((value) => [name, value] as const))))
    .map((entries) => Object.fromEntries(entries));
}

const configs: fc.Arbitrary<Config> = fc.record({
  version: fc.constant(1 as const),
  files: fc.constantFrom(["/a"], ["/a", "/b"]),
  supervisor: fc.record({
    control: fc.constantFrom("/run/a", "/run/b"),
    controlMode: fc.constant(0o660),
    log: fc.constant({ level: "info" as const, format: "auto" as const }),
    watchdogMs: fc.constantFrom(0, 20_000),
  }),
  sockets: recordOf(socketOf),
  services: recordOf(serviceOf),
});

describe("the changes between two configurations", () => {
  test("lead from the one to the other", () => {
    fc.assert(fc.property(configs, configs, (a, b) => void expect(patch(a, diff(a, b))).toEqual(b)));
  });

  test("are none between equals", () => {
    fc.assert(fc.property(configs, (a) => void expect(diff(a, structuredClone(a))).toEqual([])));
  });

  test("remove a service before the socket it uses, and add it after", () => {
    fc.assert(
      fc.property(configs, configs, (a, b) => {
        const kinds = diff(a, b).map(({ kind }) => kind);
        const last = (kind: string): number => kinds.lastIndexOf(kind as never);
        const first = (kind: string): number =>
          kinds.includes(kind as never) ? kinds.indexOf(kind as never) : kinds.length;
        expect(last("remove-service")).toBeLessThan(first("remove-socket"));
        expect(last("add-socket")).toBeLessThan(first("add-service"));
      }),
    );
  });
});
