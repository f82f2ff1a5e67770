/** The shapes of alerts and rules on the wire, as the API documents them. Times are UTC epoch milliseconds. */

export const SEVERITIES = ["indeterminate", "warning", "minor", "major", "critical"] as const;

/** Mildest first in `SEVERITIES`. */
export type Severity = (typeof SEVERITIES)[number];

export type Happened = "raised" | "escalated" | "deescalated" | "cleared";

export type Value = number | string | boolean;

/** From raised to cleared, as it was when it last changed. */
export interface Episode {
  alert_id: string;
  rule: string;
  version: number;
  device: string;
  /** Empty where the rule watches the device as a whole. */
  metric: string;
  severity: Severity;
  worst: Severity;
  start: number;
  raised: number;
  cleared: number | null;
  /** Log time of the last change: of two tellings of an episode the one with the larger counts. */
  changed: number;
  why: string;
  /** What decided: a number, a text or a truth value; of a silence how long it had lasted, in ms. */
  value: Value | null;
  level: number | null;
}

export interface Acknowledged {
  at: number;
  by: string;
  comment: string;
}

export interface Alert extends Episode {
  acknowledged: Acknowledged | null;
}

export interface AlertStep {
  happened: Happened;
  severity: Severity;
  why: string;
  event_time: number;
  log_time: number;
  value: Value | null;
  level: number | null;
  version: number;
}

export interface AlertStory extends Alert {
  events: AlertStep[];
}

export interface AlertPage {
  alerts: Alert[];
  next: string | null;
}

export type AlertCounts = Record<Severity, number>;

/** All active episodes of the tenant (`whole`, at most 1,000 of them), or those that changed, also to cleared. */
export interface AlertsFrame {
  type: "alerts";
  sent: number;
  whole: boolean;
  /** Of all that are active, also beyond the first 1,000. */
  counts: AlertCounts;
  alerts: Episode[];
}

/** What crosses a level: a threshold by its value, a rate by its change. */
interface Crossing {
  metric: string;
  above?: number | null;
  below?: number | null;
  clear?: number | null;
  hold_ms?: number;
  escalate?: { severity: Severity; level: number; clear?: number | null }[];
}

/** Fields that have their default are left out. */
export type RuleCondition =
  | ({ kind: "threshold" } & Crossing)
  | ({ kind: "rate"; per_ms?: number; over_ms?: number } & Crossing)
  | {
      kind: "range";
      metric: string;
      low: number;
      high: number;
      when?: "outside" | "inside";
      margin?: number;
      hold_ms?: number;
    }
  | { kind: "equals"; metric: string; values: Value[]; hold_ms?: number }
  | { kind: "silence"; for_ms: number; metric?: string };

export interface Rule {
  rule: string;
  version: number;
  severity: Severity;
  when: RuleCondition;
  text?: string;
  enabled?: boolean;
}

export interface RuleList {
  rules: Rule[];
}
