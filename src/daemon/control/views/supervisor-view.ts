/** The supervisor itself, its predecessors and its keeper. */
export interface SupervisorView {
  readonly version: string;
  readonly pid: number;
  readonly keeperPid: number;
  readonly keeper: KeeperView;
  readonly startedAt: string;
  /** How many supervisors the keeper has started, this one included. */
  readonly starts: number;
  /** Why the one before ended, in words; undefined for the first. */
  readonly previousEnd?: string;
  /** How often the keeper was killed and another one took its place; undefined: never. */
  readonly keeperDeaths?: number;
  /** The last time, in words. */
  readonly keeperDeath?: string;
  /** The last upgrade that a supervisor ceded the lease for; undefined: there was none. */
  readonly upgrade?: UpgradeDoneView;
  /** From the start of this process until everything was adopted. */
  readonly adoptedInMs?: number;
  readonly configFiles: readonly string[];
  readonly control: string;
  readonly counters: Readonly<Record<string, number>>;
}

export interface KeeperView {
  readonly startedAt: string;
  /** How often it was re-executed since then. */
  readonly reExecs: number;
  /** When last. */
  readonly reExecutedAt?: string;
}

/** What became of a re-exec of the keeper. `failed`: nothing has changed. */
export interface ReExecView {
  readonly result: "done" | "failed";
  readonly message: string;
  readonly reExecs: number;
  readonly durationMs: number;
}

/** What became of the try of another supervisor. `failed`: nothing has changed. `willing`: it gets the lease now, and says what became of that itself. */
export interface UpgradeView {
  readonly result: "failed" | "willing";
  readonly message: string;
  /** Of one that is willing: under this id the next supervisor tells more. */
  readonly id?: string;
}

export interface UpgradeDoneView {
  readonly id: string;
  /** `failed`: the program of before is in charge again. */
  readonly result: "done" | "failed";
  readonly message: string;
  /** So long no restart could be decided. */
  readonly pauseMs: number;
}
