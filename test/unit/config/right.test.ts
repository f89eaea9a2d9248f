import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type LoadResult, parseConfigText } from "../../../src/daemon/config/index.js";
import { ANN, loadFixture } from "./fixture.js";

const right = (file: string) => fileURLToPath(new URL(`right/${file}`, import.meta.url));

function configOf(result: LoadResult) {
  if (!result.ok) throw new Error(JSON.stringify(result.problems, null, 1));
  return result.config;
}

describe("a service without sockets", () => {
  const ready = (line: string) => {
    const text = `version = 1\n[service.a]\ncommand = "a"\n${line}`;
    return configOf(parseConfigText(text, "/etc/holdfast/a.toml", ANN)).services.a?.ready;
  };

  test("must live for a moment, so that a version that ends at once replaces no good one", () => {
    expect(ready("")).toMatchObject({ when: "spawned", settleMs: 1_000 });
  });

  test("is ready at once if it asks for that", () => {
    expect(ready('ready = "spawned"')).toMatchObject({ when: "spawned", settleMs: 0 });
  });
});

describe("a probe", () => {
  const ready = (line: string) => {
    const text = `version = 1\n[socket.web]\nlisten = ["tcp://*:80"]\n[service.a]\ncommand = "a"\nsockets = ["web"]\nready = ${line}`;
    return configOf(parseConfigText(text, "/etc/holdfast/a.toml", ANN)).services.a?.ready;
  };
  const often = { everyMs: 250, timeoutMs: 2_000, successes: 1 };

  test.each([
    [
      "a path",
      '{ when = "probe", probe = { http = "/health?full=1" } }',
      { http: { path: "/health?full=1", status: [] } },
    ],
    ["a word that stands for the table", '{ probe = "/health" }', { http: { path: "/health", status: [] } }],
    [
      "an address",
      '{ probe = "http://127.0.0.1:9000" }',
      {
        address: { kind: "tcp", host: "127.0.0.1", port: 9000, family: "ipv4" },
        http: { path: "/", host: "127.0.0.1:9000", status: [] },
      },
    ],
    [
      "an address of IPv6 without a port, and answers",
      '{ probe = { http = "http://[::1]/up", status = [200, 204] } }',
      {
        address: { kind: "tcp", host: "::1", port: 80, family: "ipv6" },
        http: { path: "/up", host: "[::1]", status: [200, 204] },
      },
    ],
    ["a connection", "{ probe = { tcp = true } }", {}],
    [
      "a connection to a path",
      '{ probe = { tcp = "unix://run/a.sock" } }',
      { address: { kind: "unix", path: "/etc/holdfast/run/a.sock" } },
    ],
    ["a connection to a name", '{ probe = { tcp = "unix://@a" } }', { address: { kind: "unix", path: "@a" } }],
  ])("may be %s", (_what, line, probe) => {
    expect(ready(line)).toEqual({ when: "probe", timeoutMs: 30_000, settleMs: 0, probe: { ...probe, ...often } });
  });

  test("may have its own times", () => {
    const line = '{ timeout = "1min", probe = { tcp = true, every = "1s", timeout = "500ms", successes = 3 } }';
    const probe = { everyMs: 1_000, timeoutMs: 500, successes: 3 };
    expect(ready(line)).toEqual({ when: "probe", timeoutMs: 60_000, settleMs: 0, probe });
  });
});

describe("a program whose path has a blank", () => {
  test("may stand alone in a list", () => {
    const text = 'version = 1\n[service.a]\ncommand = ["/opt/my app/run"]';
    const config = configOf(parseConfigText(text, "/etc/holdfast/a.toml", ANN));
    expect(config.services.a?.command).toEqual(["/opt/my app/run"]);
  });
});

describe("a minimal file", () => {
  const config = configOf(loadFixture(right("minimal.toml")));

  test("gets every documented default", () => {
    expect(config).toEqual({
      version: 1,
      files: ["/etc/holdfast/minimal.toml"],
      supervisor: {
        control: "/run/user/1000/holdfast/control.sock",
        controlMode: 0o600,
        log: { level: "info", format: "auto" },
        watchdogMs: 20_000,
      },
      sockets: {},
      services: {
        web: {
          name: "web",
          command: ["node", "server.js"],
          sockets: [],
          workers: 1,
          start: "boot",
          umask: 0o022,
          env: {},
          envFiles: [],
          inheritEnv: false,
          limits: {},
          noNewPrivileges: true,
          ignoreSigpipe: true,
          handoff: false,
          ready: { when: "spawned", timeoutMs: 30_000, settleMs: 1_000 },
          restart: {
            when: "always",
            backoff: { initialMs: 100, factor: 2, maxMs: 30_000, jitter: 0.2, resetAfterMs: 60_000 },
            limit: { starts: 10, intervalMs: 60_000 },
            prevent: [],
          },
          rollout: { surge: 1, unavailable: 0, pauseMs: 0 },
          drain: { when: "auto", timeoutMs: 30_000, idleMs: 200, waitFor: "requests" },
          stop: { signal: "SIGTERM", timeoutMs: 20_000 },
          log: { to: "supervisor" },
        },
      },
    });
  });

  test("has the control socket of the system under root", () => {
    const config = configOf(loadFixture(right("minimal.toml"), { uid: 0 }));
    expect(config.supervisor.control).toBe("/run/holdfast/control.sock");
  });
});

describe("a file with every key", () => {
  const config = configOf(loadFixture(right("everything.toml")));

  test("becomes a socket with every option", () => {
    expect(config.sockets.mixed).toEqual({
      name: "mixed",
      listen: [
        { kind: "tcp", host: "::", port: 8080, family: "ipv6" },
        { kind: "tcp", host: "::1", port: 0, family: "ipv6" },
        { kind: "udp", host: "0.0.0.0", port: 53, family: "ipv4" },
        { kind: "unix", path: "/etc/holdfast/run/mixed.sock" },
        { kind: "unix", path: "@mixed" },
      ],
      listenText: ["tcp://*:8080", "tcp://[::1]:0", "udp://0.0.0.0:53", "unix://./run/mixed.sock", "unix://@mixed"],
      backlog: 128,
      distribution: "shared",
      mode: 0o666,
      user: "www",
      group: "33",
      symlinks: ["/etc/holdfast/run/old.sock"],
      removeOnStop: false,
      options: {
        ipv6Only: true,
        reusePort: true,
        freeBind: true,
        transparent: true,
        bindToDevice: "eth0",
        mark: 1,
        tos: 16,
        ttl: 10,
        priority: 7,
        keepalive: true,
        noDelay: true,
        deferAcceptSeconds: 2,
        fastOpen: 16,
        receiveBuffer: 1536,
        sendBuffer: 4096,
        passCredentials: true,
        flushPending: true,
      },
    });
    expect(config.sockets.steered).toMatchObject({ distribution: "steered", backlog: 4096 });
    expect(config.sockets.rest?.listen).toEqual([
      { kind: "unix-dgram", path: "/run/a" },
      { kind: "unix-seqpacket", path: "/run/b" },
      { kind: "fifo", path: "/run/c" },
    ]);
  });

  test("becomes a supervisor", () => {
    expect(config.supervisor).toEqual({
      control: "/etc/holdfast/run/control.sock",
      controlMode: 0o640,
      controlGroup: "ops",
      log: { level: "debug", format: "json" },
      watchdogMs: 90_000,
    });
  });

  test("becomes a service that takes from the defaults what it does not say, one level deep", () => {
    expect(config.services.web).toEqual({
      name: "web",
      command: ["node", "my server.js", "--port", "80", "a b", "$HOME"],
      sockets: ["rest", "mixed", "steered"],
      workers: 4,
      start: "connection",
      user: "www",
      group: "www",
      groups: ["ops", "7"],
      workingDirectory: "/etc/holdfast/srv",
      umask: 0o077,
      nice: -5,
      oomScoreAdjust: -100,
      env: { A: "defaults", B: "service", C: "3", D: "/home/ann" },
      envFiles: [
        { path: "/etc/holdfast/web.env", optional: false },
        { path: "/run/web.env", optional: true },
      ],
      inheritEnv: true,
      limits: {
        nofile: { soft: 1024, hard: 1024 },
        core: { soft: 0, hard: 0 },
        as: { soft: 2 ** 30, hard: 2 ** 30 },
        nproc: { soft: 10, hard: 20 },
        stack: { soft: 8 * 2 ** 20, hard: "unlimited" },
        cpu: { soft: "unlimited", hard: "unlimited" },
      },
      noNewPrivileges: false,
      capabilities: ["net_bind_service", "kill"],
      capabilityBounding: ["net_bind_service", "kill", "setuid"],
      cpuAffinity: [0, 1, 2, 5],
      io: { class: "idle", level: 0 },
      scheduling: { policy: "fifo", priority: 10 },
      directories: [
        { kind: "runtime", base: "/run", names: ["web", "web/sub"], mode: 0o700, preserve: true },
        { kind: "state", base: "/var/lib", names: ["web"], mode: 0o755 },
        { kind: "configuration", base: "/etc", names: ["web"], mode: 0o755 },
      ],
      watchdogMs: 45_000,
      runLimitMs: 21_600_000,
      fdStore: 3,
      notifyAccess: "main",
      pretendBooted: true,
      ignoreSigpipe: false,
      handoff: true,
      ready: { when: "newline", timeoutMs: 5000, settleMs: 0 },
      restart: {
        when: "on-failure",
        // The whole table is the service's: nothing of the defaults' one second is left.
        backoff: { initialMs: 100, factor: 1.5, maxMs: 30_000, jitter: 0.2, resetAfterMs: 60_000 },
        limit: { starts: 3, intervalMs: 10_000 },
        prevent: [1],
      },
      rollout: { surge: 2, unavailable: 1, pauseMs: 5_000 },
      idleStopMs: 600_000,
      drain: { when: "auto", timeoutMs: 300_000, idleMs: 1_000, waitFor: "connections" },
      stop: { signal: "SIGINT", timeoutMs: 0 },
      reload: { signal: "SIGHUP", timeoutMs: 5_000, wait: false },
      log: { to: "file", path: "/etc/holdfast/log/web.log", rotate: { sizeBytes: 2 ** 20, keep: 5 } },
    });
  });

  test("gives a command in one string to a shell only when told to", () => {
    expect(config.services.plain).toMatchObject({
      command: ["/bin/sh", "-c", 'echo "$HOME" | cat'],
      sockets: [],
      log: { to: "inherit" },
      restart: { backoff: { initialMs: 1000, maxMs: 2000, factor: 2 } },
    });
  });

  test("has a user's folders where basedir-spec says", () => {
    const all = ["runtime", "state", "cache", "logs", "configuration"].map((kind) => `${kind}_directory = "x"`);
    const text = `version = 1\n[service.x]\ncommand = "x"\n${all.join("\n")}`;
    const basesWith = (env: NodeJS.ProcessEnv) => {
      const { directories = [] } = configOf(parseConfigText(text, "/x.toml", { ...ANN, env })).services.x!;
      return directories.map(({ base }) => base);
    };
    const home = { HOME: "/home/ann", XDG_RUNTIME_DIR: "/run/user/1" };
    const standard = [".local/state", ".cache", ".local/state/log", ".config"].map((path) => `/home/ann/${path}`);
    expect(basesWith(home)).toEqual(["/run/user/1", ...standard]);
    const other = { XDG_STATE_HOME: "/s", XDG_CACHE_HOME: "/c", XDG_CONFIG_HOME: "/e", XDG_RUNTIME_DIR: "/r" };
    expect(basesWith(other)).toEqual(["/r", "/s", "/c", "/s/log", "/e"]);
  });

  test("survives JSON unchanged", () => {
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
    expect(JSON.stringify(JSON.parse(JSON.stringify(config)))).toBe(JSON.stringify(config));
  });

  test.each(["everything.yaml", "everything.json"])("means the same as %s", (file) => {
    const other = configOf(loadFixture(right(file), { uid: 0 }));
    expect({ ...other, files: [] }).toEqual({ ...config, files: [] });
  });
});

describe("a service of a supervisor that is not root", () => {
  test("may name the supervisor's own user and group, and is started without a change of identity", () => {
    const text = 'version = 1\n[service.a]\ncommand = "x"\nuser = "ann"\ngroup = 1000\n';
    const { a } = configOf(parseConfigText(text, "a.toml", ANN)).services;
    expect(a).toBeDefined();
    expect(a).not.toHaveProperty("user");
    expect(a).not.toHaveProperty("group");
  });
});
