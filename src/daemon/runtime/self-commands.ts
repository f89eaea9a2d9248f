import type { Operations } from "../control/api.js";
import type { EventLog } from "./event-log.js";
import type { KeeperProgram } from "./keeper-program.js";
import type { Logger } from "./logger.js";
import type { Succession } from "./succession/succession.js";
import type { SupervisorUpgrade } from "./upgrade/supervisor-upgrade.js";

/** The operator's commands that replace Holdfast's own programs: `self reexec` and `self upgrade`. Each is told in the log and among the events. */
export function selfCommands(o: {
  readonly keeperProgram: KeeperProgram;
  readonly upgrade: SupervisorUpgrade;
  readonly succession: Succession | undefined;
  readonly log: Logger;
  readonly events: EventLog;
}): Pick<Operations, "reExec" | "upgrade"> {
  const { keeperProgram, upgrade, succession, log, events } = o;
  return {
    async reExec(path) {
      const view = await keeperProgram.reExec(path);
      const done = view.result === "done";
      if (done) succession?.keeperReExecuted();
      log[done ? "info" : "warn"](view.message);
      events.add({ type: done ? "keeper-re-executed" : "keeper-re-exec-refused", message: view.message });
      return view;
    },
    async upgrade(directory, timeoutMs) {
      const view = await upgrade.try(directory, timeoutMs);
      const willing = view.result === "willing";
      log[willing ? "info" : "warn"](view.message);
      events.add({ type: willing ? "supervisor-cedes" : "supervisor-upgrade-refused", message: view.message });
      // Once the answer is on its way: what is closed first is the control interface.
      if (willing) setImmediate(() => void upgrade.cede().catch((error: Error) => log.error(error.message, { error })));
      return view;
    },
  };
}
