import { join } from "node:path";
import { AskedProcess } from "../lib/asked-process.mjs";
import { root } from "../lib/programs.mjs";
import { randomFrom } from "../lib/random.mjs";
import { startLoad, startUdpLoad } from "../load.mjs";
import { SlicedLoad } from "./sliced-load.mjs";

/** Longer than the supervisor is ever away: it hangs for 5 s, is started again after up to 5 s, and that takes a while on a busy machine. */
const TIMEOUT_MS = 60_000;
/** The same for datagrams, which nobody tells that they are lost. */
const DRAIN_MS = 25_000;
/** No slice lasts so long. */
const DURATION_MS = 600_000;

/**
 * Open-loop load on each service: `web` with a connection for each request and over kept ones, the others in the way that suits them.
 * `demand` gets bursts with rests between them, in which its workers end.
 *
 * Returns {sleep(), wake(), stop()}: `sleep` and `wake` stop and begin the bursts; `stop` resolves with {totals, failures}: the totals by name as
 * [{name, service, ...}], and each request that failed, with its service and the name of its load.
 */
function startLoads({ ports, seed }) {
  const random = randomFrom(seed);
  const failures = [];
  const fail = (service, load) => (failure) => failures.push({ service, load, ...failure });
  const http =
    (service, options, name = service) =>
    () =>
      startLoad({
        target: { host: "127.0.0.1", port: ports[service] },
        echo: true,
        timeoutMs: TIMEOUT_MS,
        durationMs: DURATION_MS,
        onFailure: fail(service, name),
        ...options,
      });
  const slow = { every: 20, path: "/slow/300" };
  const burst = { start: http("demand", { rate: 20, durationMs: 1000 }), rest: () => random() * 5000 };
  const echo = { target: { host: "127.0.0.1", port: ports.echo }, flows: 32, rate: 50 };
  const loads = {
    web: { service: "web", load: new SlicedLoad({ start: http("web", { rate: 60, slow }) }) },
    "web, kept-alive": {
      service: "web",
      load: new SlicedLoad({ start: http("web", { rate: 60, slow, connections: "kept", kept: 8 }, "web, kept-alive") }),
    },
    block: {
      service: "block",
      load: new SlicedLoad({ start: http("block", { rate: 40, slow: { every: 20, path: "/slow/20" } }) }),
    },
    echo: {
      service: "echo",
      load: new SlicedLoad({
        start: () => startUdpLoad({ ...echo, durationMs: DURATION_MS, drainMs: DRAIN_MS }),
      }),
    },
  };
  let bursts;
  const burstsBefore = [];
  return {
    async wake() {
      bursts ??= new SlicedLoad(burst);
    },
    async sleep() {
      await bursts?.stop();
      if (bursts !== undefined) burstsBefore.push(bursts.total);
      bursts = undefined;
    },
    async stop() {
      await this.sleep();
      const totals = await Promise.all(
        Object.entries(loads).map(async ([name, { service, load }]) => ({ name, service, ...(await load.stop()) })),
      );
      const ofBursts = burstsBefore.map((total) => ({ name: "demand", service: "demand", ...total }));
      return { totals: [...totals, ...ofBursts], failures };
    },
  };
}

/** The same in a process of its own: nothing that the soak does meanwhile makes a client slow. */
export async function startLoadsProcess(options) {
  const child = new AskedProcess(join(root, "bench/soak/loads.mjs"), ["--child"]);
  await child.ask({ start: options });
  let stopped;
  return {
    wake: () => child.ask({ call: "wake" }),
    sleep: () => child.ask({ call: "sleep" }),
    stop: () => {
      stopped ??= child.ask({ call: "stop" }).finally(() => child.end());
      return stopped;
    },
  };
}

if (process.argv[2] === "--child" && process.send !== undefined) {
  let loads;
  process.on("message", async ({ start, call }) => {
    if (start !== undefined) loads = startLoads(start);
    process.send((call === undefined ? undefined : await loads[call]()) ?? {});
  });
  process.on("disconnect", () => process.exit());
}
