import * as z from "zod";
import { components } from "./component.js";

/** The last event of a follower that was too slow: so many items were not sent; the stream ends after it. */
export const gap = z.object({ dropped: z.int().positive() }).register(components, { id: "Gap" });
