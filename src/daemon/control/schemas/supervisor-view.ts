import * as z from "zod";
import type { KeeperView, ReExecView, SupervisorView, UpgradeDoneView, UpgradeView } from "../api.js";
import { at, count, view } from "./component.js";

export const keeperView = view<KeeperView>("Keeper")({
  startedAt: at,
  reExecs: count,
  reExecutedAt: at.exactOptional(),
});

export const reExecView = view<ReExecView>("ReExec")({
  result: z.enum(["done", "failed"]),
  message: z.string(),
  reExecs: count,
  durationMs: z.number().nonnegative(),
});

export const upgradeView = view<UpgradeView>("Upgrade")({
  result: z.enum(["failed", "willing"]),
  message: z.string(),
  id: z.string().exactOptional(),
});

export const upgradeDoneView = view<UpgradeDoneView>("UpgradeDone")({
  id: z.string(),
  result: z.enum(["done", "failed"]),
  message: z.string(),
  pauseMs: z.number().nonnegative(),
});

export const supervisorView = view<SupervisorView>("Supervisor")({
  version: z.string(),
  pid: z.int().positive(),
  keeperPid: z.int().positive(),
  keeper: keeperView,
  startedAt: at,
  starts: count,
  previousEnd: z.string().exactOptional(),
  keeperDeaths: count.exactOptional(),
  keeperDeath: z.string().exactOptional(),
  upgrade: upgradeDoneView.exactOptional(),
  adoptedInMs: z.number().nonnegative().exactOptional(),
  configFiles: z.array(z.string()),
  control: z.string(),
  counters: z.record(z.string(), z.number()),
});
