/** The shapes that cross the wire, as the API documents them. Times are UTC epoch milliseconds. */
import type { AlertsFrame } from "./alert-types";

/** The API sends null where a value is no finite number. */
type Finite = number | null;

export interface LatestValue {
  last: Finite;
  last_ms: number;
  pane: number;
  count: number;
  min: Finite;
  max: Finite;
  mean: Finite;
  as_of?: number;
  received?: number;
}

/** Whether a device is connected over MQTT: since when, and if not, why (MQTT's own names). */
export interface Connection {
  connected: boolean;
  since: number | null;
  reason: string;
  address: string;
}

export interface DeviceEvent {
  id: string;
  at: number;
  kind: string;
  reason: string;
  client: string;
  address: string;
  protocol: string;
  session_present: boolean;
  detail: string;
}

export interface DeviceEventPage {
  events: DeviceEvent[];
  next: string | null;
}

/** What a model says of a metric; a value as it was sent, times `scale`, is in `unit`. Empty where it says nothing. */
export interface Named {
  unit: string;
  scale: number;
  title: string;
}

export interface DeviceSummary {
  tenant: string;
  device: string;
  kind: string | null;
  metrics: string[];
  /** Those of its metrics that its model names. */
  named?: Record<string, Named>;
  last_ms: number | null;
  received: number | null;
  latest: Record<string, LatestValue>;
  created?: string | number | null;
  site?: string | null;
  model?: string | null;
  tags?: string[];
  /** Null for a device that never connected over MQTT. */
  connection?: Connection | null;
}

export interface DevicePage {
  devices: DeviceSummary[];
  next: string | null;
}

/** The newest values of one fleet, by the name of its rows. */
export interface FleetLatest {
  fleet: string;
  metrics: Record<string, LatestValue>;
}

export interface FleetList {
  fleets: FleetLatest[];
}

/** What the registry says of a site (zone and place) or a model (metrics). */
export interface RegisteredFleet {
  title: string;
  metrics?: Record<string, Named>;
  zone?: string;
  place?: string;
}

export type Level = "10s" | "1m" | "1h" | "1d";

export type SeriesColumns = Record<"t" | "count", number[]> &
  Record<"min" | "max" | "mean" | "last", Finite[]>;

export interface Series {
  tenant: string;
  device: string;
  metric: string;
  level: Level;
  from: number;
  to: number;
  final_before: number | null;
  columns: SeriesColumns;
}

/** Rows of `processed-data` as columns: the newest state of each (device, metric, pane) that changed. */
export interface RowColumns {
  device: string[];
  metric: string[];
  pane: number[];
  count: number[];
  min: Finite[];
  max: Finite[];
  mean: Finite[];
  last: Finite[];
  last_ms: number[];
  received: number[];
}

export interface RowsFrame {
  type: "rows" | "snapshot";
  cursor: string;
  sent: number;
  log_time: number | null;
  resumed?: boolean;
  columns: RowColumns;
}

export interface StatusFrame {
  type: "status";
  sent: number;
  /** False while the API still catches up with the log after its start. */
  ready?: boolean;
  readings_per_s: number;
  delay_ms: { p50: number | null; p99: number | null };
  lag: Record<string, number | null>;
  dead_letters: Record<string, number>;
  /** Rows that differed from the raw readings at the audit, by cause; null while not known. */
  repairs?: Record<string, number> | null;
  /** Start of the newest minute that was audited. */
  audited?: number | null;
  /** What the newest `headwater audit` found; null if there was none. */
  balance?: {
    state: "balanced" | "gap" | "waiting";
    finished: number;
    gaps: number;
    readings: number;
  } | null;
  /** What analysts have deployed; null while not known. */
  queries?:
    | { kind: "metric" | "pattern"; name: string; state: "starting" | "running" | "failed"; why: string }[]
    | null;
  /** The jobs of the stack as their keeper sees them; null while not known. */
  jobs?: { name: string; state: "starting" | "running" | "failing" | "stopped"; why: string }[] | null;
  /** Room on the server's disk; while it is low, devices are refused. */
  disk?: { free_mb: number; mark_mb: number; low: boolean };
  devices: number;
  log_time: number | null;
  /** Where devices connect, as the server itself reaches it. */
  mqtt?: string;
}

export interface RefusedFrame {
  type: "refused";
  reason: string;
  detail?: string;
}

export interface PongFrame {
  type: "pong";
  t: number;
  now: number;
}

export type Frame = RowsFrame | StatusFrame | AlertsFrame | RefusedFrame | PongFrame;

export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  field?: string;
}
