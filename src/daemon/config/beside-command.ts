import { commandLine } from "./command-line.js";
import { type KeyPath, wrong } from "./problem.js";
import type { CommandInput } from "./schema-command.js";
import type { Site } from "./site.js";

/** A command that runs beside the workers of a service, as words; none where it is refused. `place`: its key, below the service. */
export function besideCommand(
  input: CommandInput,
  o: { readonly site: Site; readonly place: KeyPath },
): readonly string[] {
  const line = commandLine(input, false);
  if (!line.ok) {
    o.site.refuse(o.place, line);
    return [];
  }
  const { argv, doubt } = line.value;
  if (doubt !== undefined) {
    const key = o.place.at(-1);
    const hint = `write ${key} = ["/bin/sh", "-c", "…"] if a shell should read it, or quote it`;
    o.site.warn(o.place, wrong(doubt.message, { code: "no-shell", hint }));
  }
  return argv;
}
