import {
  type ConnectionHead,
  MAX_SOCKETS,
  MAX_STATE_BYTES,
  MAX_UNREAD_BYTES,
  REMEMBERED_IDS,
  type Received,
  type SocketEntry,
  splitRecord,
  type ToSupervisor,
  type ToWorker,
} from "./frame.js";

/** What is wrong with a record: a sentence without anything that its sender wrote. */
class Malformed extends Error {}

/** The fields of one object. Those that nobody asks for are passed over, so that a later version may have more. */
class Fields {
  constructor(
    readonly values: Readonly<Record<string, unknown>>,
    readonly body: Uint8Array,
    readonly fds: number,
  ) {}

  text(name: string, longest: number): string {
    const value = this.values[name];
    if (typeof value !== "string" || value.length > longest) throw new Malformed(`${name} is no text of its length`);
    return value;
  }

  /** A number that is whole and not negative. */
  count(name: string, most: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.values[name];
    if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > most) {
      throw new Malformed(`${name} is no number of its range`);
    }
    return value as number;
  }

  flag(name: string): boolean {
    const value = this.values[name] ?? false;
    if (typeof value !== "boolean") throw new Malformed(`${name} is neither true nor false`);
    return value;
  }

  list<T>(name: string, most: number, item: (value: unknown) => T): T[] {
    const value = this.values[name];
    if (!Array.isArray(value) || value.length > most) throw new Malformed(`${name} is no list of its length`);
    return value.map(item);
  }

  texts(name: string, most: number, longest: number): string[] {
    return this.list(name, most, (value) => {
      if (typeof value !== "string" || value.length > longest) throw new Malformed(`${name} has what is no text`);
      return value;
    });
  }

  has(name: string): boolean {
    return this.values[name] !== undefined;
  }

  needs(fds: number): void {
    if (this.fds !== fds) throw new Malformed(`it has ${this.fds} descriptors instead of ${fds}`);
  }
}

const longestName = 255;
const longestKind = 320;
const longestId = 64;
const longestText = 4096;

/**
 * A record from a supervisor, or a sentence that says what is wrong with it.
 *
 * @param fds how many descriptors came with it
 */
export function decodeToWorker(record: Uint8Array, fds: number): Received<ToWorker> | string {
  return decode(record, fds, toWorker);
}

/** The same for a record from a worker. */
export function decodeToSupervisor(record: Uint8Array, fds: number): Received<ToSupervisor> | string {
  return decode(record, fds, toSupervisor);
}

function decode<T>(record: Uint8Array, fds: number, read: (fields: Fields) => T): Received<T> | string {
  const parts = splitRecord(record);
  if (typeof parts === "string") return parts;
  try {
    return { frame: read(new Fields(parts.frame, parts.body, fds)), body: parts.body };
  } catch (error) {
    if (error instanceof Malformed) return error.message;
    throw error;
  }
}

function toWorker(fields: Fields): ToWorker {
  const { type } = fields.values;
  if (type !== "sockets" && type !== "adopt") fields.needs(0);
  switch (type) {
    case "hello":
      return {
        type,
        version: fields.count("version"),
        session: fields.text("session", longestId),
        service: fields.text("service", longestName),
        instance: fields.text("instance", longestName + longestId),
        generation: fields.count("generation"),
        window: fields.count("window"),
      };
    case "sockets": {
      const sockets = fields.list("sockets", MAX_SOCKETS, socketEntry);
      fields.needs(sockets.length);
      return { type, sockets };
    }
    case "retire":
      return { type, deadlineMs: fields.count("deadlineMs") };
    case "adopt":
      return { type, id: fields.text("id", longestId), expiresMs: fields.count("expiresMs"), ...connection(fields) };
    case "taken":
      return { type, id: fields.count("id") };
    case "keep":
      return { type, id: fields.count("id"), reason: fields.text("reason", longestText) };
    default:
      throw new Malformed("its type is unknown");
  }
}

function toSupervisor(fields: Fields): ToSupervisor {
  const { type } = fields.values;
  if (type !== "leave") fields.needs(0);
  switch (type) {
    case "hello":
      return {
        type,
        version: fields.count("version"),
        session: fields.text("session", longestId),
        adopted: fields.texts("adopted", REMEMBERED_IDS, longestId),
        ...(fields.has("adopts") ? { adopts: fields.texts("adopts", MAX_SOCKETS, longestKind) } : {}),
        retiring: fields.flag("retiring"),
      };
    case "ready":
      return { type, adopts: fields.texts("adopts", MAX_SOCKETS, longestKind) };
    case "status":
      return { type, text: fields.text("text", longestText) };
    case "leave":
      return { type, id: fields.count("id"), ...connection(fields) };
    case "left":
      return { type };
    case "adopted":
      return { type, id: fields.text("id", longestId) };
    case "refused":
      return { type, id: fields.text("id", longestId), reason: fields.text("reason", longestText) };
    default:
      throw new Malformed("its type is unknown");
  }
}

function connection(fields: Fields): ConnectionHead {
  fields.needs(1);
  const unread = fields.has("unread") ? fields.count("unread", Math.min(MAX_UNREAD_BYTES, fields.body.length)) : 0;
  if (fields.body.length - unread > MAX_STATE_BYTES) throw new Malformed("its state is too long");
  return {
    kind: fields.text("kind", longestKind),
    ...(fields.has("socket") ? { socket: fields.text("socket", longestName) } : {}),
    unread,
  };
}

function socketEntry(value: unknown): SocketEntry {
  if (typeof value !== "object" || value === null) throw new Malformed("sockets has what is no object");
  const fields = new Fields(value as Readonly<Record<string, unknown>>, new Uint8Array(0), 0);
  const name = fields.text("name", longestName);
  return fields.has("backlog") ? { name, backlog: fields.count("backlog", 0x7fffffff) } : { name };
}
