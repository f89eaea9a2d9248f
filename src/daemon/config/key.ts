import { z } from "zod";
import { annotate, noteOf } from "./leaf.js";

// How a key of a table is declared: what it holds, what is there without it, and what the reference says of it.

export interface Doc {
  /** One sentence for the reference and for editors. */
  readonly is: string;
  /** A TOML value. */
  readonly example?: string;
  /** What holds without the key, in words. */
  readonly otherwise?: string;
}

export function required<S extends z.ZodType>(schema: S, doc: Doc): S {
  return document(schema.meta({ description: doc.is }) as S, schema, doc);
}

export function optional<S extends z.ZodType>(schema: S, doc: Doc): z.ZodOptional<S> {
  return document(schema.optional().meta({ description: doc.is }), undefined, doc);
}

/** `value` is what a user would write, and goes through the schema as that would. */
export function withDefault<S extends z.ZodType>(schema: S, value: z.input<S>, doc: Doc): z.ZodPrefault<S> {
  const filled: z.ZodPrefault<S> = z.prefault(schema, value as never);
  return document(filled.meta({ description: doc.is }), undefined, doc);
}

/** `meta` of zod returns a copy, which our notes do not follow by themselves. */
function document<S extends z.core.$ZodType>(schema: S, from: z.core.$ZodType | undefined, doc: Doc): S {
  const { example, otherwise } = doc;
  return annotate(schema, {
    ...(from === undefined ? {} : noteOf(from)),
    ...(example === undefined ? {} : { example }),
    ...(otherwise === undefined ? {} : { otherwise }),
  });
}
