import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Rule } from "../wire/alert-types";
import { fetchAlert, fetchAlerts, fetchDeviceRules, fetchRules } from "../wire/alerts-rest";
import { type AlertFilter, askedOf, isOf, merged } from "./alert-filter";
import { useAlertBook, useRoster } from "./hooks";
import { alerts, store } from "./session";
import { useUi } from "./ui";

/** Acknowledgements come by asking alone; what happens to alerts is heard live, and asked for soon after. */
const EVERY_MS = 10_000;
const RULES_MS = 5_000;

/** Alerts of the store, a page at a time, with what is heard live laid over them. */
export function useAlerts(filter: AlertFilter, limit: number) {
  const tenant = useUi((ui) => ui.tenant);
  const heard = useAlertBook();
  const roster = useRoster();
  const asked = useInfiniteQuery({
    queryKey: ["alerts", "list", tenant, filter, limit],
    queryFn: ({ pageParam, signal }) =>
      fetchAlerts({ tenant, ...askedOf(filter), limit, ...(pageParam ? { cursor: pageParam } : {}) }, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next,
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
  });
  const { data, isPlaceholderData, hasNextPage } = asked;
  // biome-ignore lint/correctness/useExhaustiveDependencies: book and devices change in place; heard and roster say when
  const rows = useMemo(() => {
    if (!data) return data;
    const isMeant = (device: string) => isOf(store.devices.get(device), filter);
    const stored = data.pages.flatMap((page) => page.alerts);
    // Until the answer is there, the one to the filter before is shown, as far as it fits.
    const fitting = isPlaceholderData ? stored.filter(({ device }) => isMeant(device)) : stored;
    return merged(fitting, alerts.all(), filter, !hasNextPage, isMeant);
  }, [data, isPlaceholderData, filter, hasNextPage, heard, roster]);
  const { error, isFetchingNextPage, fetchNextPage, refetch } = asked;
  return { rows, error, more: hasNextPage, loading: isFetchingNextPage, next: fetchNextPage, again: refetch };
}

export const storyKey = (tenant: string, alertId: string) => ["alerts", "story", tenant, alertId];

/** One alert with all that happened to it; of none (null) nothing is asked. */
export function useStory(alertId: string | null) {
  const tenant = useUi((ui) => ui.tenant);
  return useQuery({
    queryKey: storyKey(tenant, alertId ?? ""),
    queryFn: ({ signal }) => fetchAlert(tenant, alertId ?? "", signal),
    enabled: alertId !== null,
    refetchInterval: EVERY_MS,
  });
}

/** The rules of the tenant by their ids. */
export function useRules() {
  const tenant = useUi((ui) => ui.tenant);
  return useQuery({
    queryKey: ["rules", tenant],
    queryFn: async ({ signal }) => byId((await fetchRules(tenant, signal)).rules),
    refetchInterval: RULES_MS,
  });
}

const byId = (rules: Rule[]) => new Map(rules.map((rule) => [rule.rule, rule]));

/** The rules that mean a device; none while they are not known. */
export function useDeviceRules(device: string): Rule[] | undefined {
  const tenant = useUi((ui) => ui.tenant);
  return useQuery({
    queryKey: ["rules", tenant, device],
    queryFn: async ({ signal }) => (await fetchDeviceRules(tenant, device, signal)).rules,
    refetchInterval: RULES_MS,
  }).data;
}
