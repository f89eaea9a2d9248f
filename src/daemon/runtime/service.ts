import type { ServiceRuntime } from "./service-runtime.js";

/** What runs a service, as those see it who look after all of them: with workers (ServiceRuntime) or with a process for each connection (AcceptService). */
export type Service = Omit<Pick<ServiceRuntime, keyof ServiceRuntime>, "dispatch">;
