/**
 * What the configuration language has a name for and this version does not do. Such a key is refused with its sentence:
 * ignoring it in silence would run a service without what its author counts on.
 */
const NOT_YET = "this version of Holdfast does not have it yet";

export const LATER = {
  vsock: `vsock:// listens for a virtual machine's host or guests; ${NOT_YET}`,
} as const;

/** By section, then key: how the sentence goes on after the key. `container` is a section and stands under the empty name. */
const LATER_KEYS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "": {
    container: "says which services end the container as PID 1",
  },
  supervisor: {
    metrics: "is the address that serves /metrics, /healthz and /readyz",
    dashboard: "is the address that serves a page about the services",
  },
  service: {
    cgroup: "bounds the memory, CPU time and processes of a service",
  },
};

/** The sentence for `key` in `section` (`service`, `service.ready`, …), or undefined for a key that no version has. */
export function laterKey(section: string, key: string): string | undefined {
  const keys = Object.hasOwn(LATER_KEYS, section) ? LATER_KEYS[section] : undefined;
  const does = keys !== undefined && Object.hasOwn(keys, key) ? keys[key] : undefined;
  return does === undefined ? undefined : `${section === "" ? `[${key}]` : key} ${does}; ${NOT_YET}`;
}

/** All of it, for the reference: what is written, and what it is. */
export function laterThings(): { readonly written: string; readonly is: string }[] {
  const plain = (sentence: string) => sentence.replace(`; ${NOT_YET}`, "");
  const keys = Object.entries(LATER_KEYS).flatMap(([section, entries]) =>
    Object.entries(entries).map(([key, is]) => ({
      written: section === "" ? `[${key}]` : `${section}.${key}`,
      is,
    })),
  );
  return [...keys, { written: "vsock://CID:PORT", is: plain(LATER.vsock) }];
}
