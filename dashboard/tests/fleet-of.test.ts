import { describe, expect, it } from "vitest";
import { agreed } from "../src/state/agreed";
import { fleetPath, parsePath } from "../src/state/router";
import { apiPath, fleetName, isFleet } from "../src/wire/fleet-names";
import { LiveStore } from "../src/wire/store";
import type { DeviceSummary, LatestValue, Named, RowsFrame } from "../src/wire/types";

const latest = (pane: number, count: number, more: Partial<LatestValue> = {}): LatestValue => ({
  last: 20,
  last_ms: pane + 5_000,
  pane,
  count,
  min: 19,
  max: 21,
  mean: 20,
  received: pane + 5_100,
  ...more,
});

const rows = (...devices: string[]): RowsFrame => {
  const each = <T>(value: T) => devices.map(() => value);
  return {
    type: "rows",
    cursor: "0:1",
    sent: 0,
    log_time: 1,
    columns: {
      device: devices,
      metric: each("m"),
      pane: each(20_000),
      count: each(4),
      min: each(1),
      max: each(3),
      mean: each(2),
      last: each(3),
      last_ms: each(1_000),
      received: each(25_000),
    },
  };
};

describe("the pages of sites and models", () => {
  it("have an address that any name fits into", () => {
    for (const name of ["north", "hall 3/b", "plant.1", "über"]) {
      expect(parsePath(fleetPath("site", name))).toEqual({ page: "fleet-of", by: "site", name });
      expect(parsePath(fleetPath("model", name))).toEqual({ page: "fleet-of", by: "model", name });
    }
    expect(parsePath("/sites/north/")).toEqual({ page: "fleet-of", by: "site", name: "north" });
    expect(parsePath("/devices/north")).toEqual({ page: "device", device: "north" });
    for (const path of ["/sites", "/sites/", "/sites/a/b", "/site/a", "/sites/%E0"])
      expect(parsePath(path)).toEqual({ page: "unknown", path });
  });

  it("ask for series where the API has those of sites, models and devices", () => {
    expect(apiPath(fleetName("site", "hall 3"))).toBe("/v1/sites/hall%203");
    expect(apiPath(fleetName("model", "a/b"))).toBe("/v1/models/a%2Fb");
    expect(apiPath("a/b c")).toBe("/v1/devices/a%2Fb%20c");
    expect(["_site/a", "_model/a", "_site", "_other/a", "site/a"].map(isFleet)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it("have live rows like a device, and are never among devices", () => {
    const store = new LiveStore();
    const before = store.roster;
    store.applyFrame(rows("_site/north", "d"), 0, () => {});
    expect([...store.devices.keys()]).toEqual(["d"]);
    expect([...store.fleets.keys()]).toEqual(["_site/north"]);
    expect(store.roster).toBeGreaterThan(before);
    const site = store.device("_site/north");
    expect(site.get("m").last).toBe(3);
    expect(site.received).toBe(25_000);
    expect(site.skew, "many clocks are not one").toBeNull();
    expect(store.device("d").skew).toBe(24_000);
    store.forget();
    expect([store.devices.size, store.fleets.size]).toEqual([0, 0]);
  });

  it("have the units that the models of their devices agree on", () => {
    const celsius: Named = { unit: "°C", scale: 1, title: "" };
    const device = (metrics: string[], named?: Record<string, Named>) =>
      ({ metrics, named }) as unknown as DeviceSummary;
    const devices = [
      device(["t", "u", "v"], { t: celsius, u: celsius, v: celsius }),
      device(["t", "u", "w"], { t: { ...celsius }, u: { ...celsius, scale: 0.1 } }),
      device(["v"]),
      device(["u"], { u: celsius }),
    ];
    expect(agreed(devices)).toEqual({ t: celsius });
    expect(agreed([])).toEqual({});
  });

  it("take their newest values from the list of all, unless a row that came live knows more", () => {
    const store = new LiveStore();
    store.applyFleets([
      { fleet: "_site/north", metrics: { m: latest(10_000, 2), n: latest(10_000, 1, { last: null }) } },
      { fleet: "_model/pump", metrics: {} },
    ]);
    const north = store.device("_site/north");
    expect([...north.series.keys()]).toEqual(["m", "n"]);
    expect([north.get("m").last, north.get("m").count, north.received]).toEqual([20, 2, 15_100]);
    expect(store.fleets.get("_model/pump")?.series.size).toBe(0);
    store.applyFrame(rows("_site/north"), 0, () => {});
    store.applyFleets([{ fleet: "_site/north", metrics: { m: latest(20_000, 3) } }]);
    expect([north.get("m").last, north.get("m").count]).toEqual([3, 4]);
    expect(store.devices.size).toBe(0);
  });
});
