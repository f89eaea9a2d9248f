import { beforeAll, describe, expect, test } from "vitest";
import { Life, type Victim } from "./life.js";
import type { Attempt, Script } from "./script.js";

const livesAtOnce = 4;
/** A keeper waits twice as long after each death of a supervisor: with more than this, lives consist of waiting. */
const scriptsPerLife = 2;
/** Frames that meet on the channel make a run a few steps longer or shorter than another. */
const slack = 2;

interface Point {
  readonly name: string;
  readonly killAfter: number;
}

export interface CrashRunOptions {
  /** Who is killed right after a step of the supervisor. */
  readonly victim: Victim;
  readonly scripts: readonly Script[];
  /** Whether it happens in the boot and at the end too. */
  readonly wholeLives: boolean;
  /** One step of so many has its turn. */
  readonly every: number;
  /** Which of those: another one brings others. */
  readonly seed: number;
}

/**
 * A life without a kill tells how many steps each part of a life has, the boot, some scripts, the end; then each of these numbers (or one of `every`) has its turn.
 * To have few starts of keepers, one life has kills in several of its parts.
 */
export class CrashRun {
  /** The parts in which somebody is killed. */
  readonly names: readonly string[];
  readonly #o: CrashRunOptions;
  readonly #survived: Map<string, number>;
  readonly #problems: Map<string, string[]>;
  readonly #waiting: Map<string, number[]>;
  readonly #counted = new Map<string, number>();

  constructor(options: CrashRunOptions) {
    this.#o = options;
    const names = options.scripts.map(({ name }) => name);
    this.names = options.wholeLives ? ["boot", ...names, "end"] : names;
    this.#survived = new Map(this.names.map((name) => [name, 0]));
    this.#problems = new Map(this.names.map((name) => [name, []]));
    this.#waiting = new Map(this.names.map((name) => [name, []]));
  }

  /** Rejects only if the life without a kill goes wrong. */
  async run(): Promise<void> {
    await this.#scout();
    const lives = Array.from({ length: livesAtOnce }, async () => {
      for (let points = this.#nextLife(); points.length > 0; points = this.#nextLife()) {
        await this.live(points).catch(() => {}); // It is told under the name of its point.
      }
    });
    await Promise.all(lives);
  }

  /** A whole life, with a kill at these points. Rejects if anything was wrong after one of them. */
  async live(points: readonly Point[]): Promise<void> {
    const { scripts, victim } = this.#o;
    const killAfter = (name: string): number => points.find((one) => one.name === name)?.killAfter ?? 0;
    const at = (name: string): Point => ({ name, killAfter: killAfter(name) });
    const { life } = await this.#part(at("boot"), () => Life.begin(killAfter("boot"), victim));
    try {
      for (const one of points) {
        const script = scripts.find(({ name }) => name === one.name);
        if (script !== undefined) await this.#part(one, () => life.attempt(script, one.killAfter));
      }
      await this.#part(at("end"), () => life.end(killAfter("end")));
    } catch (error) {
      await life.abandon();
      throw error;
    }
  }

  /** What went wrong in a part, in words. */
  problems(name: string): readonly string[] {
    return this.#problems.get(name)!;
  }

  /** How many were killed in a part, and how many were to be. */
  kills(name: string): { readonly survived: number; readonly steps: number; readonly wanted: number } {
    const steps = this.#counted.get(name) ?? 0;
    return { survived: this.#survived.get(name)!, steps, wanted: steps / this.#o.every };
  }

  /** For the output of a test, with what brings this run back. */
  summary(): string {
    const kills = this.names.map((name) => `${name} ${this.kills(name).survived} of ${this.kills(name).steps}`);
    const { every, seed, victim } = this.#o;
    return `HOLDFAST_SEED=${seed} HOLDFAST_CRASH_EVERY=${every}; ${victim}s killed after a step: ${kills.join(", ")}\n`;
  }

  /** One part of a life. A failure belongs to the point, and the life is not worth going on with. */
  async #part<T extends Attempt | { boot: Attempt }>({ name, killAfter }: Point, run: () => Promise<T>): Promise<T> {
    try {
      const done = await run();
      const { killed } = "boot" in done ? done.boot : done;
      if (killed) this.#survived.set(name, this.#survived.get(name)! + 1);
      return done;
    } catch (error) {
      const part = this.#problems.has(name) ? name : this.names[0]!;
      this.#problems.get(part)!.push(`killed after step ${killAfter} of ${name}: ${(error as Error).message}`);
      throw error;
    }
  }

  /** Counts the steps: nobody is killed. */
  async #scout(): Promise<void> {
    const { every, seed, scripts, victim } = this.#o;
    const count = (name: string, { steps }: Attempt): void => {
      if (!this.#waiting.has(name)) return;
      this.#counted.set(name, steps.length);
      const all = Array.from({ length: steps.length + slack }, (_, index) => index + 1);
      this.#waiting.set(
        name,
        all.filter((step) => step % every === seed % every),
      );
    };
    const { life, boot } = await Life.begin(Number.POSITIVE_INFINITY, victim);
    count("boot", boot);
    for (const script of scripts) count(script.name, await life.attempt(script, Number.POSITIVE_INFINITY));
    count("end", await life.end(Number.POSITIVE_INFINITY));
  }

  #take(name: string): Point[] {
    const killAfter = this.#waiting.get(name)?.shift();
    return killAfter === undefined ? [] : [{ name, killAfter }];
  }

  /** The points of the next life; none when every step had its turn. The scripts with most to do come first. */
  #nextLife(): Point[] {
    const left = ({ name }: Script): number => this.#waiting.get(name)!.length;
    const middle = this.#o.scripts.toSorted((a, b) => left(b) - left(a)).slice(0, scriptsPerLife);
    return ["boot", ...middle.map(({ name }) => name), "end"].flatMap((name) => this.#take(name));
  }
}

/** A test for each part of a life, with HOLDFAST_CRASH_EVERY, HOLDFAST_SEED and HOLDFAST_FAULT as docs/reliability.md tells of them. */
export function testCrashes(about: string, promise: string, o: Omit<CrashRunOptions, "seed">): void {
  const every = Math.max(1, Number(process.env.HOLDFAST_CRASH_EVERY ?? o.every));
  const seed = Number(process.env.HOLDFAST_SEED ?? Math.floor(Math.random() * every));
  /** `HOLDFAST_FAULT=boot:12`: once only, after the 12th step of the boot (or of a script, by its name, or of `end`). */
  const only = /^(.+):(\d+)$/.exec(process.env.HOLDFAST_FAULT ?? "");
  const crashes = new CrashRun({ ...o, every, seed });

  beforeAll(async () => {
    if (only !== null) return crashes.live([{ name: only[1]!, killAfter: Number(only[2]) }]);
    await crashes.run();
    process.stdout.write(crashes.summary());
  }, 1_800_000); // A few minutes on an idle machine; a busy one may take as long as it likes.

  describe(about, () => {
    test.each(crashes.names)(promise, (name) => {
      expect(crashes.problems(name)).toEqual([]);
      const { survived, wanted } = crashes.kills(name);
      // Not all of them: notes that are written in one frame or in two make lives differ by a few steps.
      if (only === null) expect(survived).toBeGreaterThanOrEqual(Math.floor(wanted * 0.6));
    });
  });
}
