import type { LiveDevice } from "../wire/store";
import { type Freshness, freshness } from "./freshness";
import type { Sort } from "./ui";

/** This machine's own device: it is always there, and always first. */
export const OWN_DEVICE = "this-machine";

export interface Choice {
  search: string;
  kind: string | null;
  sort: Sort;
}

const NUMERIC = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const WORST: Record<Freshness, number> = { silent: 0, quiet: 1, never: 2, live: 3 };

const compareKinds = (a: string | null, b: string | null) =>
  Number(a === null) - Number(b === null) || NUMERIC.compare(a ?? "", b ?? "");

/** Devices that spoke within the same five seconds count as equal, or the list would never rest. */
const moment = (device: LiveDevice) => Math.floor(device.received / 5_000);

/** The devices to show, in order. Every word of the search has to be in the name, the kind, or a metric. */
export function choose(
  devices: Iterable<LiveDevice>,
  { search, kind, sort }: Choice,
  now: number,
): LiveDevice[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = [...devices].filter((device) => {
    if (kind !== null && (device.kind ?? "") !== kind) return false;
    if (!words.length) return true;
    const text = `${device.name} ${device.kind ?? ""} ${[...device.series.keys()].join(" ")}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const byName = (a: LiveDevice, b: LiveDevice) => NUMERIC.compare(a.name, b.name);
  const by: Record<Sort, (a: LiveDevice, b: LiveDevice) => number> = {
    name: byName,
    kind: (a, b) => compareKinds(a.kind, b.kind) || byName(a, b),
    updated: (a, b) => moment(b) - moment(a) || byName(a, b),
    quiet: (a, b) => WORST[freshness(a.received, now)] - WORST[freshness(b.received, now)] || byName(a, b),
  };
  const own = (device: LiveDevice) => (device.name === OWN_DEVICE ? 0 : 1);
  return chosen.sort((a, b) => own(a) - own(b) || by[sort](a, b));
}

/** Kinds with how many devices they have, the most frequent first. */
export function kinds(devices: Iterable<LiveDevice>): [kind: string, n: number][] {
  const counts = new Map<string, number>();
  for (const { kind } of devices) if (kind) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || NUMERIC.compare(a[0], b[0]));
}

export function tally(devices: Iterable<LiveDevice>, now: number): Record<Freshness, number> {
  const counts: Record<Freshness, number> = { live: 0, quiet: 0, silent: 0, never: 0 };
  for (const device of devices) counts[freshness(device.received, now)] += 1;
  return counts;
}
