import { gone } from "../../bench/lib/time-answer.mjs";
import type { Script } from "./script.js";

/** What happens in the life of a Holdfast between its boot and its end. */
export const scripts: readonly Script[] = [
  {
    name: "an activation by a connection",
    act: (life) => life.activate(),
    starts: { lazy: 2 },
    size: { lazy: 2 },
    undo: {
      act: async (life) => {
        for (const instance of ["lazy/1", "lazy/2"]) process.kill(life.worker(instance), "SIGTERM");
      },
      stops: { lazy: 2 },
      size: { lazy: 0 },
    },
  },
  {
    name: "a rolling restart",
    act: (life) => life.act("web", { action: "restart", hard: false }),
    starts: { web: 2 },
    stops: { web: 2 },
  },
  {
    name: "a stop",
    act: (life) => life.act("web", { action: "stop" }),
    stops: { web: 2 },
    size: { web: 0 },
    undo: { act: (life) => life.act("web", { action: "start" }), starts: { web: 2 }, size: { web: 2 } },
  },
  {
    name: "a stop of a stubborn worker",
    act: (life) => life.act("stubborn", { action: "stop" }),
    stops: { stubborn: 1 },
    size: { stubborn: 0 },
    undo: { act: (life) => life.act("stubborn", { action: "start" }), starts: { stubborn: 1 }, size: { stubborn: 1 } },
  },
  {
    name: "a scale up",
    act: (life) => life.act("api", { action: "scale", workers: 3 }),
    starts: { api: 1 },
    size: { api: 3 },
    undo: { act: (life) => life.act("api", { action: "scale", workers: 2 }), stops: { api: 1 }, size: { api: 2 } },
  },
  {
    name: "a scale down",
    act: (life) => life.act("web", { action: "scale", workers: 1 }),
    stops: { web: 1 },
    size: { web: 1 },
    undo: { act: (life) => life.act("web", { action: "scale", workers: 2 }), starts: { web: 1 }, size: { web: 2 } },
  },
  {
    name: "a crash of a worker",
    act: async (life) => void process.kill(life.worker("web/2"), "SIGUSR1"),
    crashes: { web: 1 },
    starts: { web: 1 },
  },
  {
    name: "an adoption",
    act: async ({ holdfast }) => {
      const { pid } = await holdfast.answers();
      process.kill(pid, "SIGKILL");
      await gone(pid);
    },
  },
];
