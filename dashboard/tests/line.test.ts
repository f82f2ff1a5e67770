import { describe, expect, it } from "vitest";
import { lineOf, type Observed } from "../src/state/line";

const observed = (more: Partial<Observed>): Observed => ({
  link: { kind: "open", since: 0 },
  now: 100_000,
  serverNow: 100_000,
  rowsAt: 99_000,
  logMovedAt: 99_900,
  ready: true,
  ...more,
});

describe("the state of the line", () => {
  it("is live when rows and log time move", () => {
    expect(lineOf(observed({})).kind).toBe("live");
  });
  it("is stalled when log time stands still", () => {
    expect(lineOf(observed({ logMovedAt: 80_000 }))).toEqual({ kind: "stalled", since: 80_000 });
  });
  it("is silent when log time moves and no rows come", () => {
    expect(lineOf(observed({ rowsAt: 80_000 }))).toEqual({ kind: "silent", since: 80_000 });
  });
  it("gives a line that has just opened the time to speak", () => {
    const link = { kind: "open", since: 95_000 } as const;
    expect(lineOf(observed({ link, rowsAt: 10_000, logMovedAt: 10_000 })).kind).toBe("live");
  });
  it("says when it tries again, and from when what is shown is", () => {
    const link = { kind: "waiting", attempt: 2, retryAt: 103_200, shownFrom: 90_000 } as const;
    expect(lineOf(observed({ link }))).toEqual({ kind: "disconnected", retryInS: 4, shownFrom: 90_000 });
  });
  it("calls a try after a lost line no fresh start", () => {
    const link = { kind: "connecting", attempt: 3 } as const;
    expect(lineOf(observed({ link })).kind).toBe("disconnected");
    expect(lineOf(observed({ link: { kind: "connecting", attempt: 0 }, rowsAt: 0 })).kind).toBe("connecting");
  });
  it("says that the API is catching up", () => {
    expect(lineOf(observed({ ready: false })).kind).toBe("catching-up");
  });
});
