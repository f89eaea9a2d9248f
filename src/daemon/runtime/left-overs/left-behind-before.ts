import type { RemnantNote } from "../left-behind/remnant-note.js";
import type { TreeMember } from "../process-tree.js";
import { belongsToOne, environmentOf, type LeftProcess, slotOf } from "./left-worker.js";

/** Of a service with `stop.kill = "process"`. */
type Leaves = (service: string) => boolean;

/** Without those that are none: of one instance the newest alone is a worker where earlier ones leave processes behind. */
export function withoutLeftBehind(workers: readonly LeftProcess[], leaves: Leaves): readonly LeftProcess[] {
  return workers.filter(
    ({ service, slot, id }) =>
      !leaves(service) || !workers.some((other) => other.service === service && other.slot === slot && other.id > id),
  );
}

/** What workers of before have left behind, and was to go on; by the worker. */
export function leftBehindAmong(
  members: readonly TreeMember[],
  workers: readonly LeftProcess[],
  leaves: Leaves,
): readonly { readonly note: RemnantNote; readonly members: readonly TreeMember[] }[] {
  const found = new Map<string, { note: RemnantNote; members: TreeMember[] }>();
  for (const member of members) {
    const environment = environmentOf(member.pid);
    const place = slotOf(environment);
    const mark = `INVOCATION_ID=${environment.get("INVOCATION_ID")}`;
    if (place === undefined || !leaves(place.service) || belongsToOne(member.pid, workers)) continue;
    const before = found.get(mark);
    const own = [...(before?.note.own ?? []), { pid: member.pid, startTicks: member.startTicks }];
    // Nobody knows the session, nor the keeper that they were left to.
    const note: RemnantNote = { ...place, session: -1, keeper: 0, mark, own };
    found.set(mark, { note, members: [...(before?.members ?? []), member] });
  }
  return [...found.values()];
}
