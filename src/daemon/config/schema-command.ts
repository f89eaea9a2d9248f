import { annotate, leaf, wrongType } from "./leaf.js";
import { quote, right, wrong } from "./problem.js";

export type CommandInput = { readonly text: string } | { readonly words: readonly string[] };

/** A program and its arguments, as text or as words. */
export const command = leaf<CommandInput>(
  (value) => {
    if (typeof value === "string") return value.trim() === "" ? wrong("the command is empty") : right({ text: value });
    if (!Array.isArray(value)) return wrongType("a command as a string or as a list of words", value);
    const odd = value.findIndex((word) => typeof word !== "string");
    if (odd !== -1) return wrongType(`a string as word ${odd + 1} of the command`, value[odd], "write it in quotes");
    const words = value as readonly string[];
    if (words[0] === undefined || words[0] === "") return wrong("the command names no program");
    // With a slash before the blank it is a path like "/opt/my app/run", which only a list can name without quotes in quotes.
    if (words.length === 1 && /^[^\s/]+\s/.test(words[0])) {
      return wrong(`there is no program ${quote(words[0])}: a list has one item for each word`, {
        hint: `did you mean command = ${quote(words[0])}, without the brackets?`,
      });
    }
    return right({ words });
  },
  {
    anyOf: [
      { type: "string", minLength: 1 },
      { type: "array", items: { type: "string" }, minItems: 1 },
    ],
  },
  "string or list: string",
);
annotate(command, { list: true });
