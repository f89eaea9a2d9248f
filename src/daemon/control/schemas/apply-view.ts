import * as z from "zod";
import type { ApplyView, PlannedChange, PlanView } from "../api.js";
import { view } from "./component.js";
import { receiptView } from "./receipt-view.js";
import { failureView } from "./service-view.js";

export const plannedChange = view<PlannedChange>("PlannedChange")({
  subject: z.enum(["socket", "service", "supervisor", "files"]),
  name: z.string(),
  change: z.enum(["add", "change", "remove"]),
  how: z.enum(["live", "rolling", "rebind", "restart"]).exactOptional(),
  keys: z.array(z.string()),
  message: z.string(),
});

export const planView = view<PlanView>("Plan")({
  id: z.string(),
  files: z.array(z.string()),
  changes: z.array(plannedChange),
  warnings: z.array(z.string()),
});

export const applyView = view<ApplyView>("Apply")({
  result: z.enum(["done", "unchanged", "failed", "rolled-back"]),
  message: z.string(),
  changes: z.array(plannedChange),
  service: z.string().exactOptional(),
  failure: failureView.exactOptional(),
  receipts: z.array(receiptView),
  durationMs: z.number().nonnegative(),
});
