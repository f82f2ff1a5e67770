import { describe, expect, it } from "vitest";
import { countsOf, stepOf, whatOf } from "../src/format/alerts";
import { span } from "../src/format/time";
import { describe as metricOf } from "../src/format/units";
import type { AlertStep, Episode, Rule, RuleCondition } from "../src/wire/alert-types";

const told = (more: Partial<Episode>): Episode => ({
  alert_id: "a",
  rule: "r",
  version: 1,
  device: "d",
  metric: "cpu_percent",
  severity: "warning",
  worst: "warning",
  start: 1_000_000,
  raised: 1_000_000,
  cleared: null,
  changed: 1_000_000,
  why: "reading",
  value: 97.2,
  level: 95,
  ...more,
});
const rule = (when: RuleCondition): Rule => ({ rule: "r", version: 1, severity: "warning", when });
const hot = rule({ kind: "threshold", metric: "cpu_percent", above: 95, clear: 80 });
const NOW = 1_032_000;
const what = (more: Partial<Episode>, by?: Rule) => whatOf(told(more), metricOf(told(more).metric), by, NOW);

describe("what is the matter, in words", () => {
  it("says numbers in the unit of the device's model", () => {
    const hall = metricOf("t", { unit: "°F", scale: 1.8, title: "Hall" });
    expect(whatOf(told({ metric: "t", value: 40, level: 30 }), hall, undefined, NOW)).toBe(
      "72.0 °F, above 54.0 °F",
    );
  });

  it("says a number and the level that it is beyond", () => {
    expect(what({})).toBe("97.2 %, above 95.0 %");
    expect(what({ value: 0.5, level: 1, metric: "pressure_bar" })).toBe("0.500 bar, below 1.00 bar");
  });

  it("says that it is back once it is cleared, or milder again", () => {
    expect(what({ value: 79.8, level: 80, cleared: 1_030_000 }, hot)).toBe("79.8 %, back below 80.0 %");
    expect(what({ value: 80, level: 80, cleared: 1_030_000 }, hot)).toBe("80.0 %, back at 80.0 %");
    expect(what({ value: 88, level: 90, severity: "warning", worst: "major" }, hot)).toBe(
      "88.0 %, back below 90.0 %",
    );
  });

  it("says for how long nothing was heard, while it lasts and when it is over", () => {
    const silence = rule({ kind: "silence", for_ms: 30_000 });
    const quiet = { metric: "", value: 30_000, level: null, why: "silence" };
    expect(what(quiet, silence)).toBe("nothing heard for 32 s");
    expect(what({ ...quiet, value: null, why: "reading", cleared: 1_300_000 }, silence)).toBe(
      "nothing heard for 5 min",
    );
  });

  it("says a change by its time", () => {
    const fast = rule({ kind: "rate", metric: "temperature_c", above: 2, per_ms: 60_000 });
    expect(what({ metric: "temperature_c", value: 3.25, level: 2 }, fast)).toBe(
      "changes by 3.3 °C per min, above 2.0 °C per min",
    );
  });

  it("says a state", () => {
    expect(what({ metric: "door", value: "open", level: null })).toBe("is “open”");
    expect(what({ metric: "door", value: false, level: null, cleared: 1_010_000 })).toBe("is now false");
  });

  it("says that a pattern was found", () => {
    const rise = { rule: "pattern:rise-then-stall", metric: "temperature_c", value: 81, level: 80.9 };
    expect(what(rise)).toBe("pattern found, at 81.0 °C");
    expect(what({ ...rise, value: null, level: null, why: "expired", cleared: 1 })).toBe(
      "the time of a match is over",
    );
  });

  it("says that it was the rule that changed, and not the device", () => {
    const gone = { value: null, level: null, cleared: 1_010_000 };
    expect(what({ ...gone, why: "rule-deleted" })).toBe("the rule was deleted");
    expect(what({ ...gone, why: "out-of-scope" }, hot)).toBe("the rule means this device no more");
    expect(what({ ...gone, why: "expired" })).toBe("the time of a match is over");
  });
});

describe("the story of an alert", () => {
  const step = (more: Partial<AlertStep>): AlertStep => ({
    happened: "raised",
    severity: "warning",
    why: "reading",
    event_time: 0,
    log_time: 0,
    value: 96,
    level: 95,
    version: 1,
    ...more,
  });

  const cpu = metricOf("cpu_percent");

  it("says of each step what decided", () => {
    expect(stepOf(told({}), step({}), cpu, hot)).toBe("96.0 %, above 95.0 %");
    expect(stepOf(told({}), step({ happened: "cleared", value: 70, level: 80 }), cpu, hot)).toBe(
      "70.0 %, back below 80.0 %",
    );
    expect(
      stepOf(
        told({ metric: "" }),
        step({ why: "silence", value: 31_000, level: null }),
        metricOf(""),
        undefined,
      ),
    ).toBe("nothing heard for 31 s");
    expect(
      stepOf(
        told({ metric: "" }),
        step({ happened: "cleared", value: null, level: null }),
        metricOf(""),
        undefined,
      ),
    ).toBe("heard again");
  });
});

it("says how many there are, the worst first", () => {
  expect(countsOf({ critical: 1, major: 0, minor: 0, warning: 2, indeterminate: 0 })).toBe(
    "1 critical, 2 warning",
  );
});

it("says how long something lasts", () => {
  expect([32_000, 240_000, 12_000_000, 7_200_000, 500_000_000].map(span)).toEqual([
    "32 s",
    "4 min",
    "3 h 20 min",
    "2 h",
    "5 d",
  ]);
});
