import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HookName, ServiceConfig } from "../../src/daemon/config/config.js";
import { nextDeadline, workersOf } from "../../src/daemon/lifecycle/service-state.js";
import { plainService } from "../unit/lifecycle/service-config.js";
import type { Happening } from "./keeper-model.js";
import { BrokenLaw } from "./service-laws.js";
import { SupervisorModel } from "./supervisor-model.js";

type Action =
  | { readonly do: "kernel" | "tell" | "say"; readonly pick: number; readonly dieAfter: number | null }
  | { readonly do: "start" | "stop" | "restart" | "restart-hard" | "reset"; readonly dieAfter: number | null }
  | {
      readonly do: "configure";
      readonly start: ServiceConfig["start"];
      readonly version: string;
      readonly dieAfter: number | null;
    }
  | { readonly do: "canary" | "promote" | "abort" | "idle"; readonly dieAfter: number | null }
  | { readonly do: "health"; readonly pick: number; readonly ok: boolean; readonly dieAfter: number | null }
  | { readonly do: "scale"; readonly size: number; readonly dieAfter: number | null }
  | { readonly do: "pass"; readonly ms: number; readonly late: boolean; readonly dieAfter: number | null }
  | { readonly do: "blocked" | "unblocked" | "crash" | "strand" };

const dieAfter = fc.option(fc.nat(4), { freq: 20 });
const anAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constantFrom("kernel"), pick: fc.nat(1000), dieAfter }) },
  { weight: 14, arbitrary: fc.record({ do: fc.constantFrom("tell"), pick: fc.nat(1000), dieAfter }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("say"), pick: fc.nat(1000), dieAfter }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom("start", "stop", "restart", "restart", "restart-hard", "reset"),
      dieAfter,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("configure"),
      start: fc.constantFrom("boot", "connection", "manual"),
      version: fc.constantFrom("1", "2", "3"),
      dieAfter,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("canary", "canary", "promote", "abort", "idle", "idle"), dieAfter }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constantFrom("health"), pick: fc.nat(1000), ok: fc.boolean(), dieAfter }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("scale"), size: fc.integer({ min: 1, max: 4 }), dieAfter }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom("pass"),
      ms: fc.constantFrom(0, 1, 30, 100, 400, 1_000, 5_000),
      late: fc.boolean(),
      dieAfter,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("blocked", "unblocked") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("crash") }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("strand") }) },
);

const aPolicy: fc.Arbitrary<ServiceConfig> = fc
  .record({
    workers: fc.integer({ min: 1, max: 3 }),
    watchdogMs: fc.constantFrom(0, 0, 25, 1_500),
    action: fc.constantFrom("restart", "drain", "report"),
    runLimitMs: fc.constantFrom(undefined, undefined, 40, 2_500),
    start: fc.constantFrom("boot", "connection", "manual"),
    ready: fc.record({
      when: fc.constantFrom("notify", "auto", "spawned"),
      timeoutMs: fc.constantFrom(1, 300, 3_000),
      settleMs: fc.constantFrom(0, 50, 1_000),
    }),
    restart: fc.record({
      when: fc.constantFrom(
        "always",
        "always",
        "on-failure",
        "on-abnormal",
        "on-abort",
        "on-watchdog",
        "on-success",
        "never",
      ),
      backoff: fc.record({
        initialMs: fc.constantFrom(0, 100),
        factor: fc.constantFrom(1, 2, 10),
        maxMs: fc.constantFrom(50, 1_000),
        jitter: fc.constantFrom(0, 0.2, 1),
        resetAfterMs: fc.constantFrom(0, 500),
      }),
      limit: fc.record({ starts: fc.integer({ min: 1, max: 4 }), intervalMs: fc.constantFrom(1, 500, 10_000) }),
      prevent: fc.constantFrom([], [3]),
    }),
    rollout: fc.constantFrom(
      { surge: 1, unavailable: 0, pauseMs: 0 },
      { surge: 1, unavailable: 0, pauseMs: 400 },
      { surge: 2, unavailable: 0, pauseMs: 0 },
      { surge: 0, unavailable: 1, pauseMs: 0 },
      { surge: 1, unavailable: 1, pauseMs: 30 },
    ),
    drain: fc.record({
      when: fc.constantFrom("auto", "auto", "signal"),
      timeoutMs: fc.constantFrom(0, 100, 3_000),
      idleMs: fc.constant(200),
      waitFor: fc.constant("requests"),
    }),
    stop: fc.record(
      {
        signal: fc.constant("SIGTERM"),
        timeoutMs: fc.constantFrom(1, 200, 2_000),
        kill: fc.constantFrom("mixed" as const, "process" as const),
      },
      { requiredKeys: ["signal", "timeoutMs"] },
    ),
    hooks: fc.constantFrom(
      {},
      {},
      hooks("before_start"),
      hooks("after_start", "after_stop"),
      hooks("before_stop"),
      hooks("before_start", "after_start", "before_stop", "after_stop"),
    ),
  })
  .map(({ runLimitMs, action, ...part }) => {
    const limit = runLimitMs === undefined ? {} : { runLimitMs };
    return { ...plainService, health: { ...plainService.health, action }, ...part, ...limit } as ServiceConfig;
  });

function hooks(...names: readonly HookName[]): ServiceConfig["hooks"] & object {
  return Object.fromEntries(names.map((name) => [name, [{ command: [name], mayFail: false, timeoutMs: 30_000 }]]));
}

const CLEANLY = JSON.stringify({ kind: "exited", code: 0 });

/** What has happened, for the report of a failure. */
type Story = string[];

function play(model: SupervisorModel, action: Action, story: Story): void {
  switch (action.do) {
    case "strand": {
      const lane = [...model.keeper.looked][0];
      if (lane === undefined) return;
      model.keeper.looked.delete(lane);
      story.push(`${model.now}: connections wait in lane ${lane}`);
      return model.step({ type: "stranded", lane });
    }
    case "kernel":
      return happen(model, model.keeper.anything(model.now), action, story);
    case "tell":
      return happen(model, model.keeper.news(), action, story);
    case "say":
      return happen(model, model.keeper.words(), action, story);
    case "health": {
      const workers = workersOf(model.state);
      const asked = workers[action.pick % workers.length]?.worker.id;
      if (asked === undefined) return;
      story.push(`${model.now}: #${asked} is ${action.ok ? "" : "un"}healthy`);
      const event = { type: "health", ok: action.ok } as const;
      return model.step({ type: "worker", worker: asked, event }, action.dieAfter ?? undefined);
    }
    case "pass":
      story.push(`${model.now}: ${action.ms} ms pass${action.late ? ", deadlines told late" : ""}`);
      return model.pass(action.ms, action.late, action.dieAfter ?? undefined);
    case "crash":
      story.push(`${model.now}: the supervisor is killed`);
      return model.crash();
    case "configure":
      story.push(`${model.now}: ${JSON.stringify(action)} by ${model.askers + 1}`);
      model.lastConfigured = model.configure({ start: action.start }, action.version, action.dieAfter ?? undefined);
      return;
    case "blocked":
    case "unblocked":
      story.push(`${model.now}: ${action.do}`);
      return model.step({ type: action.do });
    default: {
      const asker = action.do === "idle" ? 0 : model.nextAsker();
      story.push(`${model.now}: ${JSON.stringify(action)} by ${asker}`);
      const die = action.dieAfter ?? undefined;
      if (action.do === "idle") return model.step({ type: "idle" }, die);
      if (action.do === "canary") return model.step({ type: "canary", asker, percent: 5 }, die);
      if (action.do === "scale") return model.step({ type: "scale", asker, size: action.size }, die);
      if (action.do === "restart" || action.do === "restart-hard") {
        return model.step({ type: "restart", asker, hard: action.do === "restart-hard" }, die);
      }
      return model.step({ type: action.do, asker }, die);
    }
  }
}

function happen(
  model: SupervisorModel,
  choices: Happening[],
  { pick, dieAfter }: { pick: number; dieAfter: number | null },
  story: Story,
): void {
  const choice = choices[pick % choices.length];
  if (choice === undefined) return;
  story.push(
    `${model.now}: ${choice.what}${dieAfter === null ? "" : `, the supervisor is killed after ${dieAfter} effects`}`,
  );
  const news = choice.happen();
  if (news !== undefined) model.step({ type: "worker", ...news }, dieAfter ?? undefined);
}

/** From here on everybody behaves, and time passes while nothing else is left to do. */
function settle(model: SupervisorModel, story: Story): void {
  const { runLimitMs: _, ...forever } = model.policy;
  model.policy = forever;
  model.step({ type: "unblocked" });
  for (let round = 0; round < 3_000; round++) {
    const next = model.keeper.news()[0] ?? model.keeper.fair()[0];
    tame(model);
    const due = nextDeadline(model.state);
    if (next !== undefined) happen(model, [next], { pick: 0, dieAfter: null }, story);
    else if (due !== undefined)
      play(model, { do: "pass", ms: Math.max(0, due - model.now), late: false, dieAfter: null }, story);
    else return;
  }
  throw new BrokenLaw("the service does not come to rest");
}

/** From here on no worker can be executed, and whatever lane is looked into, somebody waits in there. */
function spoil(model: SupervisorModel, story: Story, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    const { keeper, now, state } = model;
    const next = keeper.news()[0] ?? keeper.anything(now).find(({ what }) => what.endsWith("cannot execute"));
    if (next !== undefined) happen(model, [next], { pick: 0, dieAfter: null }, story);
    else if (keeper.looked.size > 0) play(model, { do: "strand" }, story);
    else {
      const ms = Math.max(0, (nextDeadline(state) ?? now) - now);
      play(model, { do: "pass", ms, late: false, dieAfter: null }, story);
    }
  }
}

/** A worker that feeds its watchdog for ever would never come to rest, so it says that it does without. */
function tame(model: SupervisorModel): void {
  for (const { worker } of workersOf(model.state)) {
    if (worker.watchdog?.fed === undefined || worker.watchdog.everyMs === 0) continue;
    model.step({ type: "worker", worker: worker.id, event: { type: "watchdog", everyMs: 0 } });
  }
}

function checkRest(model: SupervisorModel): void {
  const { state, keeper, policy } = model;
  if (state.job !== undefined || state.rollout !== undefined)
    throw new BrokenLaw(`a ${state.job?.kind} goes on for ever`);
  const tried = state.instances.find(({ slot }) => slot === state.canary?.slot);
  if (state.canary !== undefined && tried?.successor?.state.phase !== "ready")
    throw new BrokenLaw("there is a canary without a worker");
  const serves = state.instances.some(({ current }) => current?.state.phase === "ready");
  if (serves && state.desired === "started" && state.stranded !== undefined)
    throw new BrokenLaw(`nobody comes for what waits in lane ${state.stranded.join(", ")}`);
  for (let asker = 1; asker <= model.askers; asker++) {
    if (!model.answers.has(asker)) throw new BrokenLaw(`asker ${asker} has no answer`);
  }
  for (const start of keeper.starts) {
    const times = (keeper.acknowledged.get(start) ?? 0) + (keeper.children.has(start) ? 1 : 0);
    if (times !== 1) throw new BrokenLaw(`#${start} is acknowledged ${keeper.acknowledged.get(start) ?? 0} times`);
  }
  const workers = workersOf(state);
  // After an answer "done" nothing but what is in force may run, whatever happened since.
  if (model.answers.get(model.lastConfigured) === "done" && state.desired === "started") {
    for (const { worker } of workers) expect(worker.version).toBe(model.version);
  }
  const known = [...keeper.children.keys(), ...keeper.arms].sort();
  expect(workers.map(({ worker }) => worker.id).sort()).toEqual(known);
  if (state.desired === "stopped") return expect(workers).toEqual([]);
  expect(state.retiring).toEqual([]);
  expect(state.instances.map(({ slot }) => slot)).toEqual(Array.from({ length: state.size }, (_, index) => index + 1));
  const armed = state.instances.filter(({ current }) => current?.state.phase === "armed").length;
  for (const { slot, current, halted } of state.instances) {
    if (current?.state.phase === "ready") continue;
    if (halted && policy.restart.when !== "always") continue;
    if (halted && policy.restart.prevent.length > 0) continue;
    if (policy.start === "connection" && current?.state.phase === "armed") continue;
    const idle = policy.start === "connection" && current === undefined;
    // Nothing runs, so one is armed; or others run and will do.
    if (idle && (armed === 1 || state.instances.some((other) => other.current?.state.phase === "ready"))) continue;
    throw new BrokenLaw(`instance ${slot} is not ready in the end`);
  }
}

/** `HOLDFAST_PROPERTY_SEED` and `HOLDFAST_PROPERTY_PATH`, as a failure prints them, play that one again. */
function replay(): { seed?: number; path?: string } {
  const { HOLDFAST_PROPERTY_SEED: seed, HOLDFAST_PROPERTY_PATH: path } = process.env;
  return { ...(seed === undefined ? {} : { seed: Number(seed) }), ...(path === undefined ? {} : { path }) };
}

/** @throws Error that tells what has happened, when a law is broken */
function told(model: SupervisorModel, act: (story: Story) => void): void {
  const story: Story = [];
  try {
    act(story);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${story.join("\n")}\n${JSON.stringify(model.state)}`, {
      cause: error,
    });
  }
}

const runs = Number(process.env.HOLDFAST_PROPERTY_RUNS ?? 1_500);

describe("a service under any sequence of commands, kernel events, crashes of its supervisor and time", () => {
  test("keeps the laws", () => {
    fc.assert(
      fc.property(
        aPolicy,
        fc.integer(),
        fc.record({ steered: fc.boolean(), serves: fc.boolean() }),
        fc.array(anAction, { maxLength: 80, size: "max" }),
        (policy, seed, { steered, serves }, actions) => {
          const model = new SupervisorModel(policy, seed, steered);
          told(model, (story) => {
            if (serves) settle(model, story); // Of a start among random happenings little comes.
            model.policy = policy;
            for (const action of actions) play(model, action, story);
            settle(model, story);
            checkRest(model);
          });
        },
      ),
      { numRuns: runs, ...replay() },
    );
  }, 600_000);
});

describe("a stranded lane whose successors fail", () => {
  test("gets no more of them than backoff and start limit allow", () => {
    fc.assert(
      fc.property(aPolicy, fc.integer(), (policy, seed) => {
        const restart = { ...policy.restart, when: "on-failure", prevent: [] } as const;
        const model = new SupervisorModel({ ...policy, workers: 2, start: "boot", watchdogMs: 0, restart }, seed, true);
        told(model, (story) => {
          settle(model, story);
          const [end] = model.keeper.anything(model.now).filter(({ what }) => what === `#1 ends by ${CLEANLY}`);
          happen(model, [end!], { pick: 0, dieAfter: null }, story);
          spoil(model, story, 100);
          expect(model.keeper.starts.size).toBeGreaterThan(3);
        });
      }),
      { numRuns: runs / 20, ...replay() },
    );
  });
});
