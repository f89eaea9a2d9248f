import { describe, expect, test } from "vitest";
import { ownRights, parseConfigText } from "../../../src/daemon/config/index.js";
import { hardLimits } from "../../../src/daemon/config/own-rights.js";
import { LIMIT_NAMES } from "../../../src/daemon/config/resource-limit.js";
import { capabilitySet } from "../../../src/daemon/runtime/capability-set.js";
import { ANN } from "./fixture.js";

describe("a hard limit", () => {
  test("is read from proc(5), which has one for each name", () => {
    const text = `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max open files            1024                 20000                files     
Max nice priority         0                    0                    
`;
    expect([...hardLimits(text)]).toEqual([
      ["nofile", 20_000],
      ["nice", 0],
    ]);
    expect(LIMIT_NAMES).toEqual(expect.arrayContaining([...ownRights().hardLimits!.keys()]));
    expect(ownRights().mostFiles).toBeGreaterThan(1_000);
  });

  test("is raised by those alone who may, and that of open files not above what the kernel allows", () => {
    const ask = (nofile: string, o: Partial<typeof ANN> & { capabilities: bigint }) => {
      const text = `version = 1\n[service.x]\ncommand = "x"\nlimits = { nofile = ${nofile} }`;
      const result = parseConfigText(text, "x.toml", { ...ANN, ...o, hardLimits: new Map([["nofile", 4096]]) });
      return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
    };
    const root = { uid: 0, capabilities: capabilitySet(["sys_resource"]) };
    expect(ask("4096", { capabilities: 0n })).toEqual([]);
    for (const nofile of ["4097", '"10:9999"'])
      expect(ask(nofile, { capabilities: 0n })).toEqual([
        'service.x.limits.nofile: only root may raise the hard limit of nofile, and this is "ann" (uid 1000); it has 4096 itself',
      ]);
    expect(ask("4097", { uid: 0, capabilities: 0n })).toEqual([
      "service.x.limits.nofile: to raise the hard limit of nofile needs CAP_SYS_RESOURCE, and root does not have that here; it has 4096 itself",
    ]);
    expect(ask("1048576", root)).toEqual([]);
    expect(ask("1048577", root)).toEqual([
      "service.x.limits.nofile: the kernel lets no process have more than 1048576 open files",
    ]);
  });
});

test("what workers may store in all is held against the limit of open files", () => {
  const text = `version = 1
[defaults]
command = "x"
[service.small]
fd_store = 10
[service.large]
fd_store = 50
workers = 10
`;
  const warnings = (nofile: number) => {
    const result = parseConfigText(text, "x.toml", { ...ANN, hardLimits: new Map([["nofile", nofile]]) });
    return result.warnings.map(({ path, message }) => `${path}: ${message}`);
  };
  expect(warnings(1020)).toEqual([]);
  expect(warnings(1019)).toEqual([
    "service.large.fd_store: fd_store of all workers may come to 1020 descriptors in the supervisor, which has two of each, and 1019 is its limit",
  ]);
});
