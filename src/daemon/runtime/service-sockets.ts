import type { ServiceSetup } from "./service-setup.js";
import type { ServiceWorld } from "./service-world.js";

type Sockets = Pick<ServiceWorld, "sockets" | "isPaused">;

/** All sockets of a service are there, and may be accepted from. */
export function areBound(setup: ServiceSetup, { sockets, isPaused }: Sockets): boolean {
  return setup.sockets.every((socket) => sockets.isBound(socket) && !isPaused(socket.name));
}

/** Why not, in words. undefined: they are, or nobody has tried yet. */
export function socketProblemOf(setup: ServiceSetup, { sockets, isPaused }: Sockets): string | undefined {
  return setup.sockets
    .map(
      (socket) =>
        sockets.problem(socket) ??
        (isPaused(socket.name)
          ? `socket ${socket.name} is paused; \`holdfast resume ${socket.name}\` ends that`
          : undefined),
    )
    .find(Boolean);
}
