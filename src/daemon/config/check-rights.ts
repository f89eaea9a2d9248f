import type { Accounts } from "./account.js";
import type { ServiceConfig, SocketConfig } from "./config.js";
import { quote, wrong } from "./problem.js";
import type { Site } from "./site.js";

/** What a supervisor that is not root cannot do, said before it is tried. Root is only warned of names nobody knows. */
export function checkServiceRights(service: ServiceConfig, o: { site: Site; accounts: Accounts }): void {
  const { site, accounts } = o;
  if (accounts.uid === 0) {
    warnOfUnknown(service, o);
    warnOfNoGroup(service, o);
    for (const [index, group] of (service.groups ?? []).entries()) {
      if (accounts.groupId(group) === undefined) site.warn(["groups", index], unknown("group", group));
    }
    return;
  }
  if (service.user !== undefined && accounts.userId(service.user) !== accounts.uid) {
    site.refuse(["user"], notPermitted(accounts, "run a service as another user"));
  }
  if (service.group !== undefined && accounts.groupId(service.group) !== accounts.gid) {
    site.refuse(["group"], notPermitted(accounts, "run a service with another group"));
  }
  if (service.pretendBooted === true) {
    site.refuse(["pretend_booted"], notPermitted(accounts, "make the folder that sd_booted(3) looks for"));
  }
  if (service.groups !== undefined) site.refuse(["groups"], notPermitted(accounts, "set supplementary groups"));
  if ((service.nice ?? 0) < 0) site.refuse(["nice"], notPermitted(accounts, "raise a priority above 0"));
  if ((service.oomScoreAdjust ?? 0) < 0) {
    site.refuse(["oom_score_adjust"], notPermitted(accounts, "protect a process from the kernel when memory runs out"));
  }
}

/** A file may be given to a group of one's own (chown(2)), unlike a process. */
export function checkSocketRights(socket: SocketConfig, o: { site: Site; accounts: Accounts }): void {
  const { site, accounts } = o;
  if (accounts.uid === 0) {
    warnOfUnknown(socket, o);
    return;
  }
  if (socket.user !== undefined && accounts.userId(socket.user) !== accounts.uid) {
    site.refuse(["user"], notPermitted(accounts, "give a file to another user"));
  }
  if (socket.group !== undefined) checkOwnGroup("group", socket.group, o);
  const { mark, transparent, priority } = socket.options;
  if (mark !== undefined) site.refuse(["mark"], notPermitted(accounts, "mark a socket"));
  if (transparent === true)
    site.refuse(["transparent"], notPermitted(accounts, "bind an address that is not this machine's"));
  if ((priority ?? 0) > 6) site.refuse(["priority"], notPermitted(accounts, "set a priority above 6"));
}

/** The group of a file that the supervisor makes: root's choice, else one of its own. */
export function checkOwnGroup(key: string, group: string, o: { site: Site; accounts: Accounts }): void {
  const { site, accounts } = o;
  const id = accounts.groupId(group);
  if (accounts.uid === 0) {
    if (id === undefined) site.warn([key], unknown("group", group));
  } else if (id === undefined || (id !== accounts.gid && !accounts.groups.includes(id))) {
    site.refuse([key], notPermitted(accounts, "name a group that is not its own"));
  }
}

function warnOfUnknown(
  owner: { user?: string; group?: string },
  { site, accounts }: { site: Site; accounts: Accounts },
): void {
  if (owner.user !== undefined && accounts.userId(owner.user) === undefined)
    site.warn(["user"], unknown("user", owner.user));
  if (owner.group !== undefined && accounts.groupId(owner.group) === undefined)
    site.warn(["group"], unknown("group", owner.group));
}

function warnOfNoGroup({ user = "", group }: ServiceConfig, o: { site: Site; accounts: Accounts }): void {
  if (group !== undefined || !/^\d+$/.test(user) || o.accounts.hasEntry(Number(user))) return;
  const message = `user ${user} is not in /etc/passwd, so its group is not known`;
  o.site.warn(["user"], wrong(message, { code: "unknown-account", hint: "set group as well" }));
}

function unknown(what: "user" | "group", name: string): ReturnType<typeof wrong> {
  const file = what === "user" ? "/etc/passwd" : "/etc/group";
  return wrong(`there is no ${what} ${quote(name)} in ${file}`, { code: "unknown-account" });
}

function notPermitted(accounts: Accounts, what: string): ReturnType<typeof wrong> {
  return wrong(`only root may ${what}, and this is ${accounts.self}`, { code: "not-permitted" });
}
