import type { Columns } from "../wire/columns";
import { PANE } from "../wire/store";
import type { SeriesColumns } from "../wire/types";

/** What a line chart takes: x, the line, and the band around it. `null` is a gap. */
export type ChartData = [
  x: number[],
  mean: (number | null)[],
  min: (number | null)[],
  max: (number | null)[],
];

export interface Stats {
  n: number;
  mean: number;
  min: number;
  max: number;
}

export interface Drawn {
  data: ChartData;
  stats: Stats;
}

export const LEVEL_MS = { "10s": 10_000, "1m": 60_000, "1h": 3_600_000, "1d": 86_400_000 } as const;
const PANE_MS = LEVEL_MS["10s"];

const finite = (value: number | null | undefined): number | null =>
  value !== null && value !== undefined && Number.isFinite(value) ? value : null;

/** Gathers points, breaks the line where time is missing, and sums up what was gathered. */
class Builder {
  readonly data: ChartData = [[], [], [], []];
  private before = Number.NEGATIVE_INFINITY;
  private n = 0;
  private sum = 0;
  private low = Number.POSITIVE_INFINITY;
  private high = Number.NEGATIVE_INFINITY;

  point(t: number, mean: number | null, min: number | null, max: number | null, gapMs: number): void {
    const [xs, means, mins, maxs] = this.data;
    if (xs.length && t - this.before > gapMs) {
      xs.push((t + this.before) / 2);
      means.push(null);
      mins.push(null);
      maxs.push(null);
    }
    xs.push(t);
    means.push(finite(mean));
    mins.push(finite(min));
    maxs.push(finite(max));
    this.before = t;
  }

  count(n: number, mean: number | null, min: number | null, max: number | null): void {
    if (finite(mean) === null || finite(min) === null || finite(max) === null) return;
    this.n += n;
    this.sum += (mean as number) * n;
    this.low = Math.min(this.low, min as number);
    this.high = Math.max(this.high, max as number);
  }

  done(): Drawn {
    const mean = this.n ? this.sum / this.n : Number.NaN;
    return { data: this.data, stats: { n: this.n, mean, min: this.low, max: this.high } };
  }
}

/** Buckets of a level, each drawn at its middle. */
export function fromBuckets(
  columns: Record<keyof Omit<SeriesColumns, "last">, ArrayLike<number | null>>,
  bucketMs: number,
  from: number,
): Drawn {
  const out = new Builder();
  const { t, count, mean, min, max } = columns;
  for (let i = 0; i < t.length; i += 1) {
    const start = t[i] as number;
    if (start + bucketMs < from) continue;
    const row = [mean[i], min[i], max[i]] as [number | null, number | null, number | null];
    out.point(start + bucketMs / 2, ...row, bucketMs * 2.5);
    out.count(count[i] as number, ...row);
  }
  return out.done();
}

export function fromPanes(panes: Columns, from: number): Drawn {
  const columns = {
    t: panes.view(PANE.t),
    count: panes.view(PANE.count),
    mean: panes.view(PANE.mean),
    min: panes.view(PANE.min),
    max: panes.view(PANE.max),
  };
  return fromBuckets(columns, PANE_MS, from);
}

/**
 * The live view: last values as they came, within the band of their pane; before the first of them, pane means.
 */
export function fromTrace(trace: Columns, panes: Columns, from: number): Drawn {
  const out = new Builder();
  const first = trace.length ? trace.at(0, 0) : Number.POSITIVE_INFINITY;
  for (let i = panes.search(from - PANE_MS); i < panes.length; i += 1) {
    const t = panes.at(PANE.t, i);
    const [n, mean] = [panes.at(PANE.count, i), panes.at(PANE.mean, i)];
    const [min, max] = [panes.at(PANE.min, i), panes.at(PANE.max, i)];
    if (t + PANE_MS / 2 < first) out.point(t + PANE_MS / 2, mean, min, max, PANE_MS * 2.5);
    out.count(n, mean, min, max);
  }
  for (let i = trace.search(from - PANE_MS); i < trace.length; i += 1) {
    const t = trace.at(0, i);
    const pane = Math.floor(t / PANE_MS) * PANE_MS;
    const at = panes.search(pane);
    const held = panes.at(PANE.t, at) === pane;
    out.point(
      t,
      trace.at(1, i),
      held ? panes.at(PANE.min, at) : null,
      held ? panes.at(PANE.max, at) : null,
      PANE_MS * 2.5,
    );
  }
  return out.done();
}
