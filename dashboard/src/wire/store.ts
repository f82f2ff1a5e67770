import { Columns } from "./columns";
import { isFleet } from "./fleet-names";
import type {
  Connection,
  DeviceSummary,
  FleetLatest,
  LatestValue,
  Named,
  RowColumns,
  RowsFrame,
  SeriesColumns,
} from "./types";

/** A fleet row shows the last two minutes; an open device keeps more. One sample a second is enough for the eye. */
const TRACE_SAMPLES = 128;
const TRACE_OPEN = 512;
const PANES_OPEN = 512;
const SAMPLE_MS = 900;
const SKEWS = 32;

/** A typed array would make zero of null. */
const number = (value: number | null | undefined): number => value ?? Number.NaN;

/** Columns of `Series.panes`. */
export const PANE = { t: 0, count: 1, mean: 2, min: 3, max: 4, last: 5 } as const;

/**
 * One metric of one device as it lives on this screen: its newest row, a trace of last values as they came, and,
 * once somebody looks at the device, its 10 s panes. Nothing here is React state.
 */
export class Series {
  pane = Number.NEGATIVE_INFINITY;
  count = 0;
  mean = Number.NaN;
  min = Number.NaN;
  max = Number.NaN;
  last = Number.NaN;
  lastMs = 0;
  received = 0;
  version = 0;
  readonly trace = new Columns(2, TRACE_SAMPLES);
  panes: Columns | null = null;
  /** Set once the trace before the first live row has been asked for. */
  seeded = false;

  constructor(
    readonly device: string,
    readonly metric: string,
  ) {}

  open(): Columns {
    this.trace.grow(TRACE_OPEN);
    this.panes ??= new Columns(6, PANES_OPEN);
    return this.panes;
  }

  apply(row: LatestValue): void {
    const [mean, min, max, last] = [number(row.mean), number(row.min), number(row.max), number(row.last)];
    this.panes?.upsert([row.pane, row.count, mean, min, max, last]);
    this.version += 1;
    if (row.received && row.received > this.received) this.received = row.received;
    // An older pane was amended: charts redraw, the latest value stays what it is.
    if (row.pane < this.pane) return;
    this.pane = row.pane;
    this.count = row.count;
    this.mean = mean;
    this.min = min;
    this.max = max;
    this.last = last;
    this.lastMs = row.last_ms;
    if (Number.isFinite(last)) this.sample(row.last_ms, last);
  }

  /** Rows of the past, from the store: they fill in, and never replace a row that knows more readings. */
  fill(columns: SeriesColumns): void {
    const panes = this.open();
    columns.t.forEach((t, i) => {
      const index = panes.search(t);
      const known = panes.at(PANE.t, index) === t ? panes.at(PANE.count, index) : -1;
      const count = columns.count[i] as number;
      if (count <= known) return;
      const [mean, min] = [number(columns.mean[i]), number(columns.min[i])];
      panes.upsert([t, count, mean, min, number(columns.max[i]), number(columns.last[i])]);
    });
    this.version += 1;
  }

  /** Puts means of past panes before the first live sample, so that a sparkline does not start from nothing. */
  seed({ t, mean }: SeriesColumns): void {
    const first = this.trace.length ? this.trace.at(0, 0) : Number.POSITIVE_INFINITY;
    t.forEach((pane, i) => {
      const middle = pane + 5_000;
      if (middle < first && mean[i] !== null) this.trace.upsert([middle, mean[i] as number]);
    });
    this.version += 1;
  }

  private sample(t: number, value: number): void {
    const trace = this.trace;
    const before = trace.length > 1 ? trace.at(0, trace.length - 2) : Number.NEGATIVE_INFINITY;
    if (t < trace.newest) return;
    if (t === trace.newest || t - before < SAMPLE_MS) {
      if (trace.length) trace.replaceNewest([t, value]);
      else trace.upsert([t, value]);
      return;
    }
    trace.upsert([t, value]);
  }
}

/** One device: what the registry says, what its rows say, and how its clock stands to the door's. */
export class LiveDevice {
  kind: string | null = null;
  created: string | number | null = null;
  connection: Connection | null = null;
  site: string | null = null;
  model: string | null = null;
  tags: string[] = [];
  /** What its model says of its metrics; another object only when it says something else. */
  named: Record<string, Named> = {};
  received = 0;
  lastMs = 0;
  readonly series = new Map<string, Series>();
  private skews: number[] = [];

  constructor(readonly name: string) {}

  get(metric: string): Series {
    let series = this.series.get(metric);
    if (!series) {
      series = new Series(this.name, metric);
      this.series.set(metric, series);
    }
    return series;
  }

  addSkew(ms: number): void {
    this.skews.push(ms);
    if (this.skews.length > SKEWS) this.skews.shift();
  }

  /** Median of receipt minus the device's own stamp, in ms: its clock's skew, with the way to the door in it. */
  get skew(): number | null {
    if (!this.skews.length) return null;
    const sorted = [...this.skews].sort((a, b) => a - b);
    return sorted[sorted.length >> 1] as number;
  }
}

/** Everything that the live connection has said, for the charts to read and never to copy. */
export class LiveStore {
  readonly devices = new Map<string, LiveDevice>();
  /** Sites and models by the names of their rows: like devices, and never among them. */
  readonly fleets = new Map<string, LiveDevice>();
  /** Rises when a device or a metric is new: the only change that React needs to hear of. */
  roster = 0;
  logTime = 0;
  /** Server time at which rows, and log time, last moved. */
  rowsAt = 0;
  logMovedAt = 0;
  private readonly listeners = new Set<() => void>();

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  device(name: string): LiveDevice {
    const all = isFleet(name) ? this.fleets : this.devices;
    let device = all.get(name);
    if (!device) {
      device = new LiveDevice(name);
      all.set(name, device);
      this.rosterChanged();
    }
    return device;
  }

  /** Devices as the registry and the latest values tell, before or beside the live rows. */
  applySummaries(summaries: DeviceSummary[]): void {
    for (const summary of summaries) {
      const device = this.device(summary.device);
      device.kind = summary.kind;
      device.site = summary.site ?? null;
      device.model = summary.model ?? null;
      device.tags = summary.tags ?? [];
      const named = summary.named ?? {};
      if (JSON.stringify(named) !== JSON.stringify(device.named)) device.named = named;
      device.created = summary.created ?? device.created;
      device.connection = summary.connection ?? null;
      device.received = Math.max(device.received, summary.received ?? 0);
      device.lastMs = Math.max(device.lastMs, summary.last_ms ?? 0);
      for (const metric of summary.metrics) this.applyLatest(device.get(metric), summary.latest?.[metric]);
    }
    this.rosterChanged();
  }

  /** The newest values of sites and models. */
  applyFleets(fleets: FleetLatest[]): void {
    for (const { fleet, metrics } of fleets) {
      const rows = this.device(fleet);
      for (const [metric, row] of Object.entries(metrics)) {
        this.applyLatest(rows.get(metric), row);
        rows.received = Math.max(rows.received, row.received ?? 0);
      }
    }
    this.rosterChanged();
  }

  private applyLatest(series: Series, row: LatestValue | undefined): void {
    if (row && row.pane >= series.pane && row.count > (row.pane === series.pane ? series.count : 0))
      series.apply({ ...row, received: row.received ?? 0 });
  }

  /** Applies a frame. `fresh` gets the receipt time of every row that brought a new reading. */
  applyFrame(frame: RowsFrame, now: number, fresh: (received: number) => void): void {
    if (frame.columns.device.length) this.rowsAt = now;
    this.logTimeIs(frame.log_time, now);
    const known = this.roster;
    this.applyRows(frame.columns, frame.type === "rows" ? fresh : () => {});
    if (this.roster !== known) this.rosterChanged();
  }

  logTimeIs(logTime: number | null, now: number): void {
    if (logTime === null || logTime <= this.logTime) return;
    this.logTime = logTime;
    this.logMovedAt = now;
  }

  forget(): void {
    this.devices.clear();
    this.fleets.clear();
    this.rowsAt = 0;
    this.logTime = 0;
    this.logMovedAt = 0;
    this.rosterChanged();
  }

  private applyRows(c: RowColumns, fresh: (received: number) => void): void {
    for (let i = 0; i < c.device.length; i += 1) {
      const device = this.device(c.device[i] as string);
      const metric = c.metric[i] as string;
      if (!device.series.has(metric)) this.roster += 1;
      const series = device.get(metric);
      const received = c.received[i] as number;
      const lastMs = c.last_ms[i] as number;
      if (received > series.received) {
        fresh(received);
        // Of many clocks no skew is told.
        if (received > device.received && !isFleet(device.name)) device.addSkew(received - lastMs);
      }
      series.apply({
        last: c.last[i] ?? null,
        last_ms: lastMs,
        pane: c.pane[i] as number,
        count: c.count[i] as number,
        min: c.min[i] ?? null,
        max: c.max[i] ?? null,
        mean: c.mean[i] ?? null,
        received,
      });
      if (received > device.received) device.received = received;
      if (lastMs > device.lastMs) device.lastMs = lastMs;
    }
  }

  private rosterChanged(): void {
    this.roster += 1;
    for (const listener of this.listeners) listener();
  }
}
