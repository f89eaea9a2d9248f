/**
 * What the operator's interface shows and asks for. The HTTP routes, the commands and the runtime all speak these types;
 * they are the JSON of `/v1/…` and of `-o json`.
 *
 * Times that a person reads are ISO 8601 in UTC; lengths of time are milliseconds.
 */
import type { Action, Outcome, WaitFor } from "./views/action.js";
import type { ApplyView, PlanView } from "./views/apply-view.js";
import type { EventView } from "./views/event-view.js";
import type { LogLine } from "./views/log-line.js";
import type { ServiceView } from "./views/service-view.js";
import type { SocketAction, SocketOutcome, SocketView } from "./views/socket-view.js";
import type { ReExecView, SupervisorView, UpgradeView } from "./views/supervisor-view.js";

export type * from "./views/action.js";
export type * from "./views/apply-view.js";
export type * from "./views/event-view.js";
export type * from "./views/log-line.js";
export type * from "./views/receipt-view.js";
export type * from "./views/service-view.js";
export type * from "./views/socket-view.js";
export type * from "./views/supervisor-view.js";

/** What the control interface needs from the runtime. A name that does not exist is answered with undefined. */
export interface Operations {
  supervisor(): SupervisorView;
  services(): readonly ServiceView[];
  service(name: string): ServiceView | undefined;
  sockets(): readonly SocketView[];
  /** Reads the supervisor's own configuration files. Rejects with `invalid-configuration`. */
  plan(): Promise<PlanView>;
  /**
   * Reads them and puts them in force, all or nothing. Resolves when that is complete or undone. Rejects with `invalid-configuration`,
   * `apply-in-progress`, and `plan-changed` if by now it is another plan than the one of that id.
   */
  apply(plan: string | undefined): Promise<ApplyView>;
  /** The keeper becomes this program (an absolute path), or what lies now where its own lies. Resolves when that is done or refused. */
  reExec(path: string | undefined): Promise<ReExecView>;
  /** Tries the supervisor of the installation in this directory (an absolute path; undefined: where its own lies) and has it take over, if it would. */
  upgrade(directory: string | undefined, timeoutMs: number): Promise<UpgradeView>;
  /** Resolves when the action is complete (ready, stopped, …), failed, or superseded by a later command; never rejects for an expected outcome. */
  act(service: string, action: Action): Promise<Outcome> | undefined;
  /** `signal` ends the wait early (its asker has gone); what it then resolves to is not looked at. */
  actOnSocket(socket: string, action: SocketAction): Promise<SocketOutcome> | undefined;
  waitFor(
    service: string,
    what: WaitFor,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<"reached" | "timed-out"> | undefined;
  /** The last `count` lines that are still in memory, oldest first. */
  logs(service: string, count: number): { readonly lines: readonly LogLine[]; readonly dropped: number } | undefined;
  /** Called for each new line until the returned function is called. */
  followLogs(service: string, take: (line: LogLine) => void): () => void;
  events(count: number): readonly EventView[];
  followEvents(take: (event: EventView) => void): () => void;
}
