import * as z from "zod";
import type { EventView } from "../api.js";
import { at, count, view } from "./component.js";

export const eventView = view<EventView>("Event")({
  sequence: count,
  at,
  type: z.string(),
  service: z.string().exactOptional(),
  instance: z.string().exactOptional(),
  worker: count.exactOptional(),
  message: z.string(),
  data: z.record(z.string(), z.unknown()).exactOptional(),
});
