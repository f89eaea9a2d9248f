/** A plan as the operator sees it. No module but this one words changes. */
import { createHash } from "node:crypto";
import type { Config, SocketConfig } from "../config/config.js";
import type { PlannedChange, PlanView } from "../control/api.js";
import { type Change, diff } from "../plan/diff.js";
import { canonicalAddress } from "./socket-key.js";

export function planView(current: Config, desired: Config, warnings: readonly string[]): PlanView {
  const id = createHash("sha256")
    .update(JSON.stringify([current, desired]))
    .digest("hex")
    .slice(0, 16);
  const changes = diff(current, desired).map((change) => plannedChange(change, current));
  return { id, files: desired.files, changes, warnings };
}

export function plannedChange(change: Change, current: Config): PlannedChange {
  switch (change.kind) {
    case "add-socket":
      return added("socket", change.socket.name, `is bound to ${change.socket.listenText.join(", ")}`);
    case "remove-socket":
      return removed("socket", change.name, "is closed, once nobody uses it");
    case "change-socket": {
      const before = current.sockets[change.socket.name];
      return changed("socket", change.socket.name, change, socketWords(change, before));
    }
    case "add-service": {
      const { name, start, conflicts = [] } = change.service;
      const how = { boot: "is started", connection: "waits for its first connection", manual: "waits for a start" };
      const away = start === "manual" || conflicts.length === 0 ? "" : `, and stops ${conflicts.join(", ")} first`;
      return added("service", name, `${how[start]}${away}`);
    }
    case "remove-service":
      return removed("service", change.name, "is stopped");
    case "change-service":
      return changed("service", change.service.name, change, serviceWords(change));
    case "change-supervisor": {
      const restart = "needs a new start of Holdfast, so it cannot be applied";
      return changed("supervisor", "supervisor", change, change.how === "restart" ? restart : "takes effect at once");
    }
    case "change-files":
      return changed("files", "files", { keys: [], how: "live" }, `are ${change.files.join(", ")}`);
  }
}

/** Why such a change cannot be applied to what runs; undefined: it can. */
export function refusal(change: PlannedChange): string | undefined {
  if (change.subject === "service" && change.how === "restart" && change.keys.includes("type"))
    return `service ${change.name}: what a daemon is and what a task is have nothing in common; apply without it first, then add it again, or give it another name`;
  const stays = change.how !== "restart" && change.how !== "rebind";
  if (stays) return undefined;
  // A service is as its sockets are, and those are named.
  if (change.subject === "service" && !change.keys.includes("sockets")) return undefined;
  const subjects = {
    socket: `socket ${change.name}`,
    service: `service ${change.name}`,
    supervisor: "the supervisor",
    files: "",
  };
  return `${subjects[change.subject]}: ${change.keys.join(", ")} ${change.message}`;
}

function serviceWords({ how, keys, service }: Extract<Change, { kind: "change-service" }>): string {
  if (how === "restart" && keys.includes("type")) return "becomes something else, which cannot be applied";
  if (service.type === "task" && how === "rolling")
    return service.start === "boot" ? "it runs again" : "its next run is the first with it";
  if (how === "restart" && keys.includes("sockets"))
    return "would begin or cease to have a process for each connection, which cannot be applied; give it another name";
  if (how === "restart") return "uses a socket that would have to be bound anew";
  if (how === "rolling") return "its workers are replaced, the successor ready first";
  if (keys.includes("workers")) return "workers are added or stopped, the others stay";
  const needs = keys.includes("requires") || keys.includes("bindsTo");
  return needs ? "its workers stay, and what it needs is started first" : "its workers stay";
}

function socketWords(
  { how, socket }: Extract<Change, { kind: "change-socket" }>,
  before: SocketConfig | undefined,
): string {
  if (how === "rebind") {
    return "can only be set when the socket is bound, so it cannot be applied; take the address away and add it again, or start Holdfast again";
  }
  if (how === "live") return "changes on the bound socket";
  const was = (before?.listen ?? []).map(canonicalAddress);
  const will = socket.listen.map(canonicalAddress);
  const words = [
    ...will.filter((address) => !was.includes(address)).map((address) => `${address} is bound`),
    ...was.filter((address) => !will.includes(address)).map((address) => `${address} is closed`),
  ];
  return words.length > 0 ? words.join(", ") : "its addresses change places";
}

function added(subject: PlannedChange["subject"], name: string, message: string): PlannedChange {
  return { subject, name, change: "add", keys: [], message };
}

function removed(subject: PlannedChange["subject"], name: string, message: string): PlannedChange {
  return { subject, name, change: "remove", keys: [], message };
}

function changed(
  subject: PlannedChange["subject"],
  name: string,
  { keys, how }: { readonly keys: readonly string[]; readonly how: NonNullable<PlannedChange["how"]> },
  message: string,
): PlannedChange {
  return { subject, name, change: "change", how, keys: [...new Set(keys.map(asWritten))], message };
}

/** Of the configuration's own, those that are made from several keys of the file. */
const SEVERAL: Readonly<Record<string, string>> = { io: "io_class, io_priority", directories: "…_directory" };

/** The name of a key in the file. Of the configuration's own, units stand at the end and words are not divided. */
function asWritten(key: string): string {
  if (key.startsWith("socket.")) return key;
  const several = SEVERAL[key];
  if (several !== undefined) return several;
  return key.replace(/(Ms|Text)$/, "").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
