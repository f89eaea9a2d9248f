import { AcceptService } from "./accept/accept-service.js";
import type { Service } from "./service.js";
import { ServiceRuntime } from "./service-runtime.js";
import type { ServiceSetup } from "./service-setup.js";
import { decodeState } from "./service-store.js";
import type { ServiceWorld } from "./service-world.js";

/** @param note what an earlier supervisor wrote of it */
export function makeService(setup: ServiceSetup, world: ServiceWorld, note?: Buffer): Service {
  const accepts = setup.sockets.some(({ accept }) => accept !== undefined);
  return accepts ? new AcceptService(setup, world, note) : new ServiceRuntime(setup, world, note && decodeState(note));
}
