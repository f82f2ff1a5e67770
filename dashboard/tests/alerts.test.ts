import { describe, expect, it } from "vitest";
import {
  ACTIVE,
  type AlertFilter,
  askedOf,
  isOf,
  merged,
  readFilter,
  writeFilter,
} from "../src/state/alert-filter";
import { queryWith, withTenant } from "../src/state/router";
import type { Alert, AlertCounts, AlertsFrame, Episode } from "../src/wire/alert-types";
import { AlertBook, standingOf, worstOf } from "../src/wire/alerts";
import { LiveDevice } from "../src/wire/store";

const episode = (alert_id: string, more: Partial<Episode> = {}): Episode => ({
  alert_id,
  rule: "hot",
  version: 1,
  device: "d",
  metric: "temperature_c",
  severity: "warning",
  worst: "warning",
  start: 1_000,
  raised: 1_000,
  cleared: null,
  changed: 1_000,
  why: "reading",
  value: 81,
  level: 80,
  ...more,
});
const alert = (alert_id: string, more: Partial<Alert> = {}): Alert => ({
  ...episode(alert_id, more),
  acknowledged: null,
  ...more,
});
const counts = (more: Partial<AlertCounts> = {}): AlertCounts => ({
  critical: 0,
  major: 0,
  minor: 0,
  warning: 0,
  indeterminate: 0,
  ...more,
});
const frame = (whole: boolean, alerts: Episode[], of: AlertCounts = counts()): AlertsFrame => ({
  type: "alerts",
  sent: 0,
  whole,
  counts: of,
  alerts,
});
const ids = (alerts: Iterable<Episode>) => [...alerts].map((one) => one.alert_id);

describe("the book of alerts", () => {
  it("takes over what changed, and of two tellings of an episode the later one", () => {
    const book = new AlertBook();
    book.apply(frame(true, [episode("a")]));
    book.apply(frame(false, [episode("a", { severity: "critical", changed: 3_000 })]));
    book.apply(frame(false, [episode("a", { severity: "major", changed: 2_000 })]));
    expect(book.get("a")).toMatchObject({ severity: "critical", changed: 3_000 });
  });

  it("forgets what was active when the whole comes again without it", () => {
    const book = new AlertBook();
    book.apply(frame(true, [episode("a"), episode("b")]));
    book.apply(frame(true, [episode("b")]));
    expect(ids(book.all())).toEqual(["b"]);
    expect(book.of("d")).toEqual({ n: 1, worst: "warning" });
  });

  it("does not let a whole that is older raise again what is known to be cleared", () => {
    const book = new AlertBook();
    book.apply(frame(true, [episode("a")]));
    book.apply(frame(false, [episode("a", { cleared: 5_000, changed: 5_000 })]));
    book.apply(frame(true, [episode("a")]));
    expect(book.get("a")?.cleared).toBe(5_000);
    expect(book.of("d")).toEqual({ n: 0, worst: null });
  });

  it("knows how each device and metric stands, of active alerts alone", () => {
    const book = new AlertBook();
    book.apply(
      frame(true, [
        episode("a", { severity: "minor" }),
        episode("b", { severity: "critical" }),
        episode("c", { device: "e", metric: "" }),
        episode("x", { severity: "critical", device: "e", cleared: 2_000 }),
      ]),
    );
    expect(book.of("d")).toEqual({ n: 2, worst: "critical" });
    expect(book.of("e")).toEqual({ n: 1, worst: "warning" });
    expect(book.of("f")).toEqual({ n: 0, worst: null });
    expect([...book.worstByMetric("d")].map(([metric, { alert_id }]) => [metric, alert_id])).toEqual([
      ["temperature_c", "b"],
    ]);
    expect(worstOf(["d", "e", "f"].map((name) => book.of(name)))).toEqual({ n: 3, worst: "critical" });
  });

  it("tells everybody of each frame", () => {
    const book = new AlertBook();
    let told = 0;
    book.subscribe(() => {
      told += 1;
    });
    book.apply(frame(true, []));
    book.apply(frame(false, [episode("a")]));
    expect([told, book.version]).toEqual([2, 2]);
  });

  it("keeps some that were cleared, the newest, and every one that is active", () => {
    const book = new AlertBook();
    book.apply(frame(true, [episode("active", { changed: 0 })]));
    const cleared = Array.from({ length: 600 }, (_, i) => episode(`c${i}`, { cleared: i, changed: i }));
    book.apply(frame(false, cleared));
    const kept = ids(book.all());
    expect(kept).toHaveLength(501);
    expect(kept).toContain("active");
    expect(kept).toContain("c599");
    expect(kept).not.toContain("c99");
  });

  it("takes the worst from the counts, also of alerts that are not told one by one", () => {
    expect(standingOf(counts({ minor: 1_500, major: 2 }))).toEqual({ n: 1_502, worst: "major" });
    expect(standingOf(counts())).toEqual({ n: 0, worst: null });
  });
});

describe("the list of alerts", () => {
  const any: AlertFilter = { ...ACTIVE, condition: "any" };

  it("lays what was heard over what the store said, with who has seen it, the last changed first", () => {
    const seen = { at: 1, by: "me", comment: "" };
    const stored = [alert("b", { changed: 20 }), alert("a", { changed: 10, acknowledged: seen })];
    const live = [episode("a", { changed: 30, severity: "critical" }), episode("c", { changed: 25 })];
    const rows = merged(stored, live, any, true);
    expect(ids(rows)).toEqual(["a", "c", "b"]);
    expect(rows[0]).toMatchObject({ severity: "critical", acknowledged: seen });
  });

  it("does not go back to what was heard before the store's answer", () => {
    const [row] = merged(
      [alert("a", { changed: 30, cleared: 30 })],
      [episode("a", { changed: 20 })],
      any,
      true,
    );
    expect(row?.cleared).toBe(30);
  });

  it("drops what was cleared from those that are active, and takes it among the cleared", () => {
    const live = [episode("a", { changed: 30, cleared: 30 })];
    expect(merged([alert("a", { changed: 10 })], live, ACTIVE, true)).toEqual([]);
    expect(ids(merged([], live, { ...ACTIVE, condition: "cleared" }, true))).toEqual(["a"]);
  });

  it("leaves to later pages what is older than the last row of those that are here", () => {
    const live = [episode("old", { changed: 5 }), episode("new", { changed: 15 })];
    expect(ids(merged([alert("a", { changed: 10 })], live, any, false))).toEqual(["new", "a"]);
    expect(ids(merged([alert("a", { changed: 10 })], live, any, true))).toEqual(["new", "a", "old"]);
  });

  it("filters what was heard like the store does", () => {
    const live = [
      episode("a", { severity: "major" }),
      episode("b", { severity: "minor", device: "e" }),
      episode("c", { severity: "warning", rule: "cold" }),
    ];
    expect(ids(merged([], live, { ...ACTIVE, atLeast: "minor" }, true)).sort()).toEqual(["a", "b"]);
    expect(ids(merged([], live, { ...ACTIVE, device: "e" }, true))).toEqual(["b"]);
    expect(ids(merged([], live, { ...ACTIVE, rule: "cold" }, true))).toEqual(["c"]);
  });

  it("shows rows of the store alone where it matters who has seen them", () => {
    const filter = { ...ACTIVE, acknowledged: false };
    expect(ids(merged([alert("a")], [episode("a", { changed: 9_000 }), episode("b")], filter, true))).toEqual(
      ["a"],
    );
  });

  it("knows of a device whether it is at the site, of the model and has the tag that are asked for", () => {
    const device = new LiveDevice("d");
    device.site = "north";
    device.tags = ["roof", "spare"];
    expect(isOf(device, ACTIVE)).toBe(true);
    expect(isOf(device, { ...ACTIVE, site: "north", tag: "spare" })).toBe(true);
    expect(isOf(device, { ...ACTIVE, site: "north", model: "pump" })).toBe(false);
    expect(isOf(device, { ...ACTIVE, tag: "roo" })).toBe(false);
    expect(isOf(undefined, { ...ACTIVE, site: "north" })).toBe(false);
    expect(isOf(undefined, ACTIVE)).toBe(true);
  });

  it("takes what was heard of devices that are meant, and the store's word for its own rows", () => {
    const live = [episode("a", { device: "d" }), episode("b", { device: "e" }), episode("s", { changed: 9 })];
    const stored = [alert("s", { device: "unknown", changed: 8 })];
    const rows = merged(stored, live, { ...any, site: "north" }, true, (device) => device === "e");
    expect(ids(rows)).toEqual(["b", "s"]);
  });

  it("is in the address by the API's own names, and what is as ever is not", () => {
    const filter: AlertFilter = {
      condition: "any",
      atLeast: "major",
      device: "sim 1",
      rule: "hot",
      site: "north",
      model: "pump",
      tag: "roof",
      acknowledged: false,
    };
    const query = queryWith("?tenant=x", writeFilter(filter));
    expect(query).toBe(
      "?tenant=x&condition=any&at_least=major&device=sim+1&rule=hot&site=north&model=pump&tag=roof&acknowledged=false",
    );
    expect(readFilter(query)).toEqual(filter);
    expect(askedOf(ACTIVE)).toEqual({});
    expect(queryWith(query, writeFilter(ACTIVE))).toBe("?tenant=x");
    expect(readFilter("?condition=odd&at_least=bad&acknowledged=maybe")).toEqual(ACTIVE);
    expect(readFilter("?acknowledged=true").acknowledged).toBe(true);
  });

  it("keeps the tenant in the address from page to page", () => {
    expect(withTenant("/alerts?rule=hot", "?tenant=x&site=a")).toBe("/alerts?rule=hot&tenant=x");
    expect(withTenant("/alerts", "?site=a")).toBe("/alerts");
  });
});
