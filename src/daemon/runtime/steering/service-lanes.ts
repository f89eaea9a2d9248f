import { range, type ServiceState } from "../../lifecycle/service-state.js";
import { isAbandoned, type Share } from "../../lifecycle/steering.js";
import type { ServiceSetup } from "../service-setup.js";
import type { SocketTable } from "../socket-table.js";

export interface LanesInput {
  readonly sockets: Pick<SocketTable, "steer" | "waitsIn" | "lanes">;
  readonly setup: () => ServiceSetup;
  readonly state: () => ServiceState;
  /** Connections wait in a lane that was looked into. */
  readonly stranded: (lane: number) => void;
}

/** The lanes of one service in the world: which of them get new connections, and what waits in one that nobody reads. Decides nothing. */
export class ServiceLanes {
  readonly #o: LanesInput;

  constructor(input: LanesInput) {
    this.#o = input;
  }

  steer(shares: readonly Share[]): void {
    const { sockets, setup } = this.#o;
    for (const socket of setup().sockets) sockets.steer(socket, shares);
  }

  lookInto(lane: number): void {
    const { sockets, setup, stranded } = this.#o;
    if (setup().sockets.some((socket) => sockets.waitsIn(socket, lane))) stranded(lane);
  }

  /** Looks into every lane that nobody is due to get. */
  lookAround(): void {
    const { sockets, setup, state } = this.#o;
    const most = Math.max(0, ...setup().sockets.map((socket) => sockets.lanes(socket)));
    for (const lane of range(most)) if (isAbandoned(state(), lane)) this.lookInto(lane);
  }
}
