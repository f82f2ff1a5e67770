import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AlertsFrame } from "../src/wire/alert-types";
import { type LinkState, LiveLink, SILENCE_MS } from "../src/wire/live";
import type { RowsFrame } from "../src/wire/types";

/** The browser's end of a socket, which the test holds in its hand: what a real server would do is done to it. */
class Socket {
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  closedByUs = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.closedByUs = true;
  }
  opens(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  says(frame: unknown): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  ends(code = 1006, reason = ""): void {
    this.onclose?.({ code, reason });
  }
  get subscriptions() {
    return this.sent.filter((message) => message.type === "subscribe");
  }
}

const rows = (type: "rows" | "snapshot", cursor: string): RowsFrame => ({
  type,
  cursor,
  sent: 0,
  log_time: 1,
  columns: {
    device: [],
    metric: [],
    pane: [],
    count: [],
    min: [],
    max: [],
    mean: [],
    last: [],
    last_ms: [],
    received: [],
  },
});

let sockets: Socket[];
let states: LinkState[];
let frames: RowsFrame[];
let told: AlertsFrame[];
let gaps: number;
let link: LiveLink;
let failing: boolean;

const newest = () => sockets.at(-1) as Socket;
const state = () => states.at(-1) as LinkState;

beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
  states = [];
  frames = [];
  told = [];
  gaps = 0;
  failing = false;
  link = new LiveLink(
    {
      address: () => "ws://here/v1/live",
      open: () => {
        sockets.push(new Socket());
        return newest() as unknown as WebSocket;
      },
      now: () => Date.now(),
      random: () => 0.5,
    },
    {
      onRows: (frame) => {
        if (failing) throw new Error("could not apply");
        frames.push(frame);
      },
      onStatus: () => {},
      onAlerts: (frame) => told.push(frame),
      onPong: () => {},
      onState: (s) => states.push(s),
      onGap: () => {
        gaps += 1;
      },
    },
  );
  link.subscribe("demo", null);
  link.start();
});

afterEach(() => {
  link.stop();
  vi.useRealTimers();
});

describe("LiveLink", () => {
  it("starts without a cursor", () => {
    newest().opens();
    expect(newest().subscriptions).toEqual([
      { type: "subscribe", tenant: "demo", devices: null, cursor: null },
    ]);
  });

  it("resumes by the cursor of the last frame that was applied", () => {
    newest().opens();
    newest().says(rows("snapshot", "0:1"));
    newest().says(rows("rows", "0:7,1:3"));
    newest().ends();
    vi.advanceTimersByTime(1_000);
    expect(sockets).toHaveLength(2);
    newest().opens();
    expect(newest().subscriptions[0]?.cursor).toBe("0:7,1:3");
    newest().says({ ...rows("rows", "0:9,1:3"), resumed: true });
    expect(gaps).toBe(0);
  });

  it("does not count a frame that could not be applied as seen", () => {
    newest().opens();
    newest().says(rows("snapshot", "0:1"));
    failing = true;
    expect(() => newest().says(rows("rows", "0:2"))).toThrow();
    failing = false;
    newest().ends();
    vi.advanceTimersByTime(1_000);
    newest().opens();
    expect(newest().subscriptions[0]?.cursor).toBe("0:1");
  });

  it("says that there is a gap when the server could not resume", () => {
    newest().opens();
    newest().says(rows("snapshot", "0:1"));
    expect(gaps).toBe(0);
    newest().ends();
    vi.advanceTimersByTime(1_000);
    newest().opens();
    newest().says({ ...rows("snapshot", "0:500"), resumed: false });
    expect(gaps).toBe(1);
  });

  it("asks for other devices without a cursor, and not twice for the same", () => {
    newest().opens();
    newest().says(rows("snapshot", "0:1"));
    link.subscribe("demo", ["a"]);
    link.subscribe("demo", ["a"]);
    expect(newest().subscriptions.slice(1)).toEqual([
      { type: "subscribe", tenant: "demo", devices: ["a"], cursor: null },
    ]);
    newest().says(rows("snapshot", "0:2"));
    expect(gaps).toBe(0);
  });

  it("waits longer after each failure, up to a limit, and starts anew after rows have come", () => {
    const waits: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      newest().ends();
      const waiting = state();
      if (waiting.kind !== "waiting") throw new Error(waiting.kind);
      waits.push(waiting.retryAt - Date.now());
      vi.advanceTimersByTime(waiting.retryAt - Date.now());
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
    newest().opens();
    newest().says(rows("snapshot", "0:1"));
    newest().ends();
    expect(state()).toMatchObject({ kind: "waiting", attempt: 1 });
  });

  it("remembers from when what is shown is", () => {
    newest().opens();
    newest().says(rows("snapshot", "0:1"));
    const then = Date.now();
    vi.advanceTimersByTime(2_000);
    newest().ends();
    expect(state()).toMatchObject({ kind: "waiting", shownFrom: then });
  });

  it("takes a silent line for a dead one", () => {
    newest().opens();
    newest().says(rows("snapshot", "0:1"));
    const first = newest();
    vi.advanceTimersByTime(SILENCE_MS + 1_000);
    expect(first.closedByUs).toBe(true);
    expect(states.some((s) => s.kind === "waiting")).toBe(true);
  });

  it("does not try again with a key that was refused, until told to", () => {
    newest().opens();
    newest().says({ type: "refused", reason: "bad-key", detail: "no such key" });
    newest().ends(4401);
    vi.advanceTimersByTime(60_000);
    expect(sockets).toHaveLength(1);
    expect(state()).toEqual({ kind: "refused", detail: "no such key" });
    link.start();
    expect(sockets).toHaveLength(2);
  });

  it("drops a cursor that the server does not understand", () => {
    newest().opens();
    newest().says(rows("snapshot", "0:1"));
    newest().ends();
    vi.advanceTimersByTime(1_000);
    newest().opens();
    newest().says({ type: "refused", reason: "bad-message", detail: "cursor" });
    newest().ends(4400);
    vi.advanceTimersByTime(2_000);
    newest().opens();
    expect(newest().subscriptions[0]?.cursor).toBeNull();
  });

  it("hands on what is said of alerts", () => {
    newest().opens();
    const counts = { critical: 0, major: 0, minor: 0, warning: 0, indeterminate: 0 };
    const frame = { type: "alerts", sent: 5, whole: true, counts, alerts: [] };
    newest().says(frame);
    expect(told).toEqual([frame]);
  });

  it("tries at once when asked to", () => {
    newest().ends();
    link.retryNow();
    expect(sockets).toHaveLength(2);
    vi.advanceTimersByTime(700);
    expect(sockets).toHaveLength(2);
  });
});
