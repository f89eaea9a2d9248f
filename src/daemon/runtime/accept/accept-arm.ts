import type { AcceptPolicy } from "../../config/config.js";
import type { RuntimeDirectories } from "../directories/runtime-directories.js";
import { KeeperError } from "../keeper/keeper-error.js";
import type { ArmRecord, ChildRecord } from "../keeper/records.js";
import { type ServiceSetup, versionOf } from "../service-setup.js";
import type { ServiceWorld } from "../service-world.js";
import type { AcceptLog } from "./accept-log.js";
import { acceptorOf, planAccept } from "./accept-plan.js";
import { type AcceptTag, acceptKey, acceptTagOf, connectionOfKey } from "./accept-store.js";

const ENOENT = 2;
const EBADMSG = 74;

/** What the keeper is to start for each connection of a service: made from its setup, put in force, and taken back. */
export class AcceptArm {
  readonly #world: Pick<ServiceWorld, "keeper" | "sockets" | "configFile" | "environment" | "log">;
  readonly #log: AcceptLog;
  readonly #directories: RuntimeDirectories;
  /** While what the keeper has started is asked for: those whose end was heard meanwhile, which may be in the answer all the same. */
  #over: Set<number> | undefined;
  /** What the arm of an earlier supervisor was made from. */
  #adoptedVersion: string | undefined;

  constructor(
    world: Pick<ServiceWorld, "keeper" | "sockets" | "configFile" | "environment" | "log">,
    log: AcceptLog,
    directories: RuntimeDirectories,
  ) {
    this.#world = world;
    this.#log = log;
    this.#directories = directories;
  }

  /** @param arm that of an earlier supervisor */
  adopt(arm: ArmRecord): void {
    this.#adoptedVersion = acceptTagOf(arm.tag)?.version;
  }

  /** Whether that of the earlier supervisor was made from another setup. */
  isStale(setup: ServiceSetup): boolean {
    return this.#adoptedVersion !== versionIn(setup);
  }

  /**
   * From the next connection on; what runs goes on as it is. Rejects, or throws before anything is asked for, with what stands in the way, in words.
   *
   * @param after the highest number that is known
   */
  put(setup: ServiceSetup, policy: AcceptPolicy, after: number): Promise<void> {
    const { keeper, sockets, configFile, environment, log } = this.#world;
    const pipes = this.#log.pipes();
    const version = versionIn(setup);
    this.#directories.settle(setup.config, false);
    const plan = planAccept({
      service: setup.config,
      version,
      pipes,
      configFile,
      own: environment,
      tell: (words) => log.info(`${setup.config.name}: ${words}`),
    });
    const keys = setup.sockets.flatMap((socket) => sockets.keys(socket));
    const asked = keeper.accept(plan.request, plan.fds, keys, acceptorOf(policy, after));
    for (const fd of plan.opened) fd.close();
    return asked.catch((error: Error) => {
      throw notArmed(error);
    });
  }

  /** Resolves when nothing is started any more. What the keeper has started by then is known afterwards, also what has not executed yet: `found` is told of each. */
  async takeBack(service: string, found: (tag: AcceptTag, record: ChildRecord) => void): Promise<void> {
    const { keeper } = this.#world;
    this.#over = new Set();
    try {
      await keeper.disarm(acceptKey(service)).catch((error: Error) => {
        if (!(error instanceof KeeperError) || error.errno !== ENOENT) throw error;
      });
      for (const { tag, ...record } of await keeper.listChildren()) {
        const connection = connectionOfKey(record.key);
        const own = acceptTagOf(tag);
        if (connection === undefined || own?.service !== service || this.#over.has(connection.number)) continue;
        if (record.state === "running" || record.state === "starting") found(own, { ...record, state: "running" });
      }
    } finally {
      this.#over = undefined;
    }
  }

  /** Its end was heard. */
  ended(number: number): void {
    this.#over?.add(number);
  }
}

/** Also the limits: the arm has them. */
function versionIn(setup: ServiceSetup): string {
  return `${versionOf(setup)} ${JSON.stringify(setup.sockets[0]?.accept)}`;
}

/** A keeper of an earlier version does not know such an arm. */
function notArmed(error: Error): Error {
  if (!(error instanceof KeeperError) || error.errno !== EBADMSG) return error;
  return new Error("the keeper is of a version that cannot accept connections; `holdfast self reexec` replaces it");
}
