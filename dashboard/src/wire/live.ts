import type { AlertsFrame } from "./alert-types";
import type { Frame, RowsFrame, StatusFrame } from "./types";

/**
 * The live connection, as a machine of five states:
 *
 *     idle -> connecting -> open -> waiting -> connecting ...
 *                 \-> refused (the key is wrong: only a new key leads out)
 *
 * A reconnect subscribes with the cursor of the last frame that was applied, so the server goes on from there
 * without a gap or a repeat. If it cannot, it says so with a snapshot that is not `resumed`, and `onGap` fires.
 * The server speaks at least once a second; a line that is silent for `SILENCE_MS` is dead, whatever TCP thinks.
 */
export type LinkState =
  | { kind: "idle" }
  | { kind: "connecting"; attempt: number }
  | { kind: "open"; since: number }
  | { kind: "waiting"; attempt: number; retryAt: number; shownFrom: number | null }
  | { kind: "refused"; detail: string };

export interface Handlers {
  onRows(frame: RowsFrame): void;
  onStatus(frame: StatusFrame): void;
  onAlerts(frame: AlertsFrame): void;
  onPong(sent: number, server: number): void;
  onState(state: LinkState): void;
  /** Rows were missed: what was fetched before may lack them. */
  onGap(): void;
}

export interface Wiring {
  address(): string;
  open(address: string): WebSocket;
  now(): number;
  random(): number;
}

export const SILENCE_MS = 6_000;
const PING_MS = 5_000;
const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 10_000];

export class LiveLink {
  private socket: WebSocket | null = null;
  private cursor: string | null = null;
  private target: { tenant: string; devices: string[] | null } | null = null;
  private state: LinkState = { kind: "idle" };
  private attempt = 0;
  private heard = 0;
  private lastFrame: number | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private beat: ReturnType<typeof setInterval> | undefined;
  private resuming = false;

  constructor(
    private readonly wiring: Wiring,
    private readonly handlers: Handlers,
  ) {}

  start(): void {
    if (this.state.kind !== "idle" && this.state.kind !== "refused") return;
    this.attempt = 0;
    this.connect();
  }

  stop(): void {
    clearTimeout(this.retry);
    this.drop();
    this.enter({ kind: "idle" });
  }

  /** What is wanted. Another set starts without a cursor: its own latest rows come first, as a snapshot. */
  subscribe(tenant: string, devices: string[] | null): void {
    const same = JSON.stringify(this.target) === JSON.stringify({ tenant, devices });
    if (same) return;
    this.target = { tenant, devices };
    this.cursor = null;
    if (this.state.kind === "open") this.sendTarget();
  }

  retryNow(): void {
    if (this.state.kind !== "waiting") return;
    clearTimeout(this.retry);
    this.connect();
  }

  refuse(detail: string): void {
    clearTimeout(this.retry);
    this.drop();
    this.enter({ kind: "refused", detail });
  }

  private enter(state: LinkState): void {
    this.state = state;
    this.handlers.onState(state);
  }

  private connect(): void {
    this.drop();
    this.enter({ kind: "connecting", attempt: this.attempt });
    const socket = this.wiring.open(this.wiring.address());
    this.socket = socket;
    this.heard = this.wiring.now();
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => this.message(event.data as string);
    socket.onclose = (event) => this.closed(event.code, event.reason);
    this.beat = setInterval(() => this.check(), 1_000);
  }

  private opened(): void {
    this.enter({ kind: "open", since: this.wiring.now() });
    this.sendTarget();
    this.ping();
  }

  private sendTarget(): void {
    if (!this.target) return;
    this.resuming = this.cursor !== null;
    this.send({ type: "subscribe", ...this.target, cursor: this.cursor });
  }

  private ping(): void {
    this.send({ type: "ping", t: this.wiring.now() });
  }

  private pinged = 0;

  private check(): void {
    const now = this.wiring.now();
    if (now - this.heard > SILENCE_MS) {
      this.closed(0, "silent");
      return;
    }
    if (this.state.kind === "open" && now - this.pinged >= PING_MS) {
      this.pinged = now;
      this.ping();
    }
  }

  private send(message: unknown): void {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message));
  }

  private message(text: string): void {
    this.heard = this.wiring.now();
    const frame = JSON.parse(text) as Frame;
    switch (frame.type) {
      case "snapshot":
      case "rows":
        this.attempt = 0;
        this.lastFrame = this.heard;
        if (frame.type === "snapshot" && this.resuming) this.handlers.onGap();
        this.resuming = false;
        this.handlers.onRows(frame);
        // Only now: a frame that could not be applied must come again.
        this.cursor = frame.cursor;
        break;
      case "status":
        this.handlers.onStatus(frame);
        break;
      case "alerts":
        this.handlers.onAlerts(frame);
        break;
      case "pong":
        this.handlers.onPong(frame.t, frame.now);
        break;
      case "refused":
        this.refusedBy(frame.reason, frame.detail);
        break;
    }
  }

  private refusedBy(reason: string, detail?: string): void {
    if (/key|auth|unauth|401/i.test(reason)) this.refuse(detail ?? reason);
    // Otherwise the server did not understand the subscription; a cursor of another age is the likely cause.
    else this.cursor = null;
  }

  private closed(code: number, reason: string): void {
    this.drop();
    if (this.state.kind === "refused") return;
    if (code === 4401) {
      this.refuse(reason || "The access key was not accepted.");
      return;
    }
    if (code === 4400) this.cursor = null;
    const base = BACKOFF_MS[Math.min(this.attempt, BACKOFF_MS.length - 1)] as number;
    const wait = base * (0.8 + 0.4 * this.wiring.random());
    this.attempt += 1;
    this.retry = setTimeout(() => this.connect(), wait);
    const retryAt = this.wiring.now() + wait;
    this.enter({ kind: "waiting", attempt: this.attempt, retryAt, shownFrom: this.lastFrame });
  }

  private drop(): void {
    clearInterval(this.beat);
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }
}
