import { expect, test } from "vitest";
import { connectionOf, kindOf, reasonOf } from "../src/format/events";
import { LiveStore } from "../src/wire/store";
import type { Connection, DeviceSummary } from "../src/wire/types";

const NOON = new Date(2026, 10, 24, 12, 0, 0).getTime();
const lost: Connection = { connected: false, since: NOON, reason: "connection-lost", address: "10.0.0.7" };

test("a connection is told with since when, and why it ended", () => {
  expect(connectionOf({ ...lost, connected: true, reason: "" }, NOON + 60_000)).toBe("connected since 12:00");
  expect(connectionOf(lost, NOON + 60_000)).toBe("offline since 12:00: connection lost");
  expect(connectionOf(lost, NOON + 90_000_000)).toBe("offline since 24 Nov 12:00: connection lost");
});

test("kinds and reasons that are not known yet are still readable", () => {
  expect(kindOf("first-seen")).toBe("First seen");
  expect(kindOf("battery-changed")).toBe("Battery changed");
  expect(reasonOf("session-taken-over")).toBe("taken over");
  expect(reasonOf("packet-too-large")).toBe("packet too large");
});

test("a device's connection follows the newest summary, also back to none", () => {
  const store = new LiveStore();
  const summary: DeviceSummary = {
    tenant: "demo",
    device: "d",
    kind: null,
    metrics: [],
    last_ms: null,
    received: null,
    latest: {},
    connection: lost,
  };
  store.applySummaries([summary]);
  expect(store.device("d").connection).toEqual(lost);
  const before = store.roster;
  store.applySummaries([{ ...summary, connection: null }]);
  expect(store.device("d").connection).toBeNull();
  expect(store.roster).toBeGreaterThan(before);
});
