import { type OwnedFd, setSocketOption, socketPair } from "../../../ancillary/index.js";
import { MAX_RECORD_BYTES } from "../../../handoff/frame.js";

/** The environment variable that tells a worker the number of its end. */
export const CHANNEL_VARIABLE = "HOLDFAST_CHANNEL";

/** The two ends of a worker's channel. */
export interface ChannelPair {
  /** Ours: for the relay, and kept with the child in the keeper. */
  readonly ours: OwnedFd;
  /** The worker's: goes into `map` of its start and is closed here once the frame is sent. */
  readonly theirs: OwnedFd;
}

/**
 * A pair for one worker. Whoever makes it is who the worker sees in SO_PEERCRED.
 *
 * Both ends ask for credentials before anybody can send: a record that was sent without being asked for them has none.
 */
export function openChannelPair(): ChannelPair {
  const [ours, theirs] = socketPair("unix-seqpacket");
  try {
    for (const end of [ours, theirs]) {
      setSocketOption(end, "SO_PASSCRED", true);
      // The kernel doubles it, and cuts it to net.core.wmem_max. One record must fit.
      setSocketOption(end, "SO_SNDBUF", 2 * MAX_RECORD_BYTES);
    }
    return { ours, theirs };
  } catch (error) {
    ours.close();
    theirs.close();
    throw error;
  }
}
