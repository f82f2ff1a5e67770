import { describe, expect, it } from "vitest";
import { choose, kinds, tally } from "../src/state/fleet-list";
import { inOrder } from "../src/state/metrics";
import { LiveDevice } from "../src/wire/store";

const device = (name: string, kind: string | null, received: number, ...metrics: string[]) => {
  const made = new LiveDevice(name);
  made.kind = kind;
  made.received = received;
  for (const metric of metrics) made.get(metric);
  return made;
};
const NOW = 1_000_000;
const fleet = [
  device("sim-10", "pump", NOW, "flow_l_per_min"),
  device("sim-9", "weather", NOW - 30_000, "temperature_celsius"),
  device("zeta", null, 0),
  device("this-machine", "agent", NOW - 500_000, "cpu_percent"),
];
const names = (search: string, kind: string | null, sort: "name" | "kind" | "updated" | "quiet") =>
  choose(fleet, { search, kind, sort }, NOW).map((d) => d.name);

describe("the fleet list", () => {
  it("has this machine first and the rest by number", () => {
    expect(names("", null, "name")).toEqual(["this-machine", "sim-9", "sim-10", "zeta"]);
  });
  it("finds by every word, in name, kind or metric", () => {
    expect(names("sim PUMP", null, "name")).toEqual(["sim-10"]);
    expect(names("temperature", null, "name")).toEqual(["sim-9"]);
    expect(names("sim nothing", null, "name")).toEqual([]);
  });
  it("filters by kind", () => {
    expect(names("", "weather", "name")).toEqual(["sim-9"]);
  });
  it("sorts by kind, by newest and by who is quiet", () => {
    expect(names("", null, "kind")).toEqual(["this-machine", "sim-10", "sim-9", "zeta"]);
    expect(names("", null, "updated")).toEqual(["this-machine", "sim-10", "sim-9", "zeta"]);
    expect(names("", null, "quiet")).toEqual(["this-machine", "sim-9", "zeta", "sim-10"]);
  });
  it("counts kinds and freshness", () => {
    expect(kinds(fleet)).toEqual([
      ["agent", 1],
      ["pump", 1],
      ["weather", 1],
    ]);
    expect(tally(fleet, NOW)).toEqual({ live: 1, quiet: 1, silent: 1, never: 1 });
  });
  it("shows one metric of each sort before a second, and the whole before its parts", () => {
    expect(
      inOrder([
        "cpu_core_0_percent",
        "cpu_percent",
        "load_1m",
        "memory_percent",
        "swap_percent",
        "memory_used_bytes",
      ]),
    ).toEqual([
      "cpu_percent",
      "memory_percent",
      "load_1m",
      "cpu_core_0_percent",
      "memory_used_bytes",
      "swap_percent",
    ]);
  });
});
