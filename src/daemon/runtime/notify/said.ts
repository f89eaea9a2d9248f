import type { NotifyMessage } from "../../../ancillary/index.js";
import type { NotifyAccess } from "../../config/config.js";
import { errnoWords } from "../words.js";
import type { Notice } from "./notice.js";

/** What a worker has said of itself and what has no part in its life's machine. Plain data: it is part of the worker's tag. */
export interface Said {
  readonly status?: string;
  readonly errno?: number;
  readonly exitStatus?: number;
  /** RELOADING=1, and no READY=1 since. */
  readonly reloading?: true;
  /** It has said READY=1. */
  readonly ready?: true;
  /** STOPPING=1. */
  readonly stopping?: true;
  /** Missing: as the configuration says. */
  readonly access?: NotifyAccess;
}

/** STATUS= is cut to this. */
const STATUS_CHARACTERS = 400;

/** Whole characters: half of one would be none. */
export function cutStatus(status: string): string {
  return status.length <= STATUS_CHARACTERS ? status : [...status].slice(0, STATUS_CHARACTERS).join("");
}

export function malformedIn({ fields }: NotifyMessage, { malformed }: Notice): string {
  return malformed.map((name) => `${name}=${JSON.stringify(fields.get(name)?.slice(0, 60))}`).join(", ");
}

/** Of one that has ended: what it said of that, as far as it is not in its exit status. */
export function lastWords(said: Said): string | undefined {
  const { status, errno, exitStatus } = said;
  const words = [
    ...(errno === undefined || errno === 0 ? [] : [errnoInWords(errno)]),
    ...(exitStatus === undefined || exitStatus === 0 ? [] : [`exit status ${exitStatus}`]),
  ];
  if (words.length === 0) return undefined;
  return `it said of itself: ${[...words, ...(status === undefined ? [] : [status])].join(", ")}`;
}

export function errnoInWords(errno: number): string {
  const { name, meaning } = errnoWords(errno);
  return `${name}: ${meaning}`;
}
