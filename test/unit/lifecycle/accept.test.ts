import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ServiceConfig } from "../../../src/daemon/config/config.js";
import {
  type AcceptEvent,
  type AcceptState,
  type AcceptStep,
  acceptDeadline,
  newAccept,
  stepAccept,
} from "../../../src/daemon/lifecycle/accept.js";
import { plainService } from "./service-config.js";

const policy: ServiceConfig = {
  ...plainService,
  start: "connection",
  drain: { when: "auto", timeoutMs: 30_000, idleMs: 200, waitFor: "requests" },
  stop: { signal: "SIGTERM", timeoutMs: 5_000 },
};

/** A service that was told so, one after the other; what each of them led to. */
class Told {
  state: AcceptState = newAccept;
  at = 1_000;
  last!: AcceptStep;
  readonly #policy: typeof policy;

  constructor(own = policy) {
    this.#policy = own;
  }

  hear(event: AcceptEvent, laterMs = 0): this {
    this.at += laterMs;
    this.last = stepAccept(this.state, event, { at: this.at, policy: this.#policy });
    this.state = this.last.state;
    return this;
  }

  started(number: number): this {
    const connection = { number, peer: `192.0.2.1:${number}`, pid: 100 + number, startedAt: this.at };
    return this.hear({ type: "started", connection });
  }

  ended(number: number, code = 0): this {
    return this.hear({
      type: "ended",
      number,
      peer: `192.0.2.1:${number}`,
      end: { kind: "exited", code },
      lines: ["oh"],
    });
  }
}

const accepting = (own = policy) => new Told(own).hear({ type: "boot" }).hear({ type: "armed" });

describe("a service with a process for each connection", () => {
  test("is armed once its sockets can be used, and not before", () => {
    const told = new Told().hear({ type: "blocked" }).hear({ type: "boot" });
    expect(told.last.effects).toEqual([]);
    expect(told.hear({ type: "unblocked" }).last.effects).toEqual([{ type: "arm" }]);
    expect(told.hear({ type: "armed" }).last.facts).toEqual([{ type: "accepting" }]);
  });

  test("waits for its operator where the configuration says so", () => {
    const told = new Told({ ...policy, start: "manual" }).hear({ type: "boot" });
    expect(told.last.effects).toEqual([]);
    expect(told.hear({ type: "start", asker: 1 }).last.effects).toEqual([{ type: "arm" }]);
    expect(told.hear({ type: "armed" }).last.effects).toEqual([{ type: "answer", askers: [1], answer: "done" }]);
    expect(told.hear({ type: "start", asker: 2 }).last.effects).toEqual([
      { type: "answer", askers: [2], answer: "unchanged" },
    ]);
  });

  test("leaves what runs alone while its sockets cannot be used", () => {
    const told = accepting().started(1).hear({ type: "blocked" });
    expect(told.last.effects).toEqual([{ type: "disarm" }]);
    told.hear({ type: "disarmed" });
    expect(told.state.ending).toBeUndefined();
    expect(told.hear({ type: "unblocked" }).last.effects).toEqual([{ type: "arm" }]);
  });

  test("changes by a restart only what new connections get", () => {
    const told = accepting().started(1).hear({ type: "restart", asker: 1, hard: false });
    expect(told.last.effects).toEqual([{ type: "arm" }]);
    expect(told.hear({ type: "armed" }).last.effects).toEqual([{ type: "answer", askers: [1], answer: "done" }]);
    expect(told.state.ending).toBeUndefined();
  });

  test("ends by a hard restart those that are there, and no later one", () => {
    const told = accepting().started(1).hear({ type: "restart", asker: 1, hard: true });
    expect(told.last.effects).toEqual([{ type: "signal", numbers: [1] }, { type: "arm" }]);
    expect(told.started(2).last.effects).toEqual([]);
    expect(told.hear({ type: "deadline" }, 5_000).last.effects).toEqual([{ type: "kill", numbers: [1] }]);
    told.ended(1);
    expect(told.state).toMatchObject({ desired: "started" });
    expect(told.state.ending).toBeUndefined();
  });

  test("is not armed again by a timer, unless it could not be armed: then with growing pauses, and each reason is said once", () => {
    const told = new Told().hear({ type: "boot" }).hear({ type: "not-armed", message: "no such program" });
    expect(told.last.facts).toEqual([{ type: "not-armed", message: "no such program" }]);
    expect(acceptDeadline(told.state)).toBe(told.at + 1_000);
    expect(told.hear({ type: "deadline" }, 1_000).last.effects).toEqual([{ type: "arm" }]);
    expect(told.hear({ type: "not-armed", message: "no such program" }).last.facts).toEqual([]);
    expect(acceptDeadline(told.state)).toBe(told.at + 2_000);
    told.hear({ type: "deadline" }, 2_000).hear({ type: "armed" });
    expect(acceptDeadline(told.state)).toBeUndefined();
  });

  test("tells whoever has asked why it could not be armed", () => {
    const told = accepting().hear({ type: "configure", asker: 7 }).hear({ type: "not-armed", message: "no" });
    expect(told.last.effects).toEqual([{ type: "answer", askers: [7], answer: "failed", message: "no" }]);
  });
});

describe("a process whose run_limit is over", () => {
  const limited = (): Told => accepting({ ...policy, runLimitMs: 60_000 }).started(1);

  test("is asked to stop, killed after the stop timeout, and has not failed; the others have the rest of their time", () => {
    const told = limited();
    const started = told.at;
    told.hear({ type: "blocked" }, 10_000).started(2);
    expect(acceptDeadline(told.state, { runLimitMs: 60_000 })).toBe(started + 60_000);
    told.hear({ type: "deadline" }, 50_000);
    expect(told.last.effects).toEqual([{ type: "signal", numbers: [1] }]);
    expect(told.last.facts).toEqual([{ type: "run-limit", number: 1, peer: "192.0.2.1:1" }]);
    expect(acceptDeadline(told.state, { runLimitMs: 60_000 })).toBe(told.at + 5_000);
    told.hear({ type: "deadline" }, 5_000);
    expect(told.last.effects).toEqual([{ type: "kill", numbers: [1] }]);
    expect(told.last.facts).toEqual([{ type: "stop-timeout", count: 1 }]);
    expect(told.ended(1, 3).last.facts).toEqual([]);
    expect(acceptDeadline(told.state, { runLimitMs: 60_000 })).toBe(started + 70_000);
  });

  test("is asked once, if it is asked to stop anyway", () => {
    const told = limited().hear({ type: "stop", asker: 1 }, 50_000).hear({ type: "disarmed" });
    expect(told.hear({ type: "deadline" }, 10_000).last.effects).toEqual([{ type: "signal", numbers: [1] }]);
    const first = accepting({ ...policy, runLimitMs: 60_000 })
      .started(1)
      .hear({ type: "stop", asker: 1 });
    expect(first.hear({ type: "deadline" }, 30_000).last.effects).toEqual([{ type: "signal", numbers: [1] }]);
    expect(acceptDeadline(first.state, { runLimitMs: 60_000 })).toBe(first.at + 5_000);
  });
});

describe("a stop", () => {
  test("waits for what the keeper has started until then, lets it finish, then asks, then kills", () => {
    const told = accepting().started(1).hear({ type: "stop", asker: 1 });
    expect(told.last.effects).toEqual([{ type: "disarm" }]);
    told.started(2).hear({ type: "disarmed" });
    expect(told.last.effects).toEqual([]);
    expect(told.hear({ type: "deadline" }, 29_999).last.effects).toEqual([]);
    told.hear({ type: "deadline" }, 1);
    expect(told.last.effects).toEqual([{ type: "signal", numbers: [1, 2] }]);
    expect(told.last.facts).toEqual([{ type: "drain-timeout", count: 2 }]);
    expect(told.ended(1).last.effects).toEqual([]);
    told.hear({ type: "deadline" }, 5_000);
    expect(told.last.effects).toEqual([{ type: "kill", numbers: [2] }]);
    told.ended(2);
    expect(told.last.effects).toEqual([{ type: "answer", askers: [1], answer: "done" }]);
    expect(told.last.facts).toEqual([{ type: "stopped" }]);
  });

  test("is over at once where nobody is connected", () => {
    const told = accepting().hear({ type: "stop", asker: 1 });
    expect(told.last.effects).toEqual([{ type: "disarm" }]);
    expect(told.hear({ type: "disarmed" }).last.effects).toEqual([{ type: "answer", askers: [1], answer: "done" }]);
    expect(told.hear({ type: "stop", asker: 2 }).last.effects).toEqual([
      { type: "answer", askers: [2], answer: "unchanged" },
    ]);
  });

  test("does not wait with drain.when = signal, nor longer than whoever stops everything can", () => {
    const atOnce = accepting({ ...policy, drain: { ...policy.drain, when: "signal" } })
      .started(1)
      .hear({ type: "stop", asker: 1 });
    expect(atOnce.last.effects).toEqual([{ type: "disarm" }, { type: "signal", numbers: [1] }]);
    expect(atOnce.last.facts).toEqual([]);
    const hurried = accepting().started(1).hear({ type: "stop", asker: 1, withinMs: 3_000 });
    expect(acceptDeadline(hurried.state)).toBe(hurried.at + 3_000);
  });

  test("reaches also what is told of only when the others were asked to stop, or were killed", () => {
    const told = accepting().started(1).hear({ type: "stop", asker: 1 }).hear({ type: "deadline" }, 30_000);
    expect(told.started(2).last.effects).toEqual([{ type: "signal", numbers: [2] }]);
    told.hear({ type: "deadline" }, 5_000);
    expect(told.started(3).last.effects).toEqual([{ type: "kill", numbers: [3] }]);
  });

  test("that is followed by a start is superseded, ends what it was to end, and nothing that came later", () => {
    const told = accepting().started(1).hear({ type: "stop", asker: 1 }).hear({ type: "start", asker: 2 });
    expect(told.last.effects).toEqual([{ type: "answer", askers: [1], answer: "superseded" }]);
    expect(told.hear({ type: "disarmed" }).last.effects).toEqual([{ type: "arm" }]);
    expect(told.hear({ type: "armed" }).last.effects).toEqual([{ type: "answer", askers: [2], answer: "done" }]);
    told.started(2);
    expect(told.hear({ type: "deadline" }, 30_000).last.effects).toEqual([{ type: "signal", numbers: [1] }]);
  });
});

describe("an end", () => {
  test("that nobody asked for is a failure unless it is a clean one", () => {
    const told = accepting().started(1).started(2).ended(1);
    expect(told.last.facts).toEqual([]);
    told.ended(2, 3);
    expect(told.last.facts).toEqual([
      {
        type: "connection-failed",
        failure: { number: 2, peer: "192.0.2.1:2", at: told.at, end: { kind: "exited", code: 3 }, lines: ["oh"] },
      },
    ]);
    expect(told.state.lastFailure).toMatchObject({ number: 2 });
  });

  test("after a stop signal is what was asked for", () => {
    const told = accepting().started(1).hear({ type: "stop", asker: 1 }).hear({ type: "deadline" }, 30_000).ended(1, 9);
    expect(told.last.facts).toEqual([]);
  });
});

/** The world of the machine: a keeper that starts while it is armed and until it is disarmed, and a time that passes. */
test("whatever happens, everyone who asks is answered once, and a stop that ends leaves nothing running", () => {
  const words = fc.array(
    fc.constantFrom<
      "connect" | "end" | "start" | "stop" | "restart" | "hard" | "blocked" | "unblocked" | "fails" | "time"
    >("connect", "connect", "end", "start", "stop", "restart", "hard", "blocked", "unblocked", "fails", "time"),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(words, fc.constantFrom({}, { runLimitMs: 7_000 }), (happenings, limit) => {
      const told = new Told({ ...policy, ...limit }).hear({ type: "boot" });
      const open = new Set<number>();
      const asked = new Set<number>();
      let next = 0;
      let keeper = "off" as "off" | "on";
      let fails = false;
      const settle = (): void => {
        for (const effect of told.last.effects) {
          if (effect.type === "answer") {
            for (const asker of effect.askers) expect(asked.delete(asker), `answer to ${asker}`).toBe(true);
            if (effect.answer === "done" && told.state.desired === "stopped" && told.state.stopping.length === 0)
              expect(told.state.armed).toBe("no");
          }
          if (effect.type === "kill") for (const number of effect.numbers) expect(open.has(number)).toBe(true);
          if (effect.type === "arm") {
            if (!fails) keeper = "on";
            const event: AcceptEvent = fails ? { type: "not-armed", message: "no" } : { type: "armed" };
            fails = false;
            told.hear(event);
            settle();
          } else if (effect.type === "disarm") {
            keeper = "off";
            told.hear({ type: "disarmed" });
            settle();
          }
        }
      };
      const say = (event: AcceptEvent, laterMs = 0): void => {
        told.hear(event, laterMs);
        settle();
      };
      settle();
      for (const word of happenings) {
        next += 1;
        if (word === "connect" && keeper === "on") {
          open.add(next);
          told.started(next);
          settle();
        } else if (word === "end" && open.size > 0) {
          const number = [...open][0]!;
          open.delete(number);
          told.ended(number, next % 2);
          settle();
        } else if (word === "start" || word === "stop") {
          asked.add(next);
          say({ type: word, asker: next });
        } else if (word === "restart" || word === "hard") {
          asked.add(next);
          say({ type: "restart", asker: next, hard: word === "hard" });
        } else if (word === "blocked" || word === "unblocked") say({ type: word });
        else if (word === "fails") fails = true;
        else if (word === "time") say({ type: "deadline" }, 40_000);
      }
      say({ type: "unblocked" });
      asked.add(-1);
      say({ type: "stop", asker: -1 });
      say({ type: "deadline" }, 40_000);
      say({ type: "deadline" }, 40_000);
      for (const number of [...open]) {
        open.delete(number);
        told.ended(number);
        settle();
      }
      expect([...asked]).toEqual([]);
      expect(told.state).toMatchObject({ desired: "stopped", armed: "no" });
      expect(told.state.connections.size).toBe(0);
      expect(told.state.ending).toBeUndefined();
      expect(keeper).toBe("off");
    }),
  );
});
