import type { LinkState } from "../wire/live";

/** The state of the line as a whole, said plainly on every screen. */
export type Line =
  | { kind: "connecting" }
  | { kind: "live" }
  | { kind: "catching-up" }
  | { kind: "stalled"; since: number }
  | { kind: "silent"; since: number }
  | { kind: "disconnected"; retryInS: number | null; shownFrom: number | null }
  | { kind: "refused"; detail: string };

export const STALE_MS = 10_000;

export interface Observed {
  link: LinkState;
  /** Screen time. */
  now: number;
  /** Server time, and when by it rows and log time last moved; 0 when they have not yet. */
  serverNow: number;
  rowsAt: number;
  logMovedAt: number;
  /** False while the API itself still reads the log after its start. */
  ready: boolean;
}

export function lineOf({ link, now, serverNow, rowsAt, logMovedAt, ready }: Observed): Line {
  switch (link.kind) {
    case "refused":
      return { kind: "refused", detail: link.detail };
    case "waiting":
      return {
        kind: "disconnected",
        retryInS: Math.max(0, Math.ceil((link.retryAt - now) / 1000)),
        shownFrom: link.shownFrom,
      };
    case "idle":
      return { kind: "connecting" };
    case "connecting":
      // A try that follows a lost line is no fresh start: what is shown stays old until it succeeds.
      return rowsAt || link.attempt
        ? { kind: "disconnected", retryInS: null, shownFrom: rowsAt || null }
        : { kind: "connecting" };
    case "open":
      if (!ready) return { kind: "catching-up" };
      return openLine(link.since, serverNow, rowsAt, logMovedAt, now);
  }
}

function openLine(since: number, serverNow: number, rowsAt: number, logMovedAt: number, now: number): Line {
  // A line that has just opened is given the time to speak.
  if (now - since < STALE_MS) return { kind: "live" };
  if (logMovedAt && serverNow - logMovedAt > STALE_MS) return { kind: "stalled", since: logMovedAt };
  if (rowsAt && serverNow - rowsAt > STALE_MS) return { kind: "silent", since: rowsAt };
  return { kind: "live" };
}
