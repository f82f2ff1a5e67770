import type { Range } from "./ui";

const MIN = 60_000;
const HOUR = 60 * MIN;

export interface RangeInfo {
  label: string;
  says: string;
  ms: number;
  /** How often what is closed in the store is asked for again. */
  refetchMs: number | false;
}

/** Up to an hour the page has 10 s panes and keeps them up to date itself; beyond that the store rolls up. */
export const RANGES: Record<Range, RangeInfo> = {
  live: { label: "Live", says: "the last 5 minutes, as they come", ms: 5 * MIN, refetchMs: false },
  "15m": { label: "15 min", says: "the last 15 minutes", ms: 15 * MIN, refetchMs: false },
  "1h": { label: "1 h", says: "the last hour", ms: HOUR, refetchMs: false },
  "6h": { label: "6 h", says: "the last 6 hours", ms: 6 * HOUR, refetchMs: 20_000 },
  "24h": { label: "24 h", says: "the last 24 hours", ms: 24 * HOUR, refetchMs: 30_000 },
  "7d": { label: "7 d", says: "the last 7 days", ms: 168 * HOUR, refetchMs: 60_000 },
  "30d": { label: "30 d", says: "the last 30 days", ms: 720 * HOUR, refetchMs: 120_000 },
};

/** Points to ask for: 24 h then come as minutes and 30 d as hours, which is what a screen can show. */
export const POINTS = 1_500;
