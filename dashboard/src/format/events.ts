import type { Connection } from "../wire/types";
import { dayTime, shortTime } from "./time";

const KINDS: Record<string, string> = {
  connected: "Connected",
  disconnected: "Disconnected",
  refused: "Refused",
  "first-seen": "First seen",
  provisioned: "Provisioned",
  moved: "Moved",
  "credentials-changed": "Credentials changed",
};

/** MQTT's own names where they say it plainly; other words where they do not. */
const REASONS: Record<string, string> = {
  "normal-disconnection": "left by itself",
  "disconnect-with-will-message": "left by itself, with its will",
  "keep-alive-timeout": "keep-alive timeout",
  "session-taken-over": "taken over",
  "server-shutting-down": "broker stopped",
  "unspecified-error": "sent away without a reason",
  "bad-user-name-or-password": "bad user name or token",
};

const spaced = (name: string) => name.replaceAll("-", " ");
const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

export const kindOf = (kind: string): string => KINDS[kind] ?? capital(spaced(kind));

export const reasonOf = (reason: string): string => REASONS[reason] ?? spaced(reason);

/** "14:02" within a day, else with the date. */
export const whenOf = (at: number, now: number): string =>
  now - at > 86_400_000 ? dayTime(at) : shortTime(at);

/** "connected since 14:02", "offline since 14:05: connection lost". */
export function connectionOf({ connected, since, reason }: Connection, now: number): string {
  const when = since === null ? "" : ` since ${whenOf(since, now)}`;
  if (connected) return `connected${when}`;
  return `offline${when}${reason ? `: ${reasonOf(reason)}` : ""}`;
}
