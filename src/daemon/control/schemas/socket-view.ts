import * as z from "zod";
import type { SocketAction, SocketOutcome, SocketView } from "../api.js";
import { at, components, count, view } from "./component.js";

export const socketView = view<SocketView>("Socket")({
  name: z.string(),
  address: z.string(),
  kind: z.string(),
  bound: z.boolean(),
  error: z.string().exactOptional(),
  services: z.array(z.string()),
  queued: count.exactOptional(),
  backlog: count.exactOptional(),
  pausedUntil: at.exactOptional(),
  lanes: count.exactOptional(),
});

export const socketAction = z
  .discriminatedUnion("action", [
    z.strictObject({ action: z.literal("pause"), maxMs: z.int().min(1).max(3_600_000) }),
    z.strictObject({ action: z.literal("resume") }),
  ])
  .register(components, { id: "SocketAction" }) satisfies z.ZodType<SocketAction>;

export const socketOutcome = view<SocketOutcome>("SocketOutcome")({
  socket: z.string(),
  result: z.enum(["done", "unchanged", "failed"]),
  message: z.string(),
});
