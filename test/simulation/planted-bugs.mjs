/**
 * Bugs that the simulation must find. Each is a change of the text of one module while the bundle reads it; the text must be there exactly once, so that
 * a change of the product shows here. `law`: what is said to be broken then.
 */
const lifecycle = "src/daemon/lifecycle/";
const runtime = "src/daemon/runtime/";

export const PLANTED_BUGS = [
  {
    name: "an exit is not acknowledged",
    law: /it has the workers/,
    file: `${lifecycle}worker-moves.ts`,
    find: 'return to(worker, { phase: "gone", end }, [{ type: "acknowledge", worker: worker.id }], ["ended"]);',
    replace: 'return to(worker, { phase: "gone", end }, [], ["ended"]);',
  },
  {
    name: "a worker is started without a look at who is in its slot",
    law: /is started beside/,
    file: `${lifecycle}advance.ts`,
    find: "if (!instance.called || turn.slotIsTaken(slot)) return;",
    replace: "if (!instance.called) return;",
  },
  {
    name: "an apply closes a socket that is wanted",
    law: /^P1: .* is closed/,
    file: `${runtime}socket-table.ts`,
    find: "const keep = new Set(sockets.flatMap(socketKeys));",
    replace: "const keep = new Set(sockets.slice(1).flatMap(socketKeys));",
  },
  {
    name: "the stop signal goes out before the successor is ready",
    law: /before its successor is ready/,
    file: `${lifecycle}advance.ts`,
    find: 'if (current.state.phase === "ready" && first === "successor") return current.id;',
    replace: "",
  },
  {
    name: "effects happen before the state is written",
    law: /^P3: .* before its state is written/,
    file: `${runtime}service-runtime.ts`,
    find: "if (step.effects.some(({ type }) => !REPEATABLE.has(type))) this.#write();",
    replace: "",
  },
  {
    name: "a deadline is lost",
    law: /^at rest: .* goes on for ever|^at rest: .* does not go/,
    file: `${lifecycle}worker.ts`,
    find: '    case "stopping":\n    case "sweeping":\n      return worker.state.deadline;',
    replace: '    case "sweeping":\n      return worker.state.deadline;\n    case "stopping":\n      return undefined;',
  },
  {
    name: "an asker is answered twice",
    law: /is answered twice/,
    file: `${lifecycle}turn.ts`,
    find: 'this.#effects.push({ type: "answer", askers, answer, ...more });',
    replace:
      'this.#effects.push({ type: "answer", askers, answer, ...more }, { type: "answer", askers, answer, ...more });',
  },
  {
    name: "an asker is never answered",
    law: /have no answer/,
    file: `${lifecycle}commands.ts`,
    find: 'if (job?.kind !== "scale") return turn.answer([asker], "unchanged");',
    replace: 'if (job?.kind !== "scale") return;',
  },
  {
    name: "an adoption repeats no start",
    law: /^at rest: |the deadline at/,
    file: `${lifecycle}adoption.ts`,
    find: 'return keeper.child ? nothing : { effects: [{ type: "spawn", worker: id }], events: [] };',
    replace: "return nothing;",
  },
  {
    name: "what the operator stopped is started again",
    law: /is not wanted/,
    file: `${lifecycle}advance.ts`,
    find: "if (mayStart(turn.state)) {",
    replace: "if (!turn.state.blocked && turn.state.awaits === undefined) {",
  },
  {
    name: "a start that failed counts as ready",
    law: /it has the workers|after its exit|acknowledged/,
    file: `${lifecycle}worker.ts`,
    find: '        case "start-failed":\n          return neverRan(worker, event.stage, event.errno, policy);\n        case "retire":\n          return stop(asked(worker, event.overlaps), at, policy);\n        case "deadline":\n          return at >= now.deadline ? notReady(worker, policy) : same(worker);',
    replace:
      '        case "start-failed":\n          return ready(worker, at, policy);\n        case "retire":\n          return stop(asked(worker, event.overlaps), at, policy);\n        case "deadline":\n          return at >= now.deadline ? notReady(worker, policy) : same(worker);',
  },
  {
    name: "an adoption forgets where new connections go",
    law: /its connections go to/,
    file: `${runtime}service-runtime.ts`,
    find: "this.#lanes.steer(this.#state.steering ?? []);\n    for (const effect",
    replace: "for (const effect",
  },
  {
    name: "a valve is closed before a note says so",
    law: /^P3: the valve of .* is closed/,
    file: `${runtime}service-runtime.ts`,
    find: '  "find-valve",\n  "steer",',
    replace: '  "find-valve",\n  "close-valve",\n  "steer",',
  },
  {
    name: "an operator's start waits for the start limit",
    law: /^P8: /,
    file: `${lifecycle}commands.ts`,
    find: "turn.eachInstance((instance) => ({ ...unhindered(instance), called: true }));",
    replace: "turn.eachInstance((instance) => ({ ...instance, halted: false, called: true }));",
  },
  {
    name: "the start limit lasts for ever",
    law: /^at rest: .* instance \d is empty/,
    file: `${lifecycle}service-state.ts`,
    find: "state.instances.map(({ wait }) => wait?.until)",
    replace: 'state.instances.map(({ wait }) => (wait?.why === "backoff" ? wait.until : undefined))',
  },
  {
    name: "a stop is answered while processes are left",
    law: /^P[34]: .* (is said to be stopped|is forgotten)/,
    file: `${lifecycle}advance.ts`,
    find: "if (turn.workers().length > 0) return;",
    replace: 'if (turn.workers().some(({ worker }) => worker.state.phase !== "sweeping")) return;',
  },
  {
    name: "an arm that fires while it is adopted is a surprise",
    law: /the keeper refused fetch/,
    file: `${runtime}workers/worker-reopening.ts`,
    find: "if (!(error instanceof KeeperError) || error.errno !== ENOENT) throw error;",
    replace: "throw error;",
  },
  {
    name: "the notify socket of a worker that is gone stays open",
    law: /notify sockets/,
    file: `${runtime}worker-resources.ts`,
    find: "    this.#output?.close();\n    this.#notify.close();",
    replace: "    this.#output?.close();",
  },
  {
    name: "nobody waits for what comes first",
    law: /^order: .* begins, and/,
    file: `${lifecycle}awaiting.ts`,
    find: "if (mayWait(turn.policy)) turn.set({ awaits: [] });",
    replace: "",
  },
];
