import { type Parsed, quote, right, wrong } from "./problem.js";

export interface SplitCommand {
  readonly words: readonly string[];
  /** An unquoted word that a shell would act on, e.g. `|` or `$HOME`; here it is an argument like any other. */
  readonly shellOnly?: string;
}

/**
 * Split a command as sh(1) would split it into words, and do nothing else a shell does: no variables, no globs, no pipes.
 *
 * Blanks separate; `'…'` is literal; in `"…"` a backslash escapes `"`, `\`, `$` and a backtick; elsewhere a backslash
 * escapes the next character, and before a newline both go away. POSIX, Shell Command Language, 2.2.
 */
export function splitCommand(text: string): Parsed<SplitCommand> {
  const words: string[] = [];
  let word: string | undefined;
  let bare = "";
  let shellOnly: string | undefined;
  const end = () => {
    if (word === undefined) return;
    words.push(word);
    if (shellOnly === undefined && /^(?:[0-9]*[|&;<>].*|.*;|.*\$[A-Za-z_({].*|.*`.*)$/s.test(bare)) shellOnly = word;
    word = undefined;
    bare = "";
  };
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (/[ \t\r\n]/.test(c)) {
      end();
    } else if (c === "'") {
      const close = text.indexOf("'", i + 1);
      if (close === -1) return unterminated("'", i, text);
      word = (word ?? "") + text.slice(i + 1, close);
      i = close;
    } else if (c === '"') {
      const inside = readDoubleQuoted(text, i);
      if (inside === undefined) return unterminated('"', i, text);
      word = (word ?? "") + inside.value;
      i = inside.close;
    } else if (c === "\\") {
      const next = text[++i];
      if (next === undefined) return wrong("the command ends with a backslash that escapes nothing");
      if (next !== "\n") word = (word ?? "") + next;
    } else {
      word = (word ?? "") + c;
      bare += c;
    }
  }
  end();
  return right(shellOnly === undefined ? { words } : { words, shellOnly });
}

function readDoubleQuoted(text: string, open: number): { value: string; close: number } | undefined {
  let value = "";
  for (let i = open + 1; i < text.length; i++) {
    const c = text.charAt(i);
    if (c === '"') return { value, close: i };
    const next = text[i + 1];
    if (c === "\\" && next !== undefined && '"\\$`\n'.includes(next)) {
      i++;
      if (next !== "\n") value += next;
    } else {
      value += c;
    }
  }
  return undefined;
}

function unterminated(mark: string, at: number, text: string): ReturnType<typeof wrong> {
  return wrong(`the command has a ${mark} without its closing ${mark}: ${quote(text.slice(at), 30)}`, {
    hint: "close it, or write the command as a list of words",
  });
}
