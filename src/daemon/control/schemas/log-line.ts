import * as z from "zod";
import type { LogLine } from "../api.js";
import { at, count, view } from "./component.js";

export const logLine = view<LogLine>("LogLine")({
  at,
  service: z.string(),
  instance: z.string(),
  worker: count,
  stream: z.enum(["stdout", "stderr"]),
  text: z.string(),
});
