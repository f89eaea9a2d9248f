import { setTimeout as pause } from "node:timers/promises";
import { accepts } from "../lib/daemon.mjs";
import { until } from "../lib/until.mjs";
import { initialShape, NAMES, renderConfiguration, SERVICES } from "./configuration.mjs";
import { Deck } from "./deck.mjs";

const CARDS = [
  ...["restart", "restart", "restart", "hard-restart", "scale", "scale", "signal", "reload", "pause", "pause"],
  ...["apply-variable", "apply-variable", "apply-socket", "apply-workers", "apply-all"],
];
/** How long anything may take: a restart waits for the next supervisor, and for up to 20 s of drain of each worker. */
const LONGEST_MS = 120_000;
const GONE_WITHIN_MS = 20_000;
const GONE = ["ECONNRESET", "ECONNREFUSED", "EPIPE", "ENOENT"];

/** What an operator does, at random, one thing after the other. Each is kept: {kind, service?, begun, ended (Date.now()), result, message?}. */
export class Operator {
  done = [];
  shape = initialShape();
  #holdfast;
  #random;
  #deck;
  #ports;
  #write;

  /** @param {{holdfast: any, random: () => number, ports: Record<string, number>, write: (config: string) => void}} options */
  constructor({ holdfast, random, ports, write }) {
    this.#holdfast = holdfast;
    this.#random = random;
    this.#ports = ports;
    this.#write = write;
    this.#deck = new Deck(CARDS, random);
  }

  /** Until the signal is aborted; what has begun is completed. */
  async run(signal) {
    while (!signal.aborted) {
      await pause(this.#random() * 1200, undefined, { signal }).catch(() => {}); // Aborted: the loop ends.
      if (!signal.aborted) await this.perform(this.#deck.draw());
    }
  }

  async perform(kind) {
    if (kind.startsWith("apply")) return this.#apply(kind, this.#changed(kind));
    if (kind === "pause") return this.#pause();
    const service = this.#pick(kind === "scale" ? NAMES.filter((name) => SERVICES[name].most > 1) : NAMES);
    return this.#keep(kind, service, () => this.#holdfast.act(service, this.#action(kind, service)));
  }

  /** Everything as it was in the beginning, and at rest. */
  async restore() {
    await this.#apply("restore", initialShape());
    for (const name of NAMES) {
      const action = { action: "scale", workers: SERVICES[name].workers };
      await this.#keep("restore", name, () => this.#holdfast.act(name, action));
    }
    for (const name of NAMES) await this.#rest(name);
  }

  /** Each steered service once with as many workers as it ever has: their lanes stay. */
  async stretch() {
    for (const name of NAMES.filter((each) => SERVICES[each].lanes)) {
      const action = { action: "scale", workers: SERVICES[name].most };
      await this.#keep("scale", name, () => this.#holdfast.act(name, action));
      await this.#keep("restart", name, () => this.#holdfast.act(name, { action: "restart", hard: false }));
    }
  }

  #action(kind, service) {
    if (kind === "restart") return { action: "restart", hard: false };
    if (kind === "hard-restart") return { action: "restart", hard: true };
    if (kind === "signal") return { action: "signal", signal: "SIGWINCH" }; // Which nobody minds.
    if (kind === "reload") return { action: "reload" };
    return { action: "scale", workers: 1 + Math.floor(this.#random() * SERVICES[service].most) };
  }

  #changed(kind) {
    const shape = structuredClone(this.shape);
    const service = shape.services[this.#pick(NAMES)];
    if (kind === "apply-variable" || kind === "apply-all") service.version += 1;
    if (kind === "apply-socket" || kind === "apply-all") shape.extra = !shape.extra;
    if (kind === "apply-workers" || kind === "apply-all") {
      const name = this.#pick(NAMES);
      shape.services[name].workers = 1 + Math.floor(this.#random() * SERVICES[name].most);
    }
    return shape;
  }

  async #apply(kind, shape) {
    this.#write(renderConfiguration(shape, this.#ports));
    const { result } = await this.#keep(kind, undefined, () => this.#holdfast.post("/v1/apply", {}));
    this.shape = shape; // Also if it was undone: the next one begins with what the file says, and Holdfast with what is in force.
    if (result !== "done" && result !== "unchanged") return;
    await this.#extraIs(shape.extra).catch(() => {
      this.done.at(-1).wrong = `after an apply the extra socket is not ${shape.extra ? "open" : "closed"}`;
    });
  }

  /** Closed it is once the last worker that had it is gone: one of an apply that was undone may drain still. */
  #extraIs(open) {
    const is = async () => ((await accepts(this.#ports.extra)) === true) === open;
    return until(`the extra socket is ${open ? "open" : "closed"}`, is, { timeoutMs: GONE_WITHIN_MS, everyMs: 50 });
  }

  async #pause() {
    const name = this.#pick(NAMES.filter((each) => SERVICES[each].pausable));
    const path = `/v1/sockets/${name}/actions`;
    const { result } = await this.#keep("pause", name, () =>
      this.#holdfast.post(path, { action: "pause", maxMs: 2000 }),
    );
    if (result !== "done") return;
    await pause(this.#random() * 3000); // Some end by themselves.
    await this.#keep("resume", name, () => this.#holdfast.post(path, { action: "resume" }));
  }

  async #keep(kind, service, ask) {
    const entry = { kind, service, begun: Date.now(), ended: Number.POSITIVE_INFINITY, result: "under way" };
    this.done.push(entry);
    const { result, message, receipt, receipts } = await withinTime(ask()).catch((error) => outcomeOf(error));
    Object.assign(entry, { result, message, receipts: receipts ?? (receipt === undefined ? [] : [receipt]) });
    // The supervisor was replaced: it goes on, and what belongs to it is over when nothing goes on any more.
    if (result === "unknown" && service !== undefined) await this.#rest(service);
    entry.ended = Date.now();
    return entry;
  }

  async #rest(name) {
    let view;
    const look = async () => {
      view = await this.#holdfast.get(`/v1/services/${name}`).catch((error) => {
        if (GONE.includes(error.code)) return undefined;
        throw error;
      });
      return view !== undefined && isAtRest(view);
    };
    await until(`${name} is at rest`, look, { timeoutMs: LONGEST_MS, everyMs: 50 }).catch((cause) => {
      throw new Error(`${name} does not come to rest: ${JSON.stringify(view)}`, { cause });
    });
  }

  #pick(list) {
    return list[Math.floor(this.#random() * list.length)];
  }
}

function isAtRest({ phase, workers }) {
  if (phase === "waiting") return workers.length === 0;
  return phase === "ready" && workers.every((worker) => worker.phase === "ready" && worker.role === "current");
}

function withinTime(asked) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${LONGEST_MS} ms`)), LONGEST_MS);
  });
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}

function outcomeOf(error) {
  if (GONE.includes(error.code)) return { result: "unknown", message: error.message };
  return { result: "refused", message: error.message };
}
