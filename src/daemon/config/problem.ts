/** Why a configuration was refused or doubted. The list is closed; docs/configuration.md explains each. */
export type ProblemCode =
  | "unreadable"
  | "too-large"
  | "syntax"
  | "too-deep"
  | "unset-variable"
  | "missing"
  | "unknown-key"
  | "not-yet"
  | "wrong-type"
  | "invalid-value"
  | "unknown-reference"
  | "duplicate"
  | "conflict"
  | "not-permitted"
  | "more-problems"
  // Warnings alone:
  | "unused"
  | "fallback"
  | "no-shell"
  | "unknown-account";

/** A place in a file. Line and column count from 1; a column is a UTF-16 unit, as editors and language servers count. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface ConfigProblem extends Place {
  readonly code: ProblemCode;
  /** The key in question, e.g. `service.web.command` or `socket.web.listen[0]`; empty where a file is wrong as a whole. */
  readonly path: string;
  readonly message: string;
  /** What to write instead, as a sentence or a question. */
  readonly hint?: string;
}

/** A finding about a value that does not know yet where it stands. */
export interface Wrong {
  readonly code: ProblemCode;
  readonly message: string;
  readonly hint?: string;
}

/** The answer of everything here that turns text into a value. A wrong text is an expected outcome, not an exception. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly wrong: Wrong };

export type KeyPath = readonly (string | number)[];

export function right<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function wrong(
  message: string,
  o: { code?: ProblemCode; hint?: string | undefined } = {},
): {
  readonly ok: false;
  readonly wrong: Wrong;
} {
  return {
    ok: false,
    wrong: { code: o.code ?? "invalid-value", message, ...(o.hint === undefined ? {} : { hint: o.hint }) },
  };
}

/** `["socket", "web", "listen", 0]` -> `socket.web.listen[0]`; a key that TOML would quote is quoted. */
export function formatPath(path: KeyPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += (text === "" ? "" : ".") + (/^[$A-Za-z0-9_-]+$/.test(step) ? step : quote(step));
  }
  return text;
}

/** A user's text inside a message: quoted, control characters escaped, cut to a readable length. */
export function quote(text: string, most = 80): string {
  const cut = text.length > most ? `${text.slice(0, most)}…` : text;
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** No report is longer than this; what is beyond it is counted in one last problem. */
const MOST_PROBLEMS = 100;

/**
 * Collects problems. One place gets each message once: a wrong value in `[defaults]` is met again in every service that
 * inherits it, and is reported where it was written.
 */
export class Findings {
  readonly #seen = new Set<string>();
  readonly #closed = new Set<string>();
  readonly #problems: ConfigProblem[] = [];

  add(place: Place, path: KeyPath, found: Wrong): void {
    const { file, line, column } = place;
    const where = `${file}\0${line}\0${column}`;
    const identity = `${where}\0${found.message}`;
    if (this.#seen.has(identity) || this.#closed.has(where)) return;
    this.#seen.add(identity);
    this.#problems.push({ ...found, file, line, column, path: formatPath(path) });
  }

  /** As `add`, and what else is wrong with the value at this place follows from it and is not told. */
  addLast(place: Place, path: KeyPath, found: Wrong): void {
    this.add(place, path, found);
    this.#closed.add(`${place.file}\0${place.line}\0${place.column}`);
  }

  /** There is more than will be shown, so that only the count still matters. */
  get full(): boolean {
    return this.#problems.length > 10 * MOST_PROBLEMS;
  }

  get empty(): boolean {
    return this.#problems.length === 0;
  }

  /** By file in the given order, then by place; at most 100 and one that counts the rest. */
  sorted(files: readonly string[]): ConfigProblem[] {
    const order = new Map(files.map((file, index) => [file, index]));
    const rank = (p: ConfigProblem) => order.get(p.file) ?? files.length;
    const all = this.#problems.toSorted((a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column);
    const last = all[MOST_PROBLEMS - 1];
    if (last === undefined || all.length === MOST_PROBLEMS) return all;
    const { file, line, column } = last;
    const message = `${all.length - MOST_PROBLEMS} more problems are not shown`;
    return [...all.slice(0, MOST_PROBLEMS), { file, line, column, code: "more-problems", path: "", message }];
  }
}
