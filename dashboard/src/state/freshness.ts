/** How alive a device is, by when the door last received from it: its own clock may say anything. */
export type Freshness = "live" | "quiet" | "silent" | "never";

export const QUIET_MS = 10_000;
export const SILENT_MS = 120_000;

export function freshness(received: number, now: number): Freshness {
  if (!received) return "never";
  const age = now - received;
  if (age <= QUIET_MS) return "live";
  return age <= SILENT_MS ? "quiet" : "silent";
}
