import { QueryClient } from "@tanstack/react-query";
import { afterFrame, invalidate } from "../charts/frames";
import { AlertBook } from "../wire/alerts";
import { ServerClock } from "../wire/clock";
import { Columns } from "../wire/columns";
import { Delay } from "../wire/delay";
import { getKey, setKey } from "../wire/key";
import { LiveLink } from "../wire/live";
import { ApiError, whenRefused } from "../wire/rest";
import { LiveStore } from "../wire/store";
import type { RowsFrame } from "../wire/types";
import { useUi } from "./ui";

/** The one session of a page: its store, its clock, its line, and its REST cache. */
export const store = new LiveStore();
export const alerts = new AlertBook();
export const clock = new ServerClock();
export const delay = new Delay();
/** The last minutes of the status bar: time, readings a second, median delay in ms. */
export const pace = new Columns(3, 180);

const STORED_MS = 1_500;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) => !(error instanceof ApiError && error.status < 500) && failures < 5,
      retryDelay: (attempt) => Math.min(8_000, 500 * 2 ** attempt),
      refetchOnWindowFocus: false,
      staleTime: 10_000,
    },
  },
});

function address(): string {
  const url = new URL("/v1/live", window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  // A browser cannot set headers on a WebSocket.
  const key = getKey();
  if (key) url.searchParams.set("key", key);
  return url.href;
}

function onRows(frame: RowsFrame): void {
  const received: number[] = [];
  store.applyFrame(frame, clock.now(), (ms) => received.push(ms));
  // What a hidden page draws later says nothing about the delay of the line.
  if (received.length && !document.hidden && clock.known) {
    afterFrame(() => {
      const now = clock.now();
      for (const ms of received) delay.add(now - ms, now);
    });
  }
  invalidate();
}

let asking: ReturnType<typeof setTimeout> | undefined;

/** What was heard of alerts is in the store a moment later; however many changed, it is asked once. */
function askAgainSoon(): void {
  if (asking !== undefined) return;
  asking = setTimeout(() => {
    asking = undefined;
    void queries.invalidateQueries({ queryKey: ["alerts"] });
  }, STORED_MS);
}

export const link = new LiveLink(
  {
    address,
    open: (to) => new WebSocket(to),
    now: () => Date.now(),
    random: Math.random,
  },
  {
    onRows,
    onStatus: (status) => {
      store.logTimeIs(status.log_time, clock.now());
      const now = clock.now();
      const p50 = delay.percentiles([0.5], now).values[0] ?? status.delay_ms.p50 ?? 0;
      pace.upsert([status.sent, status.readings_per_s, p50]);
      useUi.setState({ status });
      invalidate();
    },
    onAlerts: (frame) => {
      alerts.apply(frame);
      if (!frame.whole) askAgainSoon();
    },
    onPong: (sent, server) => clock.pong(sent, server),
    onState: (state) => {
      if (state.kind === "connecting") clock.renew();
      useUi.setState({ link: state });
      // What failed while the line was down is asked for again now that it is up.
      if (state.kind === "open")
        void queries.refetchQueries({ predicate: (q) => q.state.status === "error" });
    },
    onGap: () => {
      useUi.setState((ui) => ({ gaps: ui.gaps + 1 }));
      void queries.invalidateQueries();
    },
  },
);

whenRefused((detail) => link.refuse(detail));

/** Tries again with another key; what was shown under the old one goes. */
export function changeKey(key: string): void {
  setKey(key.trim());
  store.forget();
  alerts.forget();
  queries.clear();
  link.start();
}

export function startSession(): void {
  link.start();
  window.addEventListener("online", () => link.retryNow());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    link.retryNow();
    invalidate();
  });
  // Ages and time axes move without news.
  setInterval(invalidate, 1_000);
}
