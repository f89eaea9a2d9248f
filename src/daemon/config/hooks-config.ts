import { besideCommand } from "./beside-command.js";
import type { CheckPolicy, Hook, HookName, Hooks, ServiceConfig } from "./config.js";
import { wrong } from "./problem.js";
import type { CheckInput, HooksInput } from "./schema-hooks.js";
import type { Site } from "./site.js";

const NAMES: readonly HookName[] = ["before_start", "after_start", "before_stop", "after_stop"];

/** Lists without an entry are left out; undefined: there is none. What `[defaults]` say of readiness does not reach a task. */
export function hooksPolicy(input: HooksInput | undefined, o: { site: Site; isTask: boolean }): Hooks | undefined {
  const lists = NAMES.flatMap((name): [HookName, readonly Hook[]][] => {
    const items = input?.[name] ?? [];
    if (items.length === 0 || (name === "after_start" && o.isTask)) return [];
    const hooks = items.map(({ command, may_fail: mayFail, timeout: timeoutMs }, index) => ({
      command: besideCommand(command, { site: o.site, place: ["hooks", name, index, "command"] }),
      mayFail,
      timeoutMs,
    }));
    return [[name, hooks]];
  });
  return lists.length === 0 ? undefined : Object.fromEntries(lists);
}

export function checkPolicy(input: CheckInput | undefined, site: Site): CheckPolicy | undefined {
  if (input === undefined) return undefined;
  return { command: besideCommand(input.command, { site, place: ["check", "command"] }), timeoutMs: input.timeout };
}

/** Hooks for which there is no moment. */
export function checkHooks(service: ServiceConfig, site: Site): void {
  if (service.start === "connection" && service.hooks?.before_start !== undefined) {
    const hint = "do it in a task that comes before: requires, or after";
    const message =
      'with start = "connection" a worker is started with nobody in between, so before_start would not run';
    site.refuse(["hooks", "before_start"], wrong(message, { code: "conflict", hint }));
  }
  const own = site.has("hooks", "after_start") && !site.inherits("hooks", "after_start");
  if (service.type === "task" && own) {
    const hint = "write after_stop, which runs when it has completed or failed";
    site.refuse(
      ["hooks", "after_start"],
      wrong("a task is never ready, so after_start would not run", { code: "conflict", hint }),
    );
  }
}
