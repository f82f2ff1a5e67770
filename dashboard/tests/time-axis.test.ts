import { describe, expect, it } from "vitest";
import { timeLabels, timeSplits } from "../src/charts/time-axis";

const at = (hours: number, minutes = 0, date = 24) => new Date(2026, 10, date, hours, minutes).getTime();

describe("the time axis", () => {
  it("labels round minutes of a short range", () => {
    const splits = timeSplits(at(11, 52) + 7_123.4, at(11, 57) + 7_123.4, 9);
    expect(timeLabels(splits, 300_000)).toEqual(["11:53", "11:54", "11:55", "11:56", "11:57"]);
  });

  it("takes wider steps where there is less room", () => {
    const splits = timeSplits(at(10, 58), at(11, 58), 4);
    expect(timeLabels(splits, 3_600_000)).toEqual(["11:00", "11:15", "11:30", "11:45"]);
  });

  it("says the day where one begins", () => {
    const splits = timeSplits(at(14), at(14, 0, 25), 4);
    expect(timeLabels(splits, 24 * 3_600_000)).toEqual(["18:00", "25 Nov", "06:00", "12:00"]);
  });

  it("labels days of a long range", () => {
    const splits = timeSplits(at(14, 0, 17), at(14), 8);
    expect(timeLabels(splits, 7 * 86_400_000)[0]).toBe("18 Nov");
    expect(splits).toHaveLength(7);
  });
});
