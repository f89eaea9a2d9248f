/**
 * One file out of the simulation and the supervisor's own sources, in which the modules that touch the world are swapped for simulated ones.
 *
 * No source of the product knows of it: an import that resolves to a module of `SWAPPED` is given the other one. In the same way a planted bug
 * is a change of the text of one module while it is read.
 */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const RUNTIME = "src/daemon/runtime/";

const SWAPPED = {
  "src/ancillary/index.ts": "ancillary",
  [`${RUNTIME}keeper/keeper-client.ts`]: "keeper-client",
  [`${RUNTIME}clock.ts`]: "clock",
  [`${RUNTIME}socket-opener.ts`]: "socket-opener",
  [`${RUNTIME}start-plan.ts`]: "start-plan",
  "src/daemon/lifecycle/service.ts": "watched-service",
  ...swappedFor("worker-tree", ["worker-tree.ts", "process-tree.ts"]),
  ...swappedFor("looks", [
    "listening.ts",
    "valve/find-valve.ts",
    "valve/turn.ts",
    "drain/valve-finder.ts",
    "drain/connection-watch.ts",
    "drain/close-connections.ts",
    "connections/sockets-look.ts",
    "connections/open-sockets.ts",
    "connections/socket-use.ts",
    "connections/socket-use-words.ts",
    "process-stat.ts",
    "living-pidfd.ts",
    "socket-queue.ts",
    "socket-flush.ts",
    "port-owner.ts",
    "steering/steering-program.ts",
  ]),
  ...swappedFor("output", [
    "logger.ts",
    "logs/log-sinks.ts",
    "logs/output-stream.ts",
    "logs/supervisor-output.ts",
    "logs/worker-output.ts",
  ]),
  "src/daemon/control/server.ts": "output",
  "src/daemon/control/authorize.ts": "output",
  // Not reached here, and each pulls in half of the operating system.
  ...swappedFor("absent", [
    "accept/accept-service.ts",
    "handoff/relay.ts",
    "handoff/channel-pair.ts",
    "probe/worker-probes.ts",
    "probe/worker-health.ts",
    "commands/command-runs.ts",
  ]),
};

/**
 * @param {string} file where the bundle goes
 * @param {readonly { file: string, find: string, replace: string }[]} [changes] texts that must be there exactly once
 */
export async function bundle(file, changes = []) {
  const used = new Set();
  const build = await rolldown({
    input: join(here, "main.ts"),
    platform: "node",
    transform: { target: "node20" },
    external: [/^node:/],
    onLog: (level, log) => {
      // How long it took says nothing of the bundle.
      if (level === "warn" && log.code !== "PLUGIN_TIMINGS") throw new Error(log.message);
    },
    plugins: [
      {
        name: "swapped-modules",
        async resolveId(source, importer) {
          if (importer === undefined || importer.startsWith(join(here, "swapped"))) return null;
          const found = await this.resolve(source, importer, { skipSelf: true });
          const swapped = found === null ? undefined : SWAPPED[relative(root, found.id)];
          return swapped === undefined ? null : join(here, "swapped", `${swapped}.ts`);
        },
        load(id) {
          const own = changes.filter((change) => join(root, change.file) === id);
          if (own.length === 0) return null;
          let code = readFileSync(id, "utf8");
          for (const change of own) {
            if (code.split(change.find).length !== 2)
              throw new Error(`${change.file} must have this exactly once: ${change.find}`);
            code = code.replace(change.find, () => change.replace);
            used.add(change);
          }
          return { code, moduleType: "ts" };
        },
      },
    ],
  });
  await build.write({ file, format: "esm", codeSplitting: false });
  await build.close();
  for (const change of changes) if (!used.has(change)) throw new Error(`${change.file} is not part of the simulation`);
}

function swappedFor(name, files) {
  return Object.fromEntries(files.map((file) => [RUNTIME + file, name]));
}
