import { describe, expect, it } from "vitest";
import { parsePath } from "../src/state/router";
import { ServerClock } from "../src/wire/clock";
import { Delay } from "../src/wire/delay";

describe("the server's clock", () => {
  it("believes the ping with the shortest way", () => {
    let now = 0;
    const clock = new ServerClock(() => now);
    now = 400;
    clock.pong(0, 5_390);
    now = 1_010;
    clock.pong(1_000, 6_005);
    expect(clock.offset).toBe(5_000);
    expect(clock.now()).toBe(6_010);
  });

  it("starts anew with the next pong of a new connection, and not before", () => {
    let now = 10;
    const clock = new ServerClock(() => now);
    clock.pong(0, 1_005);
    clock.renew();
    expect(clock.offset).toBe(1_000);
    now = 5_000;
    clock.pong(4_000, 4_500);
    expect(clock.offset).toBe(0);
  });
});

describe("delay", () => {
  it("gives percentiles to within its buckets", () => {
    const delay = new Delay();
    for (let ms = 1; ms <= 1_000; ms += 1) delay.add(ms, 500);
    const { n, values } = delay.percentiles([0.5, 0.99], 900);
    expect(n).toBe(1_000);
    expect((values[0] as number) / 500).toBeCloseTo(1, 1);
    expect((values[1] as number) / 990).toBeCloseTo(1, 1);
  });

  it("forgets what is older than half a minute", () => {
    const delay = new Delay();
    delay.add(100, 1_000);
    expect(delay.percentiles([0.5], 20_000).n).toBe(1);
    expect(delay.percentiles([0.5], 40_000)).toEqual({ n: 0, values: [null] });
  });
});

describe("addresses", () => {
  it("are read and refused", () => {
    expect(parsePath("/")).toEqual({ page: "fleet" });
    expect(parsePath("/devices/caf%C3%A9%201")).toEqual({ page: "device", device: "café 1" });
    expect(parsePath("/devices/%E0%A4%A")).toEqual({ page: "unknown", path: "/devices/%E0%A4%A" });
    expect(parsePath("/nowhere")).toEqual({ page: "unknown", path: "/nowhere" });
  });
});
