import { peerGroups, peerPidfd } from "./peer.js";
import { socketPair } from "./socket.js";
import { getSocketOption, type SocketOptionName } from "./socket-option.js";

const optionFeatures = ["SO_PASSPIDFD", "SO_PASSRIGHTS", "SO_PASSSEC", "SO_RIGHTS_NOTRUNC"] as const;
type OptionFeature = (typeof optionFeatures)[number] & SocketOptionName;

/** What not every kernel that this library runs on has. */
export type KernelFeature = OptionFeature | "SO_PEERPIDFD" | "SO_PEERGROUPS";

const answers = new Map<KernelFeature, boolean>();

/** Whether the running kernel has it. It is tried on a pair of sockets, once per thread; version numbers prove nothing (backports, seccomp, gVisor). */
export function kernelOffers(feature: KernelFeature): boolean {
  const known = answers.get(feature);
  if (known !== undefined) return known;
  const answer = probe(feature);
  answers.set(feature, answer);
  return answer;
}

function probe(feature: KernelFeature): boolean {
  const [a, b] = socketPair("unix");
  try {
    switch (feature) {
      case "SO_PEERPIDFD":
        peerPidfd(a).close();
        return true;
      case "SO_PEERGROUPS":
        peerGroups(a);
        return true;
      default:
        if (!optionFeatures.includes(feature)) throw new TypeError(`not a feature: ${String(feature)}`);
        getSocketOption(a, feature);
        return true;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOPROTOOPT") return false;
    throw error;
  } finally {
    a.close();
    b.close();
  }
}
