import { useQuery } from "@tanstack/react-query";
import { useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from "react";
import { fetchDevices } from "../wire/rest";
import { type Line, lineOf } from "./line";
import { alerts, clock, link, store } from "./session";
import { useUi } from "./ui";

/** Renders again each second: for ages, countdowns and the status bar. Samples never pass here. */
export function useSecond(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

export function useLine(): Line {
  const state = useUi((ui) => ui.link);
  const ready = useUi((ui) => ui.status?.ready !== false);
  useSecond();
  return lineOf({
    link: state,
    now: Date.now(),
    serverNow: clock.now(),
    rowsAt: store.rowsAt,
    logMovedAt: store.logMovedAt,
    ready,
  });
}

/** Rises when a device or metric is new, a kind became known: what a list has to be made anew for. */
export function useRoster(): number {
  return useSyncExternalStore(store.subscribe, () => store.roster);
}

/** Rises when anything is said of alerts. */
export function useAlertBook(): number {
  return useSyncExternalStore(alerts.subscribe, () => alerts.version);
}

/** The devices of the tenant, from the registry and latest values; the live rows add to them in the store. */
export function useDevices() {
  const tenant = useUi((ui) => ui.tenant);
  const refused = useUi((ui) => ui.link.kind === "refused");
  return useQuery({
    queryKey: ["devices", tenant],
    queryFn: async ({ signal }) => {
      const devices = await fetchDevices(tenant, signal);
      store.applySummaries(devices);
      return devices.length;
    },
    enabled: !refused,
    refetchInterval: 30_000,
  });
}

export function useSubscription(device: string | null): void {
  const tenant = useUi((ui) => ui.tenant);
  useEffect(() => {
    link.subscribe(tenant, device === null ? null : [device]);
  }, [tenant, device]);
}

export function useWidth<E extends HTMLElement>(): [React.RefObject<E | null>, number] {
  const ref = useRef<E>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    setWidth(element.clientWidth);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}
