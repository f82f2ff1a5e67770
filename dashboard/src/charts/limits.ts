import type { Rule, Severity } from "../wire/alert-types";

/** A level of a rule, as a chart draws it: what is on its `side` is an alert of that severity. */
export interface Limit {
  rule: string;
  severity: Severity;
  side: "above" | "below";
  level: number;
  /** Where the alert is cleared; null if at the level itself. */
  clear: number | null;
}

const orNull = (clear: number | null | undefined, level: number) =>
  clear === undefined || clear === null || clear === level ? null : clear;

function limitsOfRule({ rule, severity, when }: Rule): Limit[] {
  if (when.kind === "threshold") {
    const side = when.above !== undefined && when.above !== null ? "above" : "below";
    const first = { severity, level: (when.above ?? when.below) as number, clear: when.clear };
    return [first, ...(when.escalate ?? [])].map((step) => ({
      rule,
      severity: step.severity,
      side,
      level: step.level,
      clear: orNull(step.clear, step.level),
    }));
  }
  if (when.kind !== "range") return [];
  const { low, high, margin = 0 } = when;
  const edge = (level: number, side: Limit["side"]): Limit => {
    const inward = side === "above" ? -margin : margin;
    return { rule, severity, side, level, clear: orNull(level + inward, level) };
  };
  return when.when === "inside"
    ? [edge(low, "above"), edge(high, "below")]
    : [edge(low, "below"), edge(high, "above")];
}

/** The levels that rules in force have for a metric. Rules on change, state and silence have none in its unit. */
export function limitsOf(rules: Rule[], metric: string): Limit[] {
  return rules
    .filter(({ enabled, when }) => enabled !== false && when.metric === metric)
    .flatMap(limitsOfRule);
}

/** How many times taller than its data alone a chart may become so that a level is in it. */
const TALLER = 2.5;
const PAD = 0.08;

/** The range of an axis, widened so far that levels nearby are in it; those far away would flatten the line. */
export function withinReach(low: number, high: number, levels: number[]): [number, number] {
  let [from, to] = [low, high];
  const most = (high - low) * TALLER;
  const distance = (level: number) => Math.max(low - level, level - high, 0);
  for (const level of [...levels].sort((a, b) => distance(a) - distance(b))) {
    const [wideFrom, wideTo] = [Math.min(from, level), Math.max(to, level)];
    const room = (wideTo - wideFrom) * PAD;
    const wide: [number, number] = [
      level < from + room ? level - room : from,
      level > to - room ? level + room : to,
    ];
    if (wide[1] - wide[0] > most) break;
    [from, to] = wide;
  }
  return [from, to];
}

/** True of a level that an axis from `low` to `high` shows. */
export const isShown = (level: number, low: number, high: number): boolean => low <= level && level <= high;
