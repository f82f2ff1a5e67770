import { describe, expect, it } from "vitest";
import { between, layOut } from "../src/state/fleet-layout";
import { type Choice, choose, grouped, tallied, tally } from "../src/state/fleet-list";
import { readFleet } from "../src/state/fleet-query";
import { inOrder } from "../src/state/metrics";
import type { Standing } from "../src/wire/alerts";
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
const standing = (name: string): Standing =>
  name === "zeta"
    ? { n: 1, worst: "major" }
    : name === "sim-9"
      ? { n: 3, worst: "warning" }
      : { n: 0, worst: null };
const names = (query: string) =>
  choose(fleet, readFleet(query), { now: NOW, standing }).map((device) => device.name);

describe("the fleet list", () => {
  it("has this machine first and the rest by number", () => {
    expect(names("")).toEqual(["this-machine", "sim-9", "sim-10", "zeta"]);
  });
  it("finds by every word, in name, kind or metric", () => {
    expect(names("?search=sim+PUMP")).toEqual(["sim-10"]);
    expect(names("?search=temperature")).toEqual(["sim-9"]);
    expect(names("?search=sim+nothing")).toEqual([]);
  });
  it("filters by kind", () => {
    expect(names("?kind=weather")).toEqual(["sim-9"]);
  });
  it("sorts by kind, by newest and by who is quiet", () => {
    expect(names("?sort=kind")).toEqual(["this-machine", "sim-10", "sim-9", "zeta"]);
    expect(names("?sort=updated")).toEqual(["this-machine", "sim-10", "sim-9", "zeta"]);
    expect(names("?sort=quiet")).toEqual(["this-machine", "sim-9", "zeta", "sim-10"]);
  });
  it("sorts by the worst alert, then by how many", () => {
    expect(names("?sort=alerts")).toEqual(["this-machine", "zeta", "sim-9", "sim-10"]);
  });
  it("counts kinds and freshness", () => {
    expect(tallied(fleet, "kind")).toEqual([
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

describe("the fleet by what the registry says", () => {
  const place = (name: string, site: string | null, model: string | null, ...tags: string[]) =>
    Object.assign(device(name, null, NOW), { site, model, tags });
  const placed = [
    place("a", "north", "boiler-2", "roof"),
    place("b", "south", "boiler-2", "cellar", "roof"),
    place("c", null, null),
  ];
  const chosen = (query: string) =>
    choose(placed, readFleet(query), { now: NOW, standing }).map((one) => one.name);

  it("filters by site, model and tag, all of which have to match, and finds them by words", () => {
    expect(chosen("?site=north")).toEqual(["a"]);
    expect(chosen("?model=boiler-2&tag=cellar")).toEqual(["b"]);
    expect(chosen("?site=north&tag=cellar")).toEqual([]);
    expect(chosen("?search=roof")).toEqual(["a", "b"]);
  });
  it("groups by name, with those without one at the end, and under every tag", () => {
    const of = (facet: "site" | "tag") =>
      grouped(placed, facet).map((group) => [group.name, group.devices.map((one) => one.name).join()]);
    expect(of("site")).toEqual([
      ["north", "a"],
      ["south", "b"],
      ["", "c"],
    ]);
    expect(of("tag")).toEqual([
      ["cellar", "b"],
      ["roof", "a,b"],
      ["", "c"],
    ]);
    expect(tallied(placed, "tag")).toEqual([
      ["cellar", 1],
      ["roof", 2],
    ]);
  });
  it("lays groups out below each other and finds what is on the screen", () => {
    const layout = layOut(grouped(placed, "tag"), 60, 40);
    expect(layout.lines.map(({ kind, top }) => `${kind} ${top}`)).toEqual([
      "head 0",
      "device 40",
      "head 100",
      "device 140",
      "device 200",
      "head 260",
      "device 300",
    ]);
    expect([layout.height, layout.devices]).toEqual([360, 4]);
    expect(between(layout, 0, 360)).toEqual([0, 7]);
    expect(between(layout, 100, 200)).toEqual([2, 4]);
    expect(between(layout, 101, 201)).toEqual([2, 5]);
    expect(between(layout, 1_000, 2_000)).toEqual([7, 7]);
  });
  it("reads an address, and what makes no sense there counts as not said", () => {
    const choice: Choice = readFleet("?search=a+b&site=north&sort=quiet&group=tag&kind=&tenant=x");
    expect(choice).toEqual({
      search: "a b",
      site: "north",
      model: null,
      tag: null,
      kind: null,
      sort: "quiet",
      group: "tag",
    });
    expect(readFleet("?sort=nonsense&group=moon")).toMatchObject({ sort: "name", group: null });
  });
});
