import { gunicorn } from "./gunicorn.mjs";
import { haproxyMasterWorker, haproxyTakesSockets } from "./haproxy.mjs";
import { nginx } from "./nginx.mjs";
import { pm2, pm2Plain } from "./pm2.mjs";
import { supervisord, supervisordFcgi } from "./supervisord.mjs";
import { systemdSocketActivate } from "./systemd.mjs";

/**
 * Others that restart servers, each with:
 *   needs       path that must exist; `install` says how it comes there; `fetch` brings it, where that is no package of the system
 *   seenBefore  {new, ka}: requests that failed in ten restarts, as measured once on another day
 *   upstream    whether it is a proxy
 *   start       ({directory, port}) => {restart(), stop()}; both resolve once it is done: all workers are others; nothing is left
 */
export const PEERS = {
  nginx,
  haproxy: haproxyMasterWorker,
  "haproxy-x": haproxyTakesSockets,
  gunicorn,
  pm2,
  "pm2-plain": pm2Plain,
  systemd: systemdSocketActivate,
  supervisord,
  "supervisord-fcgi": supervisordFcgi,
};
