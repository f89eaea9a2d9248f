import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import type { SupervisorView } from "../../daemon/control/api.js";
import { packageRoot } from "../../daemon/package.js";
import type { CommandSpec } from "../command.js";
import { configFile } from "../config-file.js";
import { exitCode } from "../exit-code.js";
import { Failure } from "../failure.js";
import { loadConfig, renderProblems } from "../load-config.js";
import { exchange, TransportError } from "../transport.js";

/** A supervisor that answers, answers soon; one that does not is there all the same. */
const lookMs = 2_000;

export const run: CommandSpec = {
  details:
    "Checks the configuration, then becomes the keeper: the process id stays, the keeper starts the supervisor, and the supervisor the services. Ends with SIGTERM or SIGINT, after every service has stopped.",
  options: [
    {
      flags: "--orphans <what>",
      description:
        "workers that an earlier run has left, because it was killed with its supervisor: refuse to start beside them, take over what can be had of them, or stop them first",
      choices: ["refuse", "adopt", "stop"],
      default: "refuse",
    },
  ],
  examples: ["holdfast run", "holdfast run -c /etc/holdfast/holdfast.toml", "holdfast run --orphans adopt"],
  exitCodes: {
    0: "stopped in order",
    1: "not started: another supervisor runs, workers of an earlier run are left, or the keeper is missing",
    2: "the command line is wrong",
    6: "the configuration is wrong or cannot be read",
  },
  run: async (context) => {
    const file = configFile(context);
    const loaded = loadConfig(file, context.env);
    if (!loaded.ok)
      throw new Failure(exitCode.invalidConfiguration, renderProblems(loaded, loaded.problems, context.err.colour));
    if (loaded.warnings.length > 0)
      context.err.write(`${renderProblems(loaded, loaded.warnings, context.err.colour)}\n`);
    await refuseSecond(loaded.config.supervisor.control);
    const keeper = keeperPath(context.env);
    const supervisor = resolve(packageRoot, "dist/bin/supervisor.js");
    const argv = ["holdfast-keeper", "--", process.execPath, ...process.execArgv, supervisor, "-c", file];
    const { orphans = "refuse" } = context.options;
    if (orphans !== "refuse") argv.push("--orphans", orphans);
    const env = Object.entries(context.env).map(([name, value]) => `${name}=${value}`);
    const { replaceProcess } = await import("../../ancillary/index.js");
    return replaceProcess(keeper, argv, env, passedDescriptors(context.env));
  },
};

/** One control socket, one supervisor: who listens there already is not replaced. */
async function refuseSecond(control: string): Promise<void> {
  try {
    const { status, body } = await exchange(control, { method: "GET", path: "/v1/supervisor", timeoutMs: lookMs });
    const who =
      status === 200 ? ` (pid ${(body as SupervisorView).pid}, keeper ${(body as SupervisorView).keeperPid})` : "";
    throw new Failure(
      exitCode.failed,
      `a supervisor runs already on ${control}${who}; end it first, or give this one another [supervisor] control`,
    );
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    // Nobody there, or what somebody left behind: both are the normal case. Other troubles are found when it is bound.
    if (["ENOENT", "ENOTDIR", "ECONNREFUSED", "ENOTSOCK"].includes(error.code)) return;
    if (error.code === "EACCES" || error.code === "EPERM") {
      throw new Failure(
        exitCode.failed,
        `permission denied on the control socket ${control} (${error.message}); choose one that this user may make with [supervisor] control`,
        { cause: error },
      );
    }
    throw new Failure(
      exitCode.failed,
      `another process listens on the control socket ${control}, and it is not known whether it is a supervisor (${error.message}); end it first, or set another [supervisor] control`,
      { cause: error },
    );
  }
}

function keeperPath(env: NodeJS.ProcessEnv): string {
  const path = resolve(packageRoot, env.HOLDFAST_KEEPER_PATH ?? "build/Release/holdfast-keeper");
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch (cause) {
    // In a checkout as well as where npm was told not to run what a package brings.
    const builder = resolve(packageRoot, "scripts/build-native.mjs");
    throw new Failure(exitCode.failed, `the keeper ${path} is missing or may not be executed; run: node "${builder}"`, {
      cause,
    });
  }
}

/** The descriptors that somebody passed to this very process, sd_listen_fds(3): 3 and following. */
function passedDescriptors(env: NodeJS.ProcessEnv): readonly number[] {
  if (env.LISTEN_PID !== String(process.pid)) return [];
  const count = Number(env.LISTEN_FDS);
  return Number.isInteger(count) && count > 0 ? Array.from({ length: count }, (_, i) => 3 + i) : [];
}
