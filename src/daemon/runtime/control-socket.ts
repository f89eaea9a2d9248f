import type { OwnedFd } from "../../ancillary/index.js";
import type { SocketConfig, SupervisorConfig } from "../config/config.js";
import { resolveIdentity } from "./identity.js";
import type { Keeper } from "./keeper/keeper-client.js";
import type { HeldRecord } from "./keeper/records.js";
import { adjustPath, openSocket, removeSocketPath } from "./socket-opener.js";

const KEY = "control";
/** Commands of scripts come in bursts, and a full queue of a unix socket refuses at once. */
const BACKLOG = 256;

/**
 * The operator's socket. The keeper holds it too, so a command that comes while the supervisor is being replaced waits
 * instead of being refused.
 */
export class ControlSocket {
  #config: SocketConfig;

  constructor(config: SupervisorConfig) {
    this.#config = socketOf(config);
  }

  /** Other rights on the same path. Throws if there is no such group. */
  adjust(config: SupervisorConfig): void {
    const before = this.#config;
    const after = socketOf(config);
    this.#config = after;
    adjustPath({ config: before, index: 0 }, { config: after, index: 0 });
  }

  /** The listening descriptor, found with the keeper or bound now; the caller's. */
  async open(keeper: Keeper, held: readonly HeldRecord[]): Promise<OwnedFd> {
    if (held.some(({ key }) => key === KEY)) {
      const [fd] = await keeper.fetch("held", KEY);
      if (fd !== undefined) return fd;
    }
    const { fd } = openSocket(this.#config, 0, resolveIdentity(this.#config));
    await keeper.hold(KEY, Buffer.alloc(0), [fd], true);
    return fd;
  }

  remove(): void {
    removeSocketPath(this.#config, 0);
  }
}

function socketOf({ control, controlMode, controlGroup }: SupervisorConfig): SocketConfig {
  return {
    name: KEY,
    listen: [{ kind: "unix", path: control }],
    listenText: [`unix://${control}`],
    distribution: "shared",
    backlog: BACKLOG,
    mode: controlMode,
    ...(controlGroup === undefined ? {} : { group: controlGroup }),
    symlinks: [],
    removeOnStop: true,
    options: {},
  };
}
