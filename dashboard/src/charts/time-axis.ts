import { day, shortTime } from "../format/time";

const MIN = 60_000;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;
const STEPS = [1, 2, 5, 10, 15, 30]
  .map((n) => n * MIN)
  .concat([1, 2, 3, 6, 12, 24, 48, 168].map((n) => n * HOUR));

/** Where a time axis is labelled: round times of the viewer's own clock, at most `most` of them. */
export function timeSplits(from: number, to: number, most: number): number[] {
  const step = STEPS.find((s) => (to - from) / s <= most) ?? DAY * 7;
  // Local midnight keeps its place when the clocks change within the range; hours may not, and move by one label.
  const start = new Date(from);
  start.setHours(0, 0, 0, 0);
  const splits: number[] = [];
  if (step < DAY) {
    const first = start.getTime() + Math.ceil((from - start.getTime()) / step) * step;
    for (let t = first; t <= to; t += step) splits.push(t);
    return splits;
  }
  const days = step / DAY;
  const at = new Date(start);
  while (at.getTime() <= to) {
    if (at.getTime() >= from) splits.push(at.getTime());
    at.setDate(at.getDate() + days);
  }
  return splits;
}

/** Labels for them: the day where a day begins, else the time. */
export function timeLabels(splits: number[], span: number): string[] {
  if (span > 3 * DAY) return splits.map(day);
  return splits.map((t) => (span > 6 * HOUR && shortTime(t) === "00:00" ? day(t) : shortTime(t)));
}
