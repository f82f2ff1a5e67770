import type { AlertStep, Episode, Happened, Rule, Severity, Value } from "../wire/alert-types";
import { reasonOf } from "./events";
import { span } from "./time";
import { formatText, type Metric } from "./units";

export const SEVERITY: Record<Severity, string> = {
  critical: "Critical",
  major: "Major",
  minor: "Minor",
  warning: "Warning",
  indeterminate: "Indeterminate",
};

export const HAPPENED: Record<Happened, string> = {
  raised: "Raised",
  escalated: "Escalated",
  deescalated: "Deescalated",
  cleared: "Cleared",
};

const WHY: Record<string, string> = {
  expired: "the time of a match is over",
  "rule-changed": "the rule was changed",
  "rule-disabled": "the rule was disabled",
  "rule-deleted": "the rule was deleted",
  "out-of-scope": "the rule means this device no more",
};

/** What decided, and what it was compared with. */
interface Decided {
  rule: string;
  why: string;
  value: Value | null;
  level: number | null;
}

type Compared = Decided & { value: number; level: number };

const isCompared = (decided: Decided): decided is Compared =>
  typeof decided.value === "number" && decided.level !== null;

const PER: Record<number, string> = { 1000: "s", 60000: "min", 3600000: "h" };

/** "97.2 %, above 95.0 %": a number and the level that it is beyond, or back at. */
function comparison(
  { value, level }: Compared,
  metric: Metric,
  rule: Rule | undefined,
  over: boolean,
): string {
  const when = rule?.when;
  const rate = when?.kind === "rate" ? ` per ${PER[when.per_ms ?? 1_000] ?? span(when.per_ms ?? 1_000)}` : "";
  const says = (number: number) => formatText(metric, number) + rate;
  const side = value > level ? "above" : value < level ? "below" : "at";
  return `${rate && "changes by "}${says(value)}, ${over || isBack(value, level, rule) ? "back " : ""}${side} ${says(level)}`;
}

/** A number on the quiet side of its level has come back to it; without the rule nobody can tell which side that is. */
function isBack(value: number, level: number, rule: Rule | undefined): boolean {
  const when = rule?.when;
  if (when?.kind !== "threshold" && when?.kind !== "rate") return false;
  const rising = when.above !== undefined && when.above !== null;
  return rising ? value <= level : value >= level;
}

const quoted = (value: Value) => (typeof value === "string" ? `“${value}”` : String(value));

/** What an analyst's query found is an alert too; its rule is the pattern's name with this before it. */
const PATTERN = "pattern:";

function found({ value }: Decided, metric: Metric): string {
  return typeof value === "number" ? `pattern found, at ${formatText(metric, value)}` : "pattern found";
}

function decision(decided: Decided, metric: Metric, rule: Rule | undefined, over: boolean): string {
  const changed = WHY[decided.why];
  if (changed) return changed;
  if (decided.rule.startsWith(PATTERN)) return found(decided, metric);
  if (isCompared(decided)) return comparison(decided, metric, rule, over);
  if (decided.value !== null) {
    const { value } = decided;
    const text = typeof value === "number" ? formatText(metric, value) : quoted(value);
    return `${over ? "is now" : "is"} ${text}`;
  }
  return over ? "heard again" : reasonOf(decided.why);
}

/** What is, or was, the matter: "97.2 %, above 95.0 %", "nothing heard for 32 s". */
export function whatOf(episode: Episode, metric: Metric, rule: Rule | undefined, now: number): string {
  const { cleared, start } = episode;
  const silence = episode.why === "silence" || (rule?.when.kind === "silence" && !WHY[episode.why]);
  if (silence) return `nothing heard for ${span((cleared ?? now) - start)}`;
  return decision(episode, metric, rule, cleared !== null);
}

/** What decided at one step of an alert's story. */
export function stepOf(alert: Episode, step: AlertStep, metric: Metric, rule: Rule | undefined): string {
  if (step.why === "silence" && typeof step.value === "number")
    return `nothing heard for ${span(step.value)}`;
  return decision({ ...alert, ...step }, metric, rule, step.happened === "cleared");
}

const ORDER: Severity[] = ["critical", "major", "minor", "warning", "indeterminate"];

/** "1 critical, 2 warning". */
export function countsOf(counts: Record<Severity, number>): string {
  return ORDER.filter((severity) => counts[severity])
    .map((severity) => `${counts[severity]} ${severity}`)
    .join(", ");
}

/** "2 active alerts, the worst critical". */
export function standingSaid(n: number, worst: Severity): string {
  return n === 1 ? `1 active alert: ${worst}` : `${n} active alerts, the worst ${worst}`;
}
