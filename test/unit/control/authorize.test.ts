import { describe, expect, test } from "vitest";
import { authorizer } from "../../../src/daemon/control/authorize.js";

const files = {
  passwd: () =>
    "root:x:0:0::/root:/bin/sh\nann:x:1001:1001::/:/bin/sh\nbob:x:1002:1002::/:/bin/sh\ncid:x:1003:500::/:/bin/sh\n",
  group: () => "root:x:0:\nops:x:500:ann,dora\nann:x:1001:\nbob:x:1002:\nempty:x:600:\n",
};
const peer = (uid: number, gid = uid) => ({ pid: 1, uid, gid });

describe("an authorizer without a control group", () => {
  const authorize = authorizer({ ownUid: 1002, files });

  test("admits root and its own user and nobody else", () => {
    expect(authorize(peer(0))).toBe("allowed");
    expect(authorize(peer(1002))).toBe("allowed");
    expect(authorize(peer(1001))).toBe("denied");
  });
});

describe("an authorizer with a control group", () => {
  const authorize = authorizer({ ownUid: 0, controlGroup: "ops", files });

  test("admits who is listed as a member", () => expect(authorize(peer(1001))).toBe("allowed"));
  test("admits who has it as the primary group", () => expect(authorize(peer(1003, 1))).toBe("allowed"));
  test("admits who has it as the gid of its credentials", () => expect(authorize(peer(4242, 500))).toBe("allowed"));
  test("denies everybody else", () => {
    expect(authorize(peer(1002))).toBe("denied");
    expect(authorize(peer(4242))).toBe("denied");
  });

  test("takes the group as a number", () => {
    const byNumber = authorizer({ ownUid: 0, controlGroup: "500", files });
    expect(byNumber(peer(1001))).toBe("allowed");
    expect(byNumber(peer(1002))).toBe("denied");
  });

  test("admits nobody by an empty list of members", () => {
    const empty = authorizer({ ownUid: 0, controlGroup: "empty", files });
    expect(empty(peer(1001))).toBe("denied");
    expect(empty(peer(4242))).toBe("denied");
  });

  test("denies everybody for a group that is unknown", () => {
    const unknown = authorizer({ ownUid: 0, controlGroup: "nowhere", files });
    expect(unknown(peer(1001))).toBe("denied");
  });

  test("denies when the group file cannot be read", () => {
    const unreadable = authorizer({
      ownUid: 0,
      controlGroup: "ops",
      files: {
        ...files,
        group: () => {
          throw new Error("EACCES");
        },
      },
    });
    expect(unreadable(peer(1001))).toBe("denied");
    expect(unreadable(peer(0))).toBe("allowed");
  });
});
