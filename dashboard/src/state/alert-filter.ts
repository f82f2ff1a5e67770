import { useMemo } from "react";
import { type Alert, type Episode, SEVERITIES, type Severity } from "../wire/alert-types";
import type { Query } from "../wire/rest";
import type { LiveDevice } from "../wire/store";
import { type Facet, namesOf } from "./fleet-list";
import { changeQuery, useQueryString } from "./router";

export const CONDITIONS = ["active", "cleared", "any"] as const;
export type Condition = (typeof CONDITIONS)[number];

/** What the registry says of the device, by which alerts are found. */
export const FACTS = ["site", "model", "tag"] as const satisfies Facet[];
type Fact = (typeof FACTS)[number];

/** Which alerts; null is any. */
export interface AlertFilter extends Record<Fact, string | null> {
  condition: Condition;
  atLeast: Severity | null;
  device: string | null;
  rule: string | null;
  acknowledged: boolean | null;
}

export const ACTIVE: AlertFilter = {
  condition: "active",
  atLeast: null,
  device: null,
  rule: null,
  site: null,
  model: null,
  tag: null,
  acknowledged: null,
};

const among = <T extends string>(all: readonly T[], text: string | null): T | null =>
  all.find((one) => one === text) ?? null;

/** What the address says is to be shown. What it says wrongly counts as not said. */
export function readFilter(query: string): AlertFilter {
  const params = new URLSearchParams(query);
  const acknowledged = params.get("acknowledged");
  return {
    condition: among(CONDITIONS, params.get("condition")) ?? "active",
    atLeast: among(SEVERITIES, params.get("at_least")),
    device: params.get("device") || null,
    rule: params.get("rule") || null,
    site: params.get("site") || null,
    model: params.get("model") || null,
    tag: params.get("tag") || null,
    acknowledged: among(["true", "false"], acknowledged) && acknowledged === "true",
  };
}

/** The filter by the names that the API and the address have for it; what is as ever is left out. */
export function writeFilter(filter: Partial<AlertFilter>): Record<string, string | null> {
  const said: Record<string, string | null> = {};
  if (filter.condition !== undefined)
    said.condition = filter.condition === "active" ? null : filter.condition;
  if (filter.atLeast !== undefined) said.at_least = filter.atLeast;
  if (filter.device !== undefined) said.device = filter.device;
  if (filter.rule !== undefined) said.rule = filter.rule;
  for (const fact of FACTS) if (filter[fact] !== undefined) said[fact] = filter[fact];
  if (filter.acknowledged !== undefined)
    said.acknowledged = filter.acknowledged === null ? null : String(filter.acknowledged);
  return said;
}

export function askedOf(filter: AlertFilter): Query {
  const said = Object.entries(writeFilter(filter)).filter(([, value]) => value !== null);
  return Object.fromEntries(said) as Query;
}

export function useAlertFilter(): AlertFilter {
  const query = useQueryString();
  return useMemo(() => readFilter(query), [query]);
}

/** Shows others; the alert whose story was open is shut, as it may be none of them. */
export function chooseAlerts(changed: Partial<AlertFilter>): void {
  changeQuery({ ...writeFilter(changed), alert: null });
}

function matches(alert: Alert, filter: AlertFilter): boolean {
  if (filter.condition !== "any" && (alert.cleared === null) !== (filter.condition === "active"))
    return false;
  if (filter.atLeast && SEVERITIES.indexOf(alert.severity) < SEVERITIES.indexOf(filter.atLeast)) return false;
  if (filter.device !== null && alert.device !== filter.device) return false;
  if (filter.rule !== null && alert.rule !== filter.rule) return false;
  return filter.acknowledged === null || (alert.acknowledged !== null) === filter.acknowledged;
}

/** Whether a device is at the site, of the model and has the tag; of one that is not known nothing is. */
export function isOf(device: LiveDevice | undefined, filter: AlertFilter): boolean {
  return FACTS.every(
    (fact) => filter[fact] === null || (device && namesOf(device, fact).includes(filter[fact])),
  );
}

const lastChangedFirst = (a: Alert, b: Alert) =>
  b.changed - a.changed || (a.alert_id < b.alert_id ? 1 : a.alert_id > b.alert_id ? -1 : 0);

/**
 * The pages of the store with what has been heard since, in the store's order.
 *
 * Who has seen an alert is known to the store alone, so with that filter only rows of the store are shown. Unless
 * the pages are all there are (`complete`), what is older than their last row waits for the page that it is on.
 * `isMeant` says of a device whether its site, model and tags are asked for: of rows of the store the store has said it.
 */
export function merged(
  stored: Alert[],
  live: Iterable<Episode>,
  filter: AlertFilter,
  complete: boolean,
  isMeant: (device: string) => boolean = () => true,
): Alert[] {
  const found = new Map(stored.map((alert) => [alert.alert_id, alert]));
  const oldest = complete ? Number.NEGATIVE_INFINITY : (stored.at(-1)?.changed ?? Number.NEGATIVE_INFINITY);
  for (const episode of live) {
    const held = found.get(episode.alert_id);
    if (held && episode.changed <= held.changed) continue;
    if (!held && (filter.acknowledged !== null || episode.changed < oldest || !isMeant(episode.device)))
      continue;
    found.set(episode.alert_id, { ...episode, acknowledged: held?.acknowledged ?? null });
  }
  return [...found.values()].filter((alert) => matches(alert, filter)).sort(lastChangedFirst);
}
