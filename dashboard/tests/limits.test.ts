import { describe, expect, it } from "vitest";
import { isShown, limitsOf, withinReach } from "../src/charts/limits";
import type { Rule, RuleCondition } from "../src/wire/alert-types";

const rule = (when: RuleCondition, more: Partial<Rule> = {}): Rule => ({
  rule: "r",
  version: 1,
  severity: "warning",
  when,
  ...more,
});
const said = (rules: Rule[], metric = "m") =>
  limitsOf(rules, metric).map(({ severity, side, level, clear }) => [severity, side, level, clear]);

describe("the levels of rules", () => {
  it("has a threshold with the level where it clears, and every further step", () => {
    const steps = rule({
      kind: "threshold",
      metric: "m",
      above: 80,
      clear: 75,
      escalate: [
        { severity: "major", level: 90, clear: 85 },
        { severity: "critical", level: 95 },
      ],
    });
    expect(said([steps])).toEqual([
      ["warning", "above", 80, 75],
      ["major", "above", 90, 85],
      ["critical", "above", 95, null],
    ]);
  });

  it("has a level of zero, and one that falls", () => {
    expect(said([rule({ kind: "threshold", metric: "m", below: 0 })])).toEqual([
      ["warning", "below", 0, null],
    ]);
    expect(said([rule({ kind: "threshold", metric: "m", above: 0, below: null })])).toEqual([
      ["warning", "above", 0, null],
    ]);
  });

  it("has both edges of a range, with the margin to the quiet side", () => {
    const range = { kind: "range", metric: "m", low: 1, high: 3, margin: 0.5 } as const;
    expect(said([rule(range)])).toEqual([
      ["warning", "below", 1, 1.5],
      ["warning", "above", 3, 2.5],
    ]);
    expect(said([rule({ ...range, when: "inside" })])).toEqual([
      ["warning", "above", 1, 0.5],
      ["warning", "below", 3, 3.5],
    ]);
  });

  it("has nothing of other metrics, of rules that are off, and of what is no level of the metric", () => {
    const level = { kind: "threshold", metric: "m", above: 1 } as const;
    expect(said([rule({ ...level, metric: "n" })])).toEqual([]);
    expect(said([rule(level, { enabled: false })])).toEqual([]);
    expect(
      said([
        rule({ kind: "rate", metric: "m", above: 1 }),
        rule({ kind: "equals", metric: "m", values: [1] }),
        rule({ kind: "silence", metric: "m", for_ms: 1_000 }),
      ]),
    ).toEqual([]);
  });
});

describe("the axis of a chart with levels", () => {
  it("stays as it is for levels inside", () => {
    expect(withinReach(0, 100, [50])).toEqual([0, 100]);
  });

  it("widens for a level nearby, with room beyond it", () => {
    const [low, high] = withinReach(20, 60, [80]);
    expect(low).toBe(20);
    expect(high).toBeGreaterThan(80);
    expect(high).toBeLessThan(90);
  });

  it("does not widen for one far away, also when a nearer one is taken", () => {
    expect(withinReach(20, 30, [95])).toEqual([20, 30]);
    const [low, high] = withinReach(20, 30, [95, 33]);
    expect(low).toBe(20);
    expect(isShown(33, low, high)).toBe(true);
    expect(isShown(95, low, high)).toBe(false);
  });

  it("never makes the data smaller than two fifths of the height", () => {
    for (const level of [-1_000, -60, -10, 35, 54, 56, 5_000]) {
      const [low, high] = withinReach(20, 30, [level, 40, 10]);
      expect(high - low).toBeLessThanOrEqual(25);
    }
  });
});
