/** Slots are seconds, buckets grow by 5 %: the percentiles are right to 2.5 %, at no cost a reading. */
const RATIO = Math.log(1.05);
const BUCKETS = 300;

/**
 * The delay from the door's receipt of a reading to the frame that shows it, over the last half minute.
 *
 * Percentiles come from a histogram with logarithmic buckets (1 ms to about 38 min).
 */
export class Delay {
  private readonly slots: { second: number; counts: Uint32Array }[];

  constructor(private readonly seconds = 30) {
    this.slots = Array.from({ length: seconds }, () => ({ second: -1, counts: new Uint32Array(BUCKETS) }));
  }

  add(delayMs: number, nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    const slot = this.slots[second % this.seconds];
    if (!slot) return;
    if (slot.second !== second) {
      slot.second = second;
      slot.counts.fill(0);
    }
    const bucket = Math.min(BUCKETS - 1, Math.round(Math.log(Math.max(1, delayMs)) / RATIO));
    slot.counts[bucket] = (slot.counts[bucket] ?? 0) + 1;
  }

  /** The percentiles asked for (0 to 1) in ms, and how many readings they stand on. */
  percentiles(wanted: number[], nowMs: number): { n: number; values: (number | null)[] } {
    const now = Math.floor(nowMs / 1000);
    const sum = new Float64Array(BUCKETS);
    let n = 0;
    for (const slot of this.slots) {
      if (slot.second <= now - this.seconds || slot.second > now) continue;
      slot.counts.forEach((count, i) => {
        sum[i] = (sum[i] ?? 0) + count;
        n += count;
      });
    }
    return { n, values: wanted.map((p) => (n ? this.quantile(sum, Math.ceil(p * n)) : null)) };
  }

  private quantile(sum: Float64Array, rank: number): number {
    let seen = 0;
    for (let i = 0; i < BUCKETS; i += 1) {
      seen += sum[i] ?? 0;
      if (seen >= Math.max(1, rank)) return Math.exp(i * RATIO);
    }
    return Math.exp(BUCKETS * RATIO);
  }
}
