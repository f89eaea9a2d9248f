import { ownerInWords, ownerOf, serving } from "../port-owner.js";
import type { SocketPlace } from "../socket-opener.js";

/**
 * Who else has a socket at this address, in words: SO_REUSEPORT lets any process of our user into the group, where it gets connections that it may know
 * nothing of. `ours`: all that we hold, by their inodes, since of one port with both families there are two addresses, each with sockets that the other one
 * would take for somebody else's.
 */
export function strangerAt(
  { config, index }: SocketPlace,
  text: string,
  ours: () => ReadonlySet<bigint>,
): string | undefined {
  const address = config.listen[index]!;
  if (!("port" in address) || address.port === 0) return undefined;
  const own = ours();
  const [stranger] = serving(address, config.options.ipv6Only === true).filter(({ inode }) => !own.has(inode));
  return (
    stranger &&
    `${text} is shared with a socket that is not ours (${ownerInWords(ownerOf(stranger))}): it takes connections from the workers; end that process`
  );
}
