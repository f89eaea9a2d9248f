import type { OwnedFd } from "../../ancillary/index.js";
import type { Config } from "../config/config.js";
import type { Operations } from "../control/api.js";
import type { ControlServer } from "../control/server.js";
import type { Logger } from "./logger.js";

/**
 * Serves the operator on the control socket, which is owned from now on. Last, and loaded last: workers must not wait for what only operators need.
 */
export async function serveOperators(
  control: OwnedFd,
  operations: Operations,
  { inForce, log }: { readonly inForce: () => Config; readonly log: Logger },
): Promise<ControlServer> {
  const [{ serveControl }, { authorizer }] = await Promise.all([
    import("../control/server.js"),
    import("../control/authorize.js"),
  ]);
  return serveControl({
    operations,
    listenFd: control.release(),
    authorize: (peer) => {
      const { controlGroup } = inForce().supervisor;
      const ownUid = process.getuid?.() ?? 0;
      return authorizer({ ownUid, ...(controlGroup === undefined ? {} : { controlGroup }) })(peer);
    },
    log: ({ level, event, message, data, cause }) =>
      log[level](message, { event, ...data, ...(cause ? { cause } : {}) }),
  });
}
