import { constants } from "node:os";
import * as z from "zod";
import type { Action, AlsoView, Outcome, WaitFor } from "../api.js";
import { components, view } from "./component.js";
import { receiptView } from "./receipt-view.js";
import { failureView } from "./service-view.js";

const signalName = z
  .string()
  .refine((name) => name in constants.signals, { error: "is not a signal of this system, e.g. SIGHUP" });

export const action = z
  .discriminatedUnion("action", [
    z.strictObject({ action: z.enum(["start", "reload", "reset"]) }),
    z.strictObject({ action: z.literal("stop"), beside: z.array(z.string()).exactOptional() }),
    z.strictObject({
      action: z.literal("restart"),
      hard: z.boolean().default(false),
      check: z.boolean().exactOptional(),
    }),
    z.strictObject({ action: z.literal("canary"), percent: z.int().min(1).max(99) }),
    z.strictObject({ action: z.enum(["promote", "abort"]) }),
    z.strictObject({ action: z.literal("scale"), workers: z.int().min(1).max(256) }),
    z.strictObject({
      action: z.literal("signal"),
      signal: signalName,
      to: z.literal("left-behind").exactOptional(),
    }),
  ])
  .register(components, { id: "Action" }) satisfies z.ZodType<Action>;

const alsoView = view<AlsoView>("Also")({
  service: z.string(),
  action: z.enum(["started", "stopped", "restarted"]),
});

export const outcome = view<Outcome>("Outcome")({
  service: z.string(),
  result: z.enum(["done", "unchanged", "failed", "rolled-back", "superseded", "not-running", "timed-out"]),
  message: z.string(),
  failure: failureView.exactOptional(),
  receipt: receiptView.exactOptional(),
  also: z.array(alsoView).exactOptional(),
  durationMs: z.number().nonnegative(),
});

export const waitFor = z.enum(["ready", "stopped", "running", "completed"]) satisfies z.ZodType<WaitFor>;
