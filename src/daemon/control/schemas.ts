/** What api.ts says, as schemas: they check what is asked, and are the OpenAPI document. */
export * from "./schemas/action.js";
export * from "./schemas/apply-view.js";
export * from "./schemas/component.js";
export * from "./schemas/error-body.js";
export * from "./schemas/event-view.js";
export * from "./schemas/gap.js";
export * from "./schemas/log-line.js";
export * from "./schemas/receipt-view.js";
export * from "./schemas/service-view.js";
export * from "./schemas/socket-view.js";
export * from "./schemas/supervisor-view.js";
