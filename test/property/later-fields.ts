/** Fields of a state that this version does not know: a later one has written them, and reads them again once it is back. */
import { type Instance, type ServiceState, workersOf } from "../../src/daemon/lifecycle/service-state.js";
import type { Worker } from "../../src/daemon/lifecycle/worker.js";
import { BrokenLaw } from "./service-laws.js";

type Later<T> = T & { readonly later?: string };

/** The same state with such a field at each of its levels, where it has none yet. */
export function withLaterFields(state: ServiceState): ServiceState {
  const mark = <T extends object>(it: T, later: string): T => ({ later, ...it });
  const worker = (it: Worker): Worker => mark(it, `worker ${it.id}`);
  const instance = (it: Instance): Instance => ({
    ...mark(it, "an instance"),
    ...(it.current === undefined ? {} : { current: worker(it.current) }),
    ...(it.successor === undefined ? {} : { successor: worker(it.successor) }),
  });
  const retiring = state.retiring.map(worker);
  return mark({ ...state, instances: state.instances.map(instance), retiring }, "a state");
}

/** What is the same in both has kept them. */
export function checkLaterFields(before: ServiceState, after: ServiceState): void {
  const { later }: Later<ServiceState> = after;
  if (later === undefined) throw new BrokenLaw("a field that is not known is lost from the state");
  for (const [index, instance] of after.instances.entries()) {
    if (before.instances[index] !== undefined && (instance as Later<Instance>).later === undefined)
      throw new BrokenLaw(`a field that is not known is lost from instance ${index + 1}`);
  }
  const known = new Set(workersOf(before).map(({ worker }) => worker.id));
  for (const { worker } of workersOf(after)) {
    if (known.has(worker.id) && (worker as Later<Worker>).later !== `worker ${worker.id}`)
      throw new BrokenLaw(`a field that is not known is lost from worker ${worker.id}`);
  }
}
