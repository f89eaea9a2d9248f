import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AccountFiles, resolveIdentity, userName } from "../../../src/daemon/runtime/identity.js";

let folder: string;
let files: AccountFiles;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-id-"));
  files = { passwd: join(folder, "passwd"), group: join(folder, "group") };
  writeFileSync(
    files.passwd,
    "# note\nroot:x:0:0:root:/root:/bin/bash\nwww:x:33:33::/srv/www:\nbad line\n1000:x:7:8::/:/bin/sh\n",
  );
  writeFileSync(files.group, "root:x:0:\nwww:x:33:\nops:x:40:www,root\nssl:x:41:www\n");
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("an identity", () => {
  test("has the user's ids, groups, home and shell", () => {
    expect(resolveIdentity({ user: "www" }, files)).toEqual({
      uid: 33,
      gid: 33,
      groups: [33, 40, 41],
      home: "/srv/www",
      name: "www",
      shell: "/bin/sh",
    });
  });

  test("is the same for the user's number", () => {
    expect(resolveIdentity({ user: "33" }, files)).toEqual(resolveIdentity({ user: "www" }, files));
  });

  test("takes a name of digits for a name first", () => {
    expect(resolveIdentity({ user: "1000" }, files)).toMatchObject({ uid: 7, gid: 8 });
  });

  test("has the group and the groups that were asked for", () => {
    expect(resolveIdentity({ user: "www", group: "ops", groups: ["ssl", "99"] }, files)).toMatchObject({
      uid: 33,
      gid: 40,
      groups: [40, 41, 99],
    });
    expect(resolveIdentity({ user: "www", groups: [] }, files)).toMatchObject({ groups: [33] });
  });

  test("changes nothing that was not asked for", () => {
    expect(resolveIdentity({}, files)).toEqual({});
    expect(resolveIdentity({ group: "ops" }, files)).toEqual({ gid: 40 });
  });

  test("needs a group for a number that has no entry", () => {
    expect(() => resolveIdentity({ user: "777" }, files)).toThrow(
      expect.objectContaining({ code: "unknown-group", value: "777" }),
    );
    expect(resolveIdentity({ user: "777", group: "778" }, files)).toEqual({ uid: 777, gid: 778, groups: [778] });
  });

  test.each(["nobody-here", "-1", "4294967295", "99999999999", ""])("of the unknown user %j is an error", (user) => {
    expect(() => resolveIdentity({ user }, files)).toThrow(
      expect.objectContaining({ code: "unknown-user", value: user }),
    );
  });

  test("of an unknown group is an error", () => {
    expect(() => resolveIdentity({ group: "nope" }, files)).toThrow(expect.objectContaining({ code: "unknown-group" }));
    expect(() => resolveIdentity({ user: "www", groups: ["nope"] }, files)).toThrow(
      expect.objectContaining({ code: "unknown-group" }),
    );
  });

  test("follows a change of the files", () => {
    expect(() => resolveIdentity({ user: "new" }, files)).toThrow();
    writeFileSync(files.passwd, "new:x:5:6::/home/new:/bin/sh\n");
    expect(resolveIdentity({ user: "new" }, files)).toMatchObject({ uid: 5, gid: 6, home: "/home/new" });
  });

  test("can be a number where there are no files at all", () => {
    const none = { passwd: join(folder, "none"), group: join(folder, "none") };
    expect(resolveIdentity({ user: "5", group: "6" }, none)).toEqual({ uid: 5, gid: 6, groups: [6] });
    expect(userName(5, none)).toBe("5");
    expect(userName(33, files)).toBe("www");
  });
});
