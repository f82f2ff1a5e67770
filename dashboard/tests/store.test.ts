import { describe, expect, it } from "vitest";
import { LiveStore, PANE } from "../src/wire/store";
import type { RowColumns, RowsFrame } from "../src/wire/types";

interface Row {
  device?: string;
  metric?: string;
  pane: number;
  count: number;
  mean?: number | null;
  last?: number | null;
  last_ms?: number;
  received?: number;
}

function frame(type: "rows" | "snapshot", rows: Row[], logTime = 1): RowsFrame {
  const column = <T>(pick: (row: Row) => T) => rows.map(pick);
  const columns: RowColumns = {
    device: column((r) => r.device ?? "d"),
    metric: column((r) => r.metric ?? "m"),
    pane: column((r) => r.pane),
    count: column((r) => r.count),
    min: column((r) => (r.mean ?? 1) - 1),
    max: column((r) => (r.mean ?? 1) + 1),
    mean: column((r) => (r.mean === undefined ? 1 : r.mean)),
    last: column((r) => (r.last === undefined ? 1 : r.last)),
    last_ms: column((r) => r.last_ms ?? r.pane),
    received: column((r) => r.received ?? r.pane),
  };
  return { type, cursor: "0:1", sent: 0, log_time: logTime, columns };
}

const ignore = () => {};

describe("LiveStore", () => {
  it("coalesces: a pane that is amended many times is one row, as it was last said", () => {
    const store = new LiveStore();
    const panes = store.device("d").get("m").open();
    for (let n = 1; n <= 5; n += 1) {
      store.applyFrame(frame("rows", [{ pane: 10_000, count: n, mean: n }]), 0, ignore);
    }
    expect(panes.length).toBe(1);
    expect(panes.at(PANE.count, 0)).toBe(5);
    expect(panes.at(PANE.mean, 0)).toBe(5);
  });

  it("has another object for what a model says only when it says something else", () => {
    const store = new LiveStore();
    const named = { m: { unit: "bar", scale: 1, title: "" } };
    const summary = {
      tenant: "x",
      device: "d",
      kind: null,
      metrics: [],
      last_ms: null,
      received: null,
      latest: {},
    };
    store.applySummaries([{ ...summary, named }]);
    const first = store.device("d").named;
    expect(first).toEqual(named);
    store.applySummaries([{ ...summary, named: structuredClone(named) }]);
    expect(store.device("d").named).toBe(first);
    store.applySummaries([summary]);
    expect(store.device("d").named).toEqual({});
  });

  it("redraws an amended older pane and leaves the latest value alone", () => {
    const store = new LiveStore();
    const series = store.device("d").get("m");
    const panes = series.open();
    store.applyFrame(frame("rows", [{ pane: 10_000, count: 1, last: 1 }]), 0, ignore);
    store.applyFrame(frame("rows", [{ pane: 20_000, count: 1, last: 2 }]), 0, ignore);
    const before = series.version;
    store.applyFrame(frame("rows", [{ pane: 10_000, count: 7, mean: 9, last: 9 }]), 0, ignore);
    expect(panes.at(PANE.mean, 0)).toBe(9);
    expect(series.last).toBe(2);
    expect(series.version).toBeGreaterThan(before);
  });

  it("never lets the past replace a row that knows more readings", () => {
    const store = new LiveStore();
    const series = store.device("d").get("m");
    series.open();
    store.applyFrame(frame("rows", [{ pane: 20_000, count: 8, mean: 8 }]), 0, ignore);
    series.fill({
      t: [10_000, 20_000, 30_000],
      count: [10, 5, 1],
      min: [0, 0, 0],
      max: [9, 9, 9],
      mean: [1, 5, 3],
      last: [1, 5, 3],
    });
    const panes = series.open();
    expect([...panes.view(PANE.t)]).toEqual([10_000, 20_000, 30_000]);
    expect([...panes.view(PANE.mean)]).toEqual([1, 8, 3]);
  });

  it("counts the delay of a reading once, and never of a snapshot", () => {
    const store = new LiveStore();
    const seen: number[] = [];
    const note = (received: number) => seen.push(received);
    store.applyFrame(frame("snapshot", [{ pane: 0, count: 1, received: 5 }]), 0, note);
    store.applyFrame(frame("rows", [{ pane: 0, count: 2, received: 6 }]), 0, note);
    store.applyFrame(frame("rows", [{ pane: 0, count: 2, received: 6 }]), 0, note);
    store.applyFrame(frame("rows", [{ pane: 0, count: 3, received: 7 }]), 0, note);
    expect(seen).toEqual([6, 7]);
  });

  it("tells React of new devices and metrics, and not of new values", () => {
    const store = new LiveStore();
    let told = 0;
    store.subscribe(() => {
      told += 1;
    });
    store.applyFrame(frame("rows", [{ pane: 0, count: 1 }]), 0, ignore);
    const first = told;
    expect(first).toBeGreaterThan(0);
    store.applyFrame(frame("rows", [{ pane: 0, count: 2 }]), 0, ignore);
    expect(told).toBe(first);
    store.applyFrame(frame("rows", [{ metric: "other", pane: 0, count: 1 }]), 0, ignore);
    expect(told).toBeGreaterThan(first);
  });

  it("knows a device's clock by the median of receipt less stamp", () => {
    const store = new LiveStore();
    [100, 120, 9_000].forEach((skew, i) => {
      const received = 10_000 + i * 1_000;
      store.applyFrame(
        frame("rows", [{ pane: 0, count: i + 1, received, last_ms: received - skew }]),
        0,
        ignore,
      );
    });
    expect(store.device("d").skew).toBe(120);
  });

  it("keeps one sample a second, and its head is always the newest", () => {
    const store = new LiveStore();
    for (let t = 0; t <= 3_000; t += 250) {
      store.applyFrame(frame("rows", [{ pane: 0, count: t + 1, last: t, last_ms: t }]), 0, ignore);
    }
    const trace = store.device("d").get("m").trace;
    expect(trace.at(1, trace.length - 1)).toBe(3_000);
    expect(trace.length).toBeLessThanOrEqual(5);
  });

  it("draws nothing where the API says null, and certainly no zero", () => {
    const store = new LiveStore();
    const series = store.device("d").get("m");
    const panes = series.open();
    store.applyFrame(frame("rows", [{ pane: 0, count: 1, mean: null, last: null }]), 0, ignore);
    expect(panes.at(PANE.mean, 0)).toBeNaN();
    expect(series.last).toBeNaN();
    expect(series.trace.length).toBe(0);
  });

  it("sees when log time stands still", () => {
    const store = new LiveStore();
    store.applyFrame(frame("rows", [], 100), 1_000, ignore);
    store.applyFrame(frame("rows", [], 100), 5_000, ignore);
    expect(store.logMovedAt).toBe(1_000);
    store.applyFrame(frame("rows", [], 101), 6_000, ignore);
    expect(store.logMovedAt).toBe(6_000);
  });
});
