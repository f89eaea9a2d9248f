/** In the place of runtime/socket-opener.ts. */
import type { SocketConfig } from "../../../src/daemon/config/config.js";
import { canonical, type SimulatedFile } from "../kernel.js";
import { world } from "../world.js";
import { OwnedFd } from "./ancillary.js";

export class SocketOpenError extends Error {
  readonly code = "address-in-use";
}

export function openSocket(config: SocketConfig, index: number): { readonly fd: OwnedFd; readonly address: string } {
  const { kernel, taken } = world();
  const address = canonical(config.listen[index]!);
  if (config.name === "control") return { fd: new OwnedFd(kernel.file("control")), address };
  if (taken.has(address) || kernel.groups.has(address)) throw new SocketOpenError(`${address} is in use`);
  return { fd: new OwnedFd(kernel.bind(address)), address };
}

export function openLane(_place: object, bound: { readonly file: SimulatedFile }): OwnedFd {
  return new OwnedFd(world().kernel.bind(bound.file.listener!.address));
}

export function adjustSocket(): void {}
export function adjustPath(): void {}
export function removeSocketPath(): void {}
