import { z } from "zod";
import { optional, required, withDefault } from "./key.js";
import { account, annotate, choice, duration, fileMode, leaf, path, wrongType } from "./leaf.js";
import { quote, right, wrong } from "./problem.js";
import { defaultsSchema, serviceSchema } from "./schema-service.js";
import { socketSchema } from "./schema-socket.js";

export const NAME_PATTERN = "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$";

/** The name of a socket or service. Names that every JavaScript object has would be found in a table that lacks them. */
export const nameSchema = leaf(
  (value) => {
    const name = String(value);
    if (!new RegExp(NAME_PATTERN).test(name)) {
      return wrong(`${quote(name)} cannot be a name`, {
        hint: "1 to 63 letters, digits, _, - and ., the first one a letter or digit",
      });
    }
    return name in Object.prototype ? wrong(`${quote(name)} is a reserved name`) : right(name);
  },
  { type: "string", pattern: NAME_PATTERN },
  "name",
);

const supervisorLog = annotate(
  z.strictObject({
    level: withDefault(choice(["trace", "debug", "info", "warn", "error", "fatal"]), "info", {
      is: "What is less urgent than this is not written.",
      example: '"debug"',
    }),
    format: withDefault(choice(["auto", "json", "pretty"]), "auto", {
      is: "`auto`: pretty on a terminal, JSON elsewhere.",
      example: '"json"',
    }),
  }),
  { shorthand: "level" },
);

/** `[supervisor]`. */
export const supervisorSchema = z.strictObject({
  control: optional(path(), {
    is: "The control socket, which the commands talk to.",
    otherwise:
      "`/run/holdfast/control.sock` for root, else `$XDG_RUNTIME_DIR/holdfast/control.sock`, else `/tmp/holdfast-UID/control.sock`",
    example: '"/run/holdfast/control.sock"',
  }),
  control_mode: optional(fileMode(0o777), {
    is: "Permission bits of the control socket, in octal.",
    otherwise: '`"0660"` with `control_group`, else `"0600"`',
    example: '"0660"',
  }),
  control_group: optional(account("group"), {
    is: "Members of this group may read and operate, beside root and the supervisor's user.",
    otherwise: "nobody else",
    example: '"ops"',
  }),
  log: withDefault(
    supervisorLog,
    {},
    { is: "The supervisor's own log. A string stands for `level`.", example: '{ level = "info", format = "json" }' },
  ),
  watchdog: withDefault(duration(), "20s", {
    is: 'The keeper replaces a supervisor that is silent for so long. `"0s"`: never.',
    example: '"20s"',
  }),
});

export type SupervisorInput = z.output<typeof supervisorSchema>;

const version = leaf<1>(
  (value) => {
    if (value === 1) return right(1);
    if (value === "1") return wrongType("the number 1", value, "write version = 1, without quotes");
    if (typeof value === "number") return wrong(`this Holdfast reads version 1 of the configuration, not ${value}`);
    return wrongType("the number 1", value);
  },
  { const: 1 },
  "`1`",
);

const editorHint = leaf(
  (value) => (typeof value === "string" ? right(value) : wrongType("a string", value)),
  {
    type: "string",
  },
  "string",
);

/** A whole file. The parts are run one by one, so that a mistake in one hides none in another. */
export const rootSchema = z.strictObject({
  $schema: optional(editorHint, {
    is: "Where an editor finds the JSON Schema, in JSON and YAML. Holdfast does not read it.",
    otherwise: "nothing",
    example: '"./holdfast.schema.json"',
  }),
  version: required(version, { is: "The version of this language. Files in `conf.d` may leave it out.", example: "1" }),
  supervisor: withDefault(supervisorSchema, {}, { is: "The supervisor itself." }),
  defaults: withDefault(defaultsSchema, {}, { is: "Any key of a service; what a service says itself wins." }),
  socket: withDefault(z.record(nameSchema, socketSchema), {}, { is: "Sockets by name." }),
  service: withDefault(z.record(nameSchema, serviceSchema), {}, { is: "Services by name." }),
});
