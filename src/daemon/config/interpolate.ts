import { type Parsed, quote, right, wrong } from "./problem.js";

/**
 * `${NAME}`, `${NAME:-text}` and `$$` in a string. What a variable holds is not looked at again, so a value cannot
 * bring in other variables. A dollar sign before anything else stands for itself.
 *
 * As in sh, `:-` also takes the place of a variable that is set and empty; the text reaches to the next `}`.
 */
export function interpolate(text: string, env: NodeJS.ProcessEnv): Parsed<string> {
  if (!text.includes("$")) return right(text);
  let out = "";
  let from = 0;
  for (let dollar = text.indexOf("$"); dollar !== -1; dollar = text.indexOf("$", from)) {
    out += text.slice(from, dollar);
    const next = text[dollar + 1];
    if (next !== "{") {
      out += "$";
      from = dollar + (next === "$" ? 2 : 1);
      continue;
    }
    const end = text.indexOf("}", dollar);
    if (end === -1) {
      return wrong(`${quote(text.slice(dollar, dollar + 20))} has no closing brace`, {
        hint: "write $$ for a dollar sign",
      });
    }
    const inside = text.slice(dollar + 2, end);
    const parts = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside);
    if (parts === null) {
      return wrong(`${quote(`\${${inside}}`)} is not a variable`, {
        // biome-ignore lint/suspicious/noTemplateCurlyInString: this is what the user is to write.
        hint: "write ${NAME} or ${NAME:-text}; write $$ for a dollar sign",
      });
    }
    const [, name = "", otherwise] = parts;
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value === undefined && otherwise === undefined) {
      return wrong(`the environment has no variable ${name}`, {
        code: "unset-variable",
        hint: `set it, or write \${${name}:-text} to go on without it`,
      });
    }
    out += otherwise !== undefined && !value ? otherwise : value;
    from = end + 1;
  }
  return right(out + text.slice(from));
}
