/** The supervisor's entry point. The keeper starts it; `holdfast run` starts the keeper. */
import { fstatSync } from "node:fs";
import { parseArgs } from "node:util";
import { OwnedFd, setCloseOnExec } from "../ancillary/index.js";
import type { Config } from "./config/config.js";
import { packageVersion } from "./package.js";
import { PROTOCOL_VERSION } from "./runtime/keeper/frame.js";
import type { Keeper } from "./runtime/keeper/keeper-client.js";
import { KeeperError } from "./runtime/keeper/keeper-error.js";
import { Succession } from "./runtime/succession/succession.js";
import { Supervisor } from "./runtime/supervisor.js";
import type { Cleared } from "./runtime/supervisor-input.js";

const EXIT_USAGE = 2;
const EXIT_CONFIGURATION = 6;
const EXIT_CRASH = 70;
const EXIT_PROTOCOL = 76;
const EPROTONOSUPPORT = 93;

function exit(code: number): never {
  process.exit(code);
}

/** The one descriptor that the keeper gives us. undefined: we were not started by a keeper. */
function takeChannel(): OwnedFd | undefined {
  const number = Number(process.env.HOLDFAST_KEEPER_FD);
  delete process.env.HOLDFAST_KEEPER_FD;
  if (!Number.isInteger(number)) return undefined;
  try {
    if (!fstatSync(number).isSocket()) return undefined;
  } catch {
    return undefined; // No such descriptor: the variable was inherited from somewhere else.
  }
  const channel = OwnedFd.adopt(number);
  setCloseOnExec(channel, true);
  return channel;
}

/** What an earlier run has left is ended, or taken over, only if somebody has said so: it serves, and nobody else does. */
async function clearAway(config: Config, keeper: Keeper, orphans: string): Promise<Cleared> {
  const { LeftOvers } = await import("./runtime/left-overs/left-overs.js");
  const { control } = config.supervisor;
  const left = new LeftOvers(control);
  const words = left.inWords();
  if (words.length === 0) return {};
  const running = left.keeper();
  if (running !== undefined)
    return {
      problem: `another keeper (pid ${running}) runs this configuration, although nobody listens on ${control}; end it first`,
    };
  const all = words.join(", ");
  if (orphans === "adopt") {
    const { takeOver } = await import("./runtime/left-overs/take-over.js");
    return { takenOver: await takeOver(keeper, config, left) };
  }
  if (orphans !== "stop")
    return {
      problem: `an earlier run was killed together with its supervisor and has left processes, which would run beside new ones: ${all}; \`holdfast run --orphans adopt\` takes over what it can, \`--orphans stop\` ends them first`,
    };
  process.stderr.write(`holdfast: ending what an earlier run has left: ${all}\n`);
  await left.end();
  return {};
}

async function shadow() {
  const { waitForLease } = await import("./runtime/upgrade/shadow.js");
  return waitForLease;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { config: { type: "string", short: "c" }, orphans: { type: "string", default: "refuse" } },
  });
  const channel = takeChannel();
  const isShadow = process.env.HOLDFAST_KEEPER_MODE === "shadow";
  delete process.env.HOLDFAST_KEEPER_MODE;
  const path = values.config;
  if (channel === undefined || path === undefined) {
    process.stderr.write(
      "holdfast: this is the supervisor, which the keeper starts; run `holdfast run -c FILE` instead\n",
    );
    exit(EXIT_USAGE);
  }
  // Only the first supervisor and `apply` read the file; zod and the parsers cost the others nothing.
  const load = async () => {
    const { loadConfig, ownRights, renderProblem } = await import("./config/index.js");
    const options = { env: process.env, uid: process.getuid?.() ?? 0, ...ownRights() };
    return { result: loadConfig(path, options), renderProblem };
  };
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const supervisor = new Supervisor({
    channel,
    keeperPid: process.ppid,
    succession: new Succession(process.ppid, argv),
    argv,
    program: 1 + process.execArgv.length,
    ...(isShadow ? { waitForLease: await shadow() } : {}),
    environment: process.env,
    version: packageVersion(),
    exit,
    clearAway: (config, keeper) => clearAway(config, keeper, values.orphans),
    loadConfig: async (refuse) => {
      const { result, renderProblem } = await load();
      if (result.ok) return result.config;
      for (const problem of result.problems)
        process.stderr.write(`${renderProblem(problem, result.sources, { color: process.stderr.isTTY })}\n`);
      return refuse(EXIT_CONFIGURATION);
    },
    readConfig: async () => {
      const { result, renderProblem } = await load();
      // Without the lines of the files: who may operate is not always who may read them.
      const texts = (problems: typeof result.warnings) =>
        problems.map((problem) => renderProblem(problem, new Map(), { color: false }));
      if (result.ok) return { ok: true, config: result.config, warnings: texts(result.warnings) };
      return { ok: false, problems: texts(result.problems) };
    },
  });
  try {
    await supervisor.run();
  } catch (error) {
    if (!(error instanceof KeeperError) || error.request !== "attach") throw error;
    const why =
      error.errno === EPROTONOSUPPORT
        ? `the keeper (pid ${process.ppid}) does not speak version ${PROTOCOL_VERSION} of the protocol between the two, which holdfast ${packageVersion()} needs; bring the keeper up to date first (holdfast self reexec), or start the version of holdfast that fits it`
        : error.message;
    process.stderr.write(`holdfast: this supervisor cannot be in charge: ${why}\n`);
    exit(EXIT_PROTOCOL);
  }
}

// A fault of ours: say all that is known and end. The keeper starts a new supervisor, which adopts everything.
process.on("uncaughtException", (error) => {
  process.stderr.write(`holdfast: the supervisor crashed: ${error.stack ?? String(error)}\n`);
  exit(EXIT_CRASH);
});

await main();
