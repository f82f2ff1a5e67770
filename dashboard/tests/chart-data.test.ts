import { describe, expect, it } from "vitest";
import { fromBuckets, fromTrace } from "../src/charts/chart-data";
import { Columns } from "../src/wire/columns";

describe("what a chart is given", () => {
  const buckets = {
    t: [0, 10_000, 60_000],
    count: [1, 3, 4],
    mean: [1, 5, 2],
    min: [0, 4, 1],
    max: [2, 6, 3],
  };

  it("draws a bucket at its middle and breaks the line where time is missing", () => {
    const { data } = fromBuckets(buckets, 10_000, 0);
    expect(data[0]).toEqual([5_000, 15_000, 40_000, 65_000]);
    expect(data[1]).toEqual([1, 5, null, 2]);
  });

  it("weighs the mean of a range by readings", () => {
    expect(fromBuckets(buckets, 10_000, 0).stats).toEqual({ n: 8, mean: 3, min: 0, max: 6 });
  });

  it("leaves out what is before the range", () => {
    expect(fromBuckets(buckets, 10_000, 30_000).data[0]).toEqual([65_000]);
  });

  it("shows values as they came within the band of their pane, and means before the first", () => {
    const panes = new Columns(6, 8);
    panes.upsert([0, 10, 5, 4, 6, 5]);
    panes.upsert([10_000, 2, 7, 6, 8, 8]);
    const trace = new Columns(2, 8);
    trace.upsert([11_000, 6]);
    trace.upsert([12_000, 8]);
    const { data } = fromTrace(trace, panes, 0);
    expect(data).toEqual([
      [5_000, 11_000, 12_000],
      [5, 6, 8],
      [4, 6, 6],
      [6, 8, 8],
    ]);
  });
});
