import * as z from "zod";

/** The schemas that the OpenAPI document names. */
export const components = z.registry<{ readonly id: string }>();

/** An object schema that has every field of a view, no other, with the view's types. */
export function view<View>(id: string) {
  return <Shape extends { readonly [K in keyof Required<View>]: z.ZodType<View[K]> }>(shape: Shape) =>
    z.object(shape).register(components, { id });
}

/** ISO 8601 in UTC. */
export const at = z.iso.datetime();
export const count = z.int().nonnegative();
export const milliseconds = z.number().nonnegative();
