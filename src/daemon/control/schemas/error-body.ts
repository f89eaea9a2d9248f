import * as z from "zod";
import { components } from "./component.js";

export const errorBody = z
  .object({ error: z.looseObject({ code: z.string(), message: z.string() }) })
  .register(components, { id: "Error" });
