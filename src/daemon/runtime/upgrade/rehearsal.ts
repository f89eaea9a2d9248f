import { resumeWorker } from "../../lifecycle/adoption.js";
import { stepService } from "../../lifecycle/service.js";
import { type ServiceState, workersOf } from "../../lifecycle/service-state.js";
import { stopSignalOf } from "../../lifecycle/worker.js";
import { acceptKey, acceptTagOf, decodeAcceptState } from "../accept/accept-store.js";
import type { AppliedConfig } from "../applied-config.js";
import { COMMAND_PREFIX } from "../commands/command-runs.js";
import type { ArmRecord, HeldRecord, ListedChild } from "../keeper/records.js";
import { isSteered, type ServiceSetup, setupOf, versionOf } from "../service-setup.js";
import { decodeState, decodeWorkerTag, serviceKey, workerKey } from "../service-store.js";
import { socketKeys } from "../socket-key.js";
import { laneKey } from "../steering/socket-lanes.js";
import { isOver } from "../stray.js";
import { signalNumber } from "../words.js";

/** All that the keeper has, at one moment. */
export interface Found {
  readonly applied: AppliedConfig;
  readonly held: readonly HeldRecord[];
  readonly children: readonly ListedChild[];
  readonly arms: readonly ArmRecord[];
}

/** Effects that change nothing: they are repeated by whoever takes over. */
const LOOKS: ReadonlySet<string> = new Set(["observe", "sweep", "find-valve", "steer", "look-into", "acknowledge"]);

/**
 * What this version would do to services and sockets if it took over now, in words; nothing, if it would go on as the one in charge does. Pure: the same
 * functions decide as in earnest, over the same state, and their effects are counted instead of performed.
 *
 * It is not empty either in the moments in which the one in charge is about to do something itself, so whoever asks looks again.
 */
export function rehearse(found: Found, at: number): string[] {
  const { config, leaving } = found.applied;
  if (leaving.services.length + leaving.sockets.length > 0)
    return ["complete or undo an apply that is under way; wait until it has ended"];
  const setups = Object.values(config.services).map((service) => setupOf(service, config.sockets));
  const accepting = setups.filter(isForConnections);
  const services = setups
    .filter((setup) => !isForConnections(setup))
    .map((setup) => {
      const note = found.held.find(({ key }) => key === serviceKey(setup.config.name));
      return { setup, note, state: note && decodeState(note.tag) };
    });
  return [
    ...services.flatMap(({ setup, note, state }) => {
      const { name } = setup.config;
      if (note === undefined) return [`begin ${name}, which has no state`];
      if (state === undefined) return [`begin ${name} anew, because it cannot read its state`];
      return ofService(setup, state, found, at);
    }),
    ...accepting.flatMap((setup) => ofConnections(setup, found)),
    ...strangers(
      new Map(services.flatMap(({ setup, state }) => (state ? [[setup.config.name, state]] : []))),
      found,
      new Set(accepting.map(({ config: { name } }) => name)),
    ),
    ...unknownSockets(found),
  ];
}

function ofService(setup: ServiceSetup, state: ServiceState, found: Found, at: number): string[] {
  const { config } = setup;
  const { name } = config;
  const version = versionOf(setup);
  const deeds: string[] = [];
  for (const { worker, role } of workersOf(state)) {
    const who = `${name}/${worker.slot}`;
    const key = workerKey(name, worker.slot, worker.id);
    const child = found.children.find((each) => each.key === key);
    const arm = found.arms.some((each) => each.key === key);
    if (role !== "retiring" && worker.version !== undefined && worker.version !== version)
      deeds.push(`replace ${who}, because it takes its configuration for another one`);
    const stop = signalNumber(stopSignalOf(worker, config) ?? "") ?? 0;
    const wasSignalled = child !== undefined && stop > 0 && ((child.signals >> BigInt(stop - 1)) & 1n) === 1n;
    const { effects, events } = resumeWorker(worker, { child: child !== undefined, arm, wasSignalled }, config);
    for (const { type } of effects) if (type === "spawn" || type === "arm") deeds.push(`start ${who} (${type})`);
    if (events.some(({ type }) => type === "exited")) deeds.push(`take ${who} for ended, because it cannot find it`);
  }
  if (state.configured !== undefined && state.configured !== config.workers)
    deeds.push(`scale ${name} from ${state.configured} to ${config.workers}`);
  const step = stepService(
    state,
    { type: "deadline" },
    { at, policy: config, version, steered: isSteered(setup), random: 0.5 },
  );
  const effects = step.effects.filter(({ type }) => !LOOKS.has(type)).map(({ type }) => type);
  if (effects.length > 0) deeds.push(`change ${name}: ${effects.join(", ")}`);
  return deeds;
}

/** A service with a process for each connection. */
function isForConnections({ sockets }: ServiceSetup): boolean {
  return sockets.some(({ accept }) => accept !== undefined);
}

function ofConnections(setup: ServiceSetup, { held, arms }: Found): string[] {
  const { name } = setup.config;
  const note = held.find(({ key }) => key === serviceKey(name));
  if (note === undefined) return [`begin ${name}, which has no state`];
  if (decodeAcceptState(note.tag) === undefined) return [`begin ${name} anew, because it cannot read its state`];
  const arm = arms.find(({ key }) => key === acceptKey(name));
  const version = arm && acceptTagOf(arm.tag)?.version;
  const isSame = arm === undefined || version?.startsWith(`${versionOf(setup)} `);
  return isSame ? [] : [`accept for ${name} anew, because it takes its configuration for another one`];
}

/** Workers and armed starts that belong to nobody it knows: they would be ended. */
function strangers(
  states: ReadonlyMap<string, ServiceState>,
  { children, arms }: Found,
  accepting: ReadonlySet<string>,
): string[] {
  const isKnown = (tag: Buffer): boolean => {
    const owner = decodeWorkerTag(tag);
    if (owner !== undefined && accepting.has(owner.service)) return acceptTagOf(tag) !== undefined;
    const state = owner && states.get(owner.service);
    return state !== undefined && workersOf(state).some(({ worker }) => worker.id === owner?.worker);
  };
  return [
    ...children
      .filter((child) => !isOver(child) && !child.key.startsWith(COMMAND_PREFIX) && !isKnown(child.tag))
      .map(({ key, pid }) => `end ${key} (pid ${pid}), because no state that it can read has it`),
    ...arms.filter(({ tag }) => !isKnown(tag)).map(({ key }) => `drop the armed start ${key}`),
  ];
}

function unknownSockets({ applied: { config }, held }: Found): string[] {
  const known = Object.values(config.sockets).flatMap(socketKeys);
  const isKnown = (key: string): boolean =>
    known.some((each) => key === each || (key.startsWith(each) && laneKey(each, laneOf(key)) === key));
  return held
    .filter(({ key }) => key.startsWith("socket/") && !isKnown(key))
    .map(({ key }) => `leave ${key} aside, and bind its address anew`);
}

function laneOf(key: string): number {
  return Number(key.slice(key.lastIndexOf("%") + 1));
}
