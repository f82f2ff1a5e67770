import { type Standing, worseThan } from "../wire/alerts";
import type { LiveDevice } from "../wire/store";
import { type Freshness, freshness } from "./freshness";

/** This machine's own device: it is always there, and always first. */
export const OWN_DEVICE = "this-machine";

/** What devices are told apart by. */
export type Facet = "site" | "model" | "tag" | "kind";

export const FACETS: Record<Facet, string> = { site: "Site", model: "Model", tag: "Tag", kind: "Kind" };

export const SORTS = {
  name: "Name",
  kind: "Kind",
  updated: "Latest first",
  quiet: "Quiet first",
  alerts: "Alerts first",
} as const;
export type Sort = keyof typeof SORTS;

export interface Choice extends Record<Facet, string | null> {
  search: string;
  sort: Sort;
  group: Facet | null;
}

/** What the order and the search have to know beside the devices. */
export interface Surroundings {
  now: number;
  standing(device: string): Standing;
}

const ALL_FACETS = Object.keys(FACETS) as Facet[];
const NUMERIC = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const WORST: Record<Freshness, number> = { silent: 0, quiet: 1, never: 2, live: 3 };

const compareKinds = (a: string | null, b: string | null) =>
  Number(a === null) - Number(b === null) || NUMERIC.compare(a ?? "", b ?? "");

/** Devices that spoke within the same five seconds count as equal, or the list would never rest. */
const moment = (device: LiveDevice) => Math.floor(device.received / 5_000);

/** What a device is called by a facet: of tags any number, else one or none. */
export function namesOf(device: LiveDevice, facet: Facet): string[] {
  if (facet === "tag") return device.tags;
  const name = device[facet];
  return name ? [name] : [];
}

function isChosen(device: LiveDevice, choice: Choice, words: string[]): boolean {
  for (const facet of ALL_FACETS) {
    const wanted = choice[facet];
    if (wanted !== null && !namesOf(device, facet).includes(wanted)) return false;
  }
  if (!words.length) return true;
  const facts = ALL_FACETS.flatMap((facet) => namesOf(device, facet));
  const text = [device.name, ...facts, ...device.series.keys()].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function compareStandings(a: Standing, b: Standing): number {
  if (a.worst !== b.worst) {
    if (a.worst === null) return 1;
    if (b.worst === null) return -1;
    return worseThan(a.worst, b.worst) ? -1 : 1;
  }
  return b.n - a.n;
}

/** The devices to show, in order. Every word of the search has to be in the name, a facet, or a metric. */
export function choose(
  devices: Iterable<LiveDevice>,
  choice: Choice,
  { now, standing }: Surroundings,
): LiveDevice[] {
  const words = choice.search.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = [...devices].filter((device) => isChosen(device, choice, words));
  const byName = (a: LiveDevice, b: LiveDevice) => NUMERIC.compare(a.name, b.name);
  const by: Record<Sort, (a: LiveDevice, b: LiveDevice) => number> = {
    name: byName,
    kind: (a, b) => compareKinds(a.kind, b.kind) || byName(a, b),
    updated: (a, b) => moment(b) - moment(a) || byName(a, b),
    quiet: (a, b) => WORST[freshness(a.received, now)] - WORST[freshness(b.received, now)] || byName(a, b),
    alerts: (a, b) => compareStandings(standing(a.name), standing(b.name)) || byName(a, b),
  };
  const own = (device: LiveDevice) => (device.name === OWN_DEVICE ? 0 : 1);
  return chosen.sort((a, b) => own(a) - own(b) || by[choice.sort](a, b));
}

export interface Group {
  /** Empty: those that have none. */
  name: string;
  devices: LiveDevice[];
}

/** Devices under what they are called by a facet, by name; those without one come last, those with many tags often. */
export function grouped(devices: LiveDevice[], facet: Facet): Group[] {
  const groups = new Map<string, LiveDevice[]>();
  for (const device of devices) {
    const names = namesOf(device, facet);
    for (const name of names.length ? names : [""]) {
      const group = groups.get(name);
      if (group) group.push(device);
      else groups.set(name, [device]);
    }
  }
  return [...groups]
    .map(([name, of]) => ({ name, devices: of }))
    .sort((a, b) => Number(!a.name) - Number(!b.name) || NUMERIC.compare(a.name, b.name));
}

/** What devices are called by a facet, with how many are, by name or (of kinds) the most frequent first. */
export function tallied(devices: Iterable<LiveDevice>, facet: Facet): [name: string, n: number][] {
  const counts = new Map<string, number>();
  for (const device of devices)
    for (const name of namesOf(device, facet)) counts.set(name, (counts.get(name) ?? 0) + 1);
  const byName = (a: string, b: string) => NUMERIC.compare(a, b);
  return [...counts].sort((a, b) => (facet === "kind" ? b[1] - a[1] : 0) || byName(a[0], b[0]));
}

export function tally(devices: Iterable<LiveDevice>, now: number): Record<Freshness, number> {
  const counts: Record<Freshness, number> = { live: 0, quiet: 0, silent: 0, never: 0 };
  for (const device of devices) counts[freshness(device.received, now)] += 1;
  return counts;
}
