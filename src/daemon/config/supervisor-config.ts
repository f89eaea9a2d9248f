import { isAbsolute, join, resolve } from "node:path";
import { checkPath } from "./address.js";
import type { SupervisorConfig } from "./config.js";
import { wrong } from "./problem.js";
import type { SupervisorInput } from "./schema.js";
import type { Site } from "./site.js";

/**
 * Where the control socket is if nobody says otherwise. `fallback`: there is no folder that the system made for this
 * user, so the path is below /tmp, where whoever binds it must check that the folder is the user's own.
 */
export function defaultControl(o: { env: NodeJS.ProcessEnv; uid: number }): { path: string; fallback: boolean } {
  if (o.uid === 0) return { path: "/run/holdfast/control.sock", fallback: false };
  const runtime = o.env.XDG_RUNTIME_DIR;
  if (runtime !== undefined && isAbsolute(runtime))
    return { path: join(runtime, "holdfast/control.sock"), fallback: false };
  return { path: `/tmp/holdfast-${o.uid}/control.sock`, fallback: true };
}

export function supervisorConfig(
  input: SupervisorInput,
  o: { site: Site; base: string; env: NodeJS.ProcessEnv; uid: number },
): SupervisorConfig {
  const otherwise = defaultControl(o);
  if (input.control === undefined && otherwise.fallback) {
    const message = `the environment has no XDG_RUNTIME_DIR, so the control socket is ${otherwise.path}`;
    o.site.warn(
      [],
      wrong(message, { code: "fallback", hint: 'set control = "PATH" in [supervisor] to choose another place' }),
    );
  }
  const control = input.control === undefined ? otherwise.path : resolve(o.base, input.control);
  const checked = checkPath("unix", control);
  if (!checked.ok) o.site.refuse(["control"], checked);
  return {
    control,
    controlMode: input.control_mode ?? (input.control_group === undefined ? 0o600 : 0o660),
    ...(input.control_group === undefined ? {} : { controlGroup: input.control_group }),
    log: input.log,
    watchdogMs: input.watchdog,
  };
}
