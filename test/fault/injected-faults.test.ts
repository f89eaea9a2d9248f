/**
 * System calls of the keeper fail as the kernel may let them fail: strace(1) injects the error, into the keeper only. One life under strace
 * tells which calls each script makes; then every call, with every error that it may give, has its turn: in one run every 20th, from a first one
 * that is different each time (HOLDFAST_SEED brings it back), and all of them with HOLDFAST_FAULTS_EVERY=1.
 *
 * What a script leads to is the same as without the fault, and what crash points count is counted here: requests that fail, starts and
 * stops, processes and descriptors that are left.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { failsStart, faultsOf, mayFail } from "./errors-of-calls.js";
import { Life } from "./life.js";
import type { Script } from "./script.js";
import { scripts as told } from "./scripts.js";
import { type Fault, Strace, type Traced, whyNoStrace } from "./strace.js";

const scripts: readonly Script[] = [
  ...told,
  { name: "a re-exec", act: async ({ holdfast }) => void (await holdfast.reExec()) },
];
interface Point extends Fault {
  readonly name: string;
}

const names = [...scripts.map(({ name }) => name), "the end"];
const livesAtOnce = 3;
const pointsPerLife = 12;
/** Of those that cost a supervisor: the keeper waits twice as long after each. */
const deathsPerLife = 2;
const every = Math.max(1, Number(process.env.HOLDFAST_FAULTS_EVERY ?? 20));
const seed = Number(process.env.HOLDFAST_SEED ?? Math.floor(Math.random() * every));
/** `HOLDFAST_FAULT=a stop:sendmsg:ENOBUFS:3` lets that happen once and nothing else. */
const only = /^(.+):(\w+):(\w+):(\d+)$/.exec(process.env.HOLDFAST_FAULT ?? "");
/** What was found so, in every run: a worker that cannot be watched must not have run, and frames that wait are not lost with a channel. */
const found: readonly Point[] = [
  { name: "a crash of a worker", call: "epoll_ctl", error: "ENOMEM", when: 1 },
  { name: "a scale down", call: "recvmsg", error: "ENOMEM", when: 1 },
];
const missing = whyNoStrace();
if (missing !== undefined) process.stderr.write(`SKIPPED: faults of the keeper's system calls: ${missing}\n`);

const problems = new Map<string, string[]>(names.map((name) => [name, []]));
const injected = new Map<string, number>(names.map((name) => [name, 0]));
const possible = new Map<string, number>();
let waiting: Point[] = [];
/** Lives whose programs have not come up in time: a machine may be that busy. */
let notBegun = 0;
const mostNotBegun = 20;

function costsSupervisor({ name }: Point): boolean {
  return name === "an adoption";
}

/** Lets something happen under strace, with the fault or without; what the keeper did meanwhile. */
async function traced(life: Life, fault: Fault | undefined, happens: () => Promise<unknown>): Promise<Traced[]> {
  const strace = await Strace.attach(life.holdfast.keeperPid!, fault);
  let trace: Traced[] = [];
  try {
    await happens();
  } finally {
    trace = await strace.detach();
  }
  return trace;
}

async function attempt(life: Life, point: Point): Promise<void> {
  const { name, call, error, when } = point;
  const script = scripts.find((one) => one.name === name);
  // A worker that has crashed is started again once, and by nobody else: there, starts are counted exactly.
  life.startsMayFail = failsStart(point) && name !== "a crash of a worker";
  life.armsMayFail = call === "epoll_ctl";
  try {
    const trace = await traced(life, point, () => (script === undefined ? life.end(0) : life.attempt(script, 0)));
    const hit = trace.find((one) => one.injected);
    if (hit !== undefined && mayFail(hit)) injected.set(name, injected.get(name)! + 1);
  } catch (cause) {
    problems.get(name)!.push(`${name}:${call}:${error}:${when}: ${(cause as Error).message}`);
    throw cause;
  }
}

function take(at: number): Point[] {
  return at < 0 ? [] : waiting.splice(at, 1);
}

/** The points of the next life, the end last; none when all had their turn. */
function nextLife(): Point[] {
  const points: Point[] = [];
  const isNext = (point: Point): boolean =>
    point.name !== "the end" && (!costsSupervisor(point) || points.filter(costsSupervisor).length < deathsPerLife);
  while (points.length < pointsPerLife) {
    const taken = take(waiting.findIndex(isNext));
    if (taken.length === 0) break;
    points.push(...taken);
  }
  return [...points, ...take(waiting.findIndex(({ name }) => name === "the end"))];
}

/** Takes the points out as it comes to them. */
async function live(points: Point[]): Promise<void> {
  const { life } = await Life.begin(0);
  const ends = points.some(({ name }) => name === "the end");
  try {
    for (let point = points.shift(); point !== undefined; point = points.shift()) await attempt(life, point);
    if (!ends) await life.end(0);
  } catch (error) {
    await life.abandon();
    throw error;
  }
}

async function scout(): Promise<Point[]> {
  const points: Point[] = [];
  const found = (name: string, trace: readonly Traced[]): void => {
    const faults = faultsOf(trace).map((fault) => ({ ...fault, name }));
    possible.set(name, faults.length);
    points.push(...faults);
  };
  const { life } = await Life.begin(0);
  for (const script of scripts) found(script.name, await traced(life, undefined, () => life.attempt(script, 0)));
  found("the end", await traced(life, undefined, () => life.end(0)));
  return points;
}

beforeAll(async () => {
  if (missing !== undefined) return;
  if (only !== null) return live([{ name: only[1]!, call: only[2]!, error: only[3]!, when: Number(only[4]) }]);
  waiting = [...found, ...(await scout()).filter((_, index) => index % every === seed % every)];
  const lives = Array.from({ length: livesAtOnce }, async () => {
    for (let points = nextLife(); points.length > 0; points = nextLife()) {
      const count = points.length;
      await live(points).catch((error: Error) => {
        // What is left of a life that went wrong waits for another one; one that has not even begun had no fault.
        waiting.push(...points);
        if (points.length === count) notBegun += 1;
        if (notBegun > mostNotBegun) throw error;
      });
    }
  });
  await Promise.all(lives);
  const counts = names.map((name) => `${name} ${injected.get(name)} of ${possible.get(name)}`);
  process.stdout.write(`HOLDFAST_SEED=${seed} HOLDFAST_FAULTS_EVERY=${every}; faults: ${counts.join(", ")}\n`);
}, 1_800_000); // About half a minute on an idle machine.

describe.skipIf(missing !== undefined)("a keeper of which any one system call fails", () => {
  test.each(names)("goes on through %s as if nothing had happened", (name) => {
    expect(problems.get(name)).toEqual([]);
  });
});
