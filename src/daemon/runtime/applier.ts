import type { Config, ServiceConfig } from "../config/config.js";
import type { ApplyView, FailureView, PlanView, ReceiptView } from "../control/api.js";
import { ControlError } from "../control/control-error.js";
import { inStartOrder } from "../lifecycle/order-commands.js";
import { type Change, diff } from "../plan/diff.js";
import { type Leaving, nothingLeaves, writeAppliedConfig } from "./applied-config.js";
import type { Answered } from "./askers.js";
import type { Clock } from "./clock.js";
import type { CommandRuns } from "./commands/command-runs.js";
import type { EventLog } from "./event-log.js";
import { firstProblem } from "./hooks/service-check.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { Logger } from "./logger.js";
import type { Ordering, Reached } from "./ordering.js";
import { plannedChange, planView, refusal } from "./plan-view.js";
import type { Service } from "./service.js";
import { type ServiceSetup, setupOf } from "./service-setup.js";
import { serviceKey } from "./service-store.js";
import type { SocketTable } from "./socket-table.js";

/** What the supervisor's own files say now. Problems and warnings are texts with their places. */
export type ReadConfig =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] };

export interface ApplierInput {
  readonly keeper: Keeper;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventLog;
  readonly services: Map<string, Service>;
  readonly sockets: SocketTable;
  readonly order: Ordering;
  readonly commands: CommandRuns;
  readonly inForce: () => Config;
  /** The supervisor's own part of a configuration. Throws if it cannot be used; what it has done then is undone by another call. */
  readonly adjust: (config: Config) => void;
  /** From now on this is what is in force. */
  readonly enforce: (config: Config) => void;
  readonly read: () => Promise<ReadConfig>;
  readonly makeService: (setup: ServiceSetup) => Service;
  /** It has workers of a configuration that is not in force, and the attempt to replace them has failed. */
  readonly bringBack: (service: Service) => void;
  readonly isEnding: () => boolean;
  readonly nextAsker: () => number;
}

/** A step of an apply did not lead to what it should: everything before it is undone. */
class StepFailed extends Error {
  constructor(
    readonly service: string,
    message: string,
    readonly failure?: FailureView,
  ) {
    super(message);
  }
}

/**
 * Puts other configurations in force, one at a time, all or nothing.
 *
 * What can fail comes first and is undone if anything fails: new sockets, then each changed service, then the new ones. The configuration in the
 * keeper is replaced after that, and what is gone from it is ended last. At every moment what the keeper holds says what a new
 * supervisor has to do: before the replacement everything new has to go, after it everything old.
 */
export class Applier {
  readonly #o: ApplierInput;
  #busy: Promise<unknown> | undefined;
  /** Of the apply that is under way. */
  #receipts: ReceiptView[] = [];

  constructor(input: ApplierInput) {
    this.#o = input;
  }

  async plan(): Promise<PlanView> {
    const { config, warnings } = await this.#read();
    return planView(this.#o.inForce(), config, warnings);
  }

  /** @param id the plan that was shown; another one is refused */
  apply(id: string | undefined): Promise<ApplyView> {
    if (this.#busy !== undefined) {
      throw new ControlError(
        "apply-in-progress",
        "another apply is under way; when it is complete, look at the plan again",
      );
    }
    return this.#alone(() => this.#apply(id));
  }

  /** After a crash: ends what is not of the configuration in force. */
  finish(leaving: Leaving): Promise<void> {
    return this.#alone(() => this.#leave(this.#o.inForce(), leaving));
  }

  get isBusy(): boolean {
    return this.#busy !== undefined;
  }

  /** Resolves when no apply is under way. */
  async idle(): Promise<void> {
    await this.#busy?.catch(() => undefined); // Its own caller is told.
  }

  #alone<T>(run: () => Promise<T>): Promise<T> {
    const running = run().finally(() => {
      this.#busy = undefined;
    });
    this.#busy = running;
    return running;
  }

  async #read(): Promise<{ readonly config: Config; readonly warnings: readonly string[] }> {
    const read = await this.#o.read();
    if (read.ok) return read;
    const { problems } = read;
    throw new ControlError("invalid-configuration", problems.join("\n"), { problems });
  }

  async #apply(id: string | undefined): Promise<ApplyView> {
    const { clock, events, inForce, log } = this.#o;
    const startedAt = clock.monotonic();
    this.#receipts = [];
    const { config: desired, warnings } = await this.#read();
    const current = inForce();
    const plan = planView(current, desired, warnings);
    if (id !== undefined && id !== plan.id) {
      throw new ControlError(
        "plan-changed",
        "the files or what is in force have changed since the plan was shown; look at it again",
      );
    }
    const view = (result: ApplyView["result"], message: string, failed?: StepFailed): ApplyView => ({
      result,
      message,
      changes: plan.changes,
      ...(failed === undefined ? {} : { service: failed.service }),
      ...(failed?.failure === undefined ? {} : { failure: failed.failure }),
      receipts: this.#receipts,
      durationMs: Math.round(clock.monotonic() - startedAt),
    });
    if (plan.changes.length === 0) return view("unchanged", "the files say what is in force");
    const refused = plan.changes.map(refusal).find((reason) => reason !== undefined);
    if (refused !== undefined) return view("failed", `nothing was changed: ${refused}`);
    const changes = diff(current, desired);
    const unfit = await this.#failedCheck(changes);
    if (unfit !== undefined) return view("failed", `nothing was changed: ${unfit}`);
    try {
      await this.#enact(current, desired, changes);
    } catch (error) {
      const answer = this.#failed(error as Error, view);
      // What became of a service is told already; anything else may need its cause.
      log.warn(answer.message, { event: "apply-failed", ...(error instanceof StepFailed ? {} : { error }) });
      events.add({ type: "apply-failed", message: answer.message });
      return answer;
    }
    const count = `${plan.changes.length} ${plan.changes.length === 1 ? "change" : "changes"}`;
    const message = `applied: ${count} from ${desired.files.join(", ")}`;
    log.info(message, { event: "applied" });
    events.add({
      type: "applied",
      message,
      data: { changes: changes.map((change) => plannedChange(change, current)) },
    });
    return view("done", message);
  }

  /** What is new, or is replaced, is asked first whether it can be; all at the same time. */
  async #failedCheck(changes: readonly Change[]): Promise<string | undefined> {
    const asked = changes.flatMap((change) =>
      change.kind === "add-service" || (change.kind === "change-service" && change.how !== "live")
        ? [change.service]
        : [],
    );
    const checked = asked.map((config) => ({ config, ring: this.#o.services.get(config.name)?.ring }));
    const found = await firstProblem(checked, this.#o.commands);
    return found && `of ${found.service}, ${found.problem}`;
  }

  #failed(
    error: Error,
    view: (result: ApplyView["result"], message: string, failed?: StepFailed) => ApplyView,
  ): ApplyView {
    if (!(error instanceof StepFailed)) return view("failed", `everything is as before: ${error.message}`);
    return view("rolled-back", `everything is as before, because of ${error.service}: ${error.message}`, error);
  }

  /** Throws once everything is undone. */
  async #enact(current: Config, desired: Config, changes: readonly Change[]): Promise<void> {
    const { keeper, sockets, adjust, enforce } = this.#o;
    const added = changes.flatMap((change) => (change.kind === "add-service" ? [change.service] : []));
    const gone = changes.flatMap((change) => (change.kind === "remove-service" ? [change.name] : []));
    const leaving: Leaving = {
      services: gone.flatMap((name) => current.services[name] ?? []),
      sockets: Object.values(current.sockets),
    };
    const undo: (() => unknown)[] = [];
    try {
      undo.push(() => writeAppliedConfig(keeper, { config: current, leaving: nothingLeaves }));
      // Written before the first of it is there, so that whoever comes after a crash knows what to remove.
      await writeAppliedConfig(keeper, {
        config: current,
        leaving: { services: added, sockets: Object.values(desired.sockets) },
      });
      undo.push(() => adjust(current));
      adjust(desired);
      const prepared = await sockets.prepare(Object.values(desired.sockets));
      undo.push(() => prepared.undo());
      for (const change of inOrder(changes, desired)) {
        if (change.kind === "change-service") await this.#change(change, desired, undo);
        else await this.#add(setupOf(change.service, desired.sockets), undo);
      }
      await writeAppliedConfig(keeper, { config: desired, leaving });
    } catch (error) {
      for (const step of undo.reverse()) await this.#undo(step);
      throw error;
    }
    enforce(desired);
    await this.#leave(desired, leaving).catch((error: Error) => {
      this.#o.log.error(`what is not in force could not be removed: ${error.message}`, { error });
    });
  }

  async #change(
    { service: config, how }: Extract<Change, { kind: "change-service" }>,
    desired: Config,
    undo: (() => unknown)[],
  ): Promise<void> {
    const service = this.#o.services.get(config.name);
    if (service === undefined) throw new Error(`${config.name} is in force and does not run`);
    this.#mayGoOn(config.name);
    const { setup } = service;
    const wanted = setupOf(config, desired.sockets);
    // A successor cannot start, and the workers go on: nothing would be heard of this until that is over.
    const problem = how !== "live" && service.pids().length > 0 ? service.socketProblem(wanted) : undefined;
    if (problem !== undefined) throw new StepFailed(config.name, `its workers cannot be replaced: ${problem}`);
    await this.#begin(service, config, undo);
    const { size } = service.state;
    undo.push(() => this.#goBack(service, setup));
    this.#mustBe("done", config.name, await service.configure(wanted, this.#o.nextAsker()));
    if (config.workers === setup.config.workers) return;
    undo.push(() => this.#scale(service, size, setup.config.workers));
    this.#mustBe("done", config.name, await this.#scale(service, config.workers, config.workers));
  }

  /** What a service that is wanted cannot do without from now on, and what does not run: its workers would end for it, or not start the next time. */
  async #begin(service: Service, wanted: ServiceConfig, undo: (() => unknown)[]): Promise<void> {
    const { order, services } = this.#o;
    if (service.state.desired === "stopped") return;
    const { requires = [], bindsTo = [] } = service.config;
    for (const name of [...(wanted.requires ?? []), ...(wanted.bindsTo ?? [])]) {
      const other = services.get(name);
      if (other?.state.desired !== "stopped" || requires.includes(name) || bindsTo.includes(name)) continue;
      const { reached, answered } = order.start(name, () => this.#ask(other, "start"));
      undo.push(() => this.#takeBack([...reached, { service: name, action: "started" }]));
      this.#mustBe("done", name, await answered);
    }
  }

  /** What a step has done to others. What was added by the same apply is gone by then. */
  async #takeBack(reached: readonly Reached[]): Promise<void> {
    const { isEnding, order, services } = this.#o;
    for (const { service: name, action } of reached.toReversed()) {
      const service = services.get(name);
      if (service === undefined || isEnding()) continue;
      if (action === "stopped") await order.start(name, () => this.#ask(service, "start")).answered;
      if (action === "started") await order.stop(name, [], () => this.#ask(service, "stop")).answered;
    }
  }

  #ask(service: Service, type: "start" | "stop"): Promise<Answered> {
    const asker = this.#o.nextAsker();
    return service.ask(asker, { type, asker });
  }

  /** What is in force is in force, also if its worker fails now, or an operator's command comes first. */
  async #goBack(service: Service, setup: ServiceSetup): Promise<void> {
    const { bringBack, isEnding, nextAsker } = this.#o;
    await service.configure(setup, nextAsker(), true);
    if (service.hasStaleWorkers && !isEnding()) bringBack(service);
  }

  async #scale(service: Service, size: number, configured: number): Promise<Answered> {
    const asker = this.#o.nextAsker();
    const asked = service.ask(asker, { type: "scale", asker, size, configured });
    // While its sockets cannot be bound it does not start; it has that many as soon as they are.
    return service.state.blocked ? { answer: "done" } : asked;
  }

  async #add(setup: ServiceSetup, undo: (() => unknown)[]): Promise<void> {
    const { services, makeService } = this.#o;
    const { name, start } = setup.config;
    this.#mayGoOn(name);
    const service = makeService(setup);
    services.set(name, service);
    let reached: readonly Reached[] = [];
    undo.push(() => this.#takeBack(reached));
    undo.push(() => this.#remove(service));
    reached = this.#o.order.boot([name]);
    if (start !== "boot" || service.state.blocked) return;
    this.#mustBe("done", name, await this.#ask(service, "start"));
  }

  /** What is not in force ends; nothing of it can fail but by time. */
  async #leave(inForce: Config, leaving: Leaving): Promise<void> {
    const { keeper, services, sockets } = this.#o;
    const going = this.#o.order.inStopOrder(leaving.services.map(({ name }) => name));
    await this.#o.order.together(() =>
      Promise.all(going.flatMap((name) => services.get(name) ?? []).map((service) => this.#remove(service))),
    );
    if (this.#o.isEnding()) return; // The end of everything closes them.
    sockets.settle(Object.values(inForce.sockets));
    await writeAppliedConfig(keeper, { config: inForce, leaving: nothingLeaves });
  }

  /** Stops a service and forgets it. */
  async #remove(service: Service): Promise<void> {
    const { keeper, nextAsker, services } = this.#o;
    const { name } = service.config;
    for (let stopped = false; !stopped; ) {
      const asker = nextAsker();
      const { answer } = await service.ask(asker, { type: "stop", asker });
      if (this.#o.isEnding()) return;
      stopped = answer !== "superseded"; // By an operator who has started it meanwhile: it goes all the same.
    }
    services.delete(name);
    this.#o.order.changed(); // Nobody waits for it any more.
    await service.close();
    await keeper.release(serviceKey(name));
  }

  #mayGoOn(name: string): void {
    if (this.#o.isEnding()) throw new StepFailed(name, "holdfast is stopping everything");
  }

  #mustBe(wanted: "done", name: string, { answer, failure, because, receipt }: Answered): void {
    if (receipt !== undefined) this.#receipts.push(receipt);
    if (answer === wanted || answer === "unchanged") return;
    const superseded = answer === "superseded" ? "a later command took its place" : "its worker failed";
    throw new StepFailed(name, failure?.message ?? because ?? superseded, failure);
  }

  async #undo(step: () => unknown): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#o.log.error(`what was applied could not be undone: ${(error as Error).message}`, { error });
    }
  }
}

type ServiceChange = Extract<Change, { kind: "change-service" | "add-service" }>;

/** What comes first is changed first: a migration before what needs it. Where nothing is said of an order, what has changed comes before what is new. */
function inOrder(changes: readonly Change[], { services }: Config): readonly ServiceChange[] {
  const ofServices = changes.filter((change) => change.kind === "change-service" || change.kind === "add-service");
  const sorted = ofServices.toSorted((a, b) => Number(a.kind === "add-service") - Number(b.kind === "add-service"));
  const byName = new Map(sorted.map((change) => [change.service.name, change]));
  const members = new Map(Object.entries(services).map(([name, config]) => [name, { config }]));
  return inStartOrder(byName.keys(), members).flatMap((name) => byName.get(name) ?? []);
}
