import { randomBytes } from "node:crypto";
import { NotifySocket } from "../../../ancillary/index.js";
import type { SocketConfig } from "../../config/config.js";
import type { WorkerHandoffs } from "../handoff/worker-handoffs.js";
import type { WorkerHooks } from "../hooks/worker-hooks.js";
import { KeeperError } from "../keeper/keeper-error.js";
import type { FdStore } from "../notify/fd-store.js";
import { planStart, type StartPlan, StartPlanError } from "../start-plan.js";
import type { OpenWorkers } from "./open-workers.js";
import { complain, keyOf, type WorkersInput } from "./workers-input.js";

/** Errno of the keeper that means "what you ask for is so already". */
const EEXIST = 17;
/** The stage that `start-failed` names when the keeper was never asked. */
const PREPARE = 0;

export interface StartsInput extends Pick<WorkersInput, "setup" | "world" | "find" | "emit"> {
  readonly store: Pick<FdStore, "forStart">;
  readonly open: Pick<OpenWorkers, "open" | "forget">;
  readonly handoffs: Pick<WorkerHandoffs, "leave">;
  readonly hooks: Pick<WorkerHooks, "keepLines">;
}

/** Has the keeper start the workers of one service: at once, or when somebody connects, as long as that is not taken back. */
export class WorkerStarts {
  readonly #o: StartsInput;

  constructor(input: StartsInput) {
    this.#o = input;
  }

  spawn(worker: number): void {
    this.#start(worker, ({ request, fds }) => this.#o.world.keeper.spawn(request, fds));
  }

  arm(worker: number): void {
    const { setup, world, find } = this.#o;
    const { sockets } = setup();
    const lane = find(worker)?.lane;
    this.#start(worker, ({ request, fds }) => {
      const keys = sockets.flatMap((socket) => world.sockets.keys(socket, lane));
      return world.keeper.arm(request, fds, keys);
    });
  }

  disarm(worker: number): void {
    const { world, open, handoffs, emit } = this.#o;
    world.keeper.disarm(keyOf(this.#o, worker)).then(
      () => {
        open.forget(worker);
        handoffs.leave(worker);
        emit(worker, { type: "disarmed", inTime: true }, []);
      },
      (error: Error) => {
        if (!(error instanceof KeeperError)) return complain(this.#o, `disarm: ${error.message}`, error);
        emit(worker, { type: "disarmed", inTime: false }, []);
      },
    );
  }

  #start(worker: number, ask: (plan: StartPlan) => Promise<void>): void {
    const { world, open, store, find, setup } = this.#o;
    const { config, sockets } = setup();
    const slot = find(worker)?.slot ?? 0;
    const notify = NotifySocket.bind();
    let plan: StartPlan;
    try {
      plan = planStart({
        service: config,
        slot,
        worker,
        invocation: randomBytes(16).toString("hex"),
        notify,
        stored: store.forStart(slot),
        sockets: sockets.map((socket) => ({ name: socket.name, keys: this.#keysOf(socket, worker) })),
        configFile: world.configFile,
        own: world.environment,
        tell: (words) => world.log.info(`${config.name}: ${words}`),
      });
    } catch (error) {
      notify.close();
      if (!(error instanceof StartPlanError)) throw error;
      return this.#neverAsked(worker, error.errno, error.message);
    }
    for (const socket of sockets) {
      // A program that has ended may have set O_NONBLOCK, and the next one may count on accept(2) to wait. One that runs may count on it not to.
      if (!world.isInUse(socket.name)) world.sockets.makeBlocking(socket);
    }
    const asked = ask(plan); // Before `open`, which takes the pipes over: the frame carries duplicates of them.
    open.open(worker, plan.request.key, plan.tag, { notify, pipes: plan.pipes });
    for (const fd of plan.theirs) fd.close();
    asked.catch((error: Error) => {
      // EEXIST: it was asked for before a crash of the supervisor, and its own news is on the way.
      if (error instanceof KeeperError && error.errno === EEXIST) return;
      this.#neverAsked(worker, error instanceof KeeperError ? error.errno : 0, error.message);
    });
  }

  /** A lane that cannot be opened is a reason why the worker cannot be started. */
  #keysOf(socket: SocketConfig, worker: number): readonly string[] {
    try {
      return this.#o.world.sockets.keys(socket, this.#o.find(worker)?.lane);
    } catch (error) {
      throw new StartPlanError((error as Error).message, 0, { cause: error });
    }
  }

  #neverAsked(worker: number, errno: number, message: string): void {
    const lines = [`holdfast: ${message}`];
    this.#o.handoffs.leave(worker);
    this.#o.hooks.keepLines(worker, lines);
    this.#o.emit(worker, { type: "start-failed", stage: PREPARE, errno }, lines);
  }
}
