import type { OwnedFd } from "../../../ancillary/index.js";
import type { AcceptorRecord } from "./acceptor-record.js";
import type { ChildRecord } from "./records.js";

/** What these throw is nobody's to catch: the keeper tells everything once to each supervisor, and the next one begins with all of it. */
export interface KeeperEvents {
  /** The pidfd comes with state `running`; it is the receiver's. */
  child(record: ChildRecord, tag: Buffer, pidfd: OwnedFd | undefined): void;
  /** How an armed start for connections goes on. */
  acceptor(record: AcceptorRecord): void;
  signalled(signals: readonly number[]): void;
  /** Of one that has attached as a shadow: the one in charge has ceded the lease to it. */
  leased?(): void;
  /** A frame that did not come from the keeper, or that cannot be read. It was dropped. */
  dropped(reason: string): void;
  /** The channel is closed: the keeper is gone. */
  ended(reason: "end" | Error): void;
}
