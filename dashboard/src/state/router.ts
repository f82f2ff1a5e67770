import { useSyncExternalStore } from "react";
import type { FleetBy } from "../wire/fleet-names";

export type Route =
  | { page: "fleet" }
  | { page: "alerts" }
  | { page: "device"; device: string }
  | { page: "fleet-of"; by: FleetBy; name: string }
  | { page: "unknown"; path: string };

export function parsePath(path: string): Route {
  if (path === "/" || path === "" || path === "/index.html") return { page: "fleet" };
  if (/^\/alerts\/?$/.test(path)) return { page: "alerts" };
  const match = /^\/(device|site|model)s\/([^/]+)\/?$/.exec(path);
  if (!match) return { page: "unknown", path };
  try {
    const name = decodeURIComponent(match[2] as string);
    if (match[1] === "device") return { page: "device", device: name };
    return { page: "fleet-of", by: match[1] as FleetBy, name };
  } catch {
    return { page: "unknown", path };
  }
}

export const devicePath = (device: string) => `/devices/${encodeURIComponent(device)}`;
export const fleetPath = (by: FleetBy, name: string) => `/${by}s/${encodeURIComponent(name)}`;

const listeners = new Set<() => void>();
const tell = () => {
  for (const listener of listeners) listener();
};

/** `?tenant=` goes along, or an address that is handed on would show the devices of another. */
export function withTenant(path: string, query: string): string {
  const tenant = new URLSearchParams(query).get("tenant");
  const [bare, asked = ""] = path.split("?") as [string, string?];
  return tenant ? bare + queryWith(asked, { tenant }) : path;
}

export function navigate(to: string): void {
  const path = withTenant(to, window.location.search);
  if (path === window.location.pathname + window.location.search) return;
  window.history.pushState(null, "", path);
  window.scrollTo(0, 0);
  tell();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

export function useRoute(): Route {
  return parsePath(useSyncExternalStore(subscribe, () => window.location.pathname));
}

/** What follows the path: with what is chosen in it, an address can be handed on. */
export function useQueryString(): string {
  return useSyncExternalStore(subscribe, () => window.location.search);
}

/** The query with some names changed; null or empty leaves a name out, and the others stay. */
export function queryWith(query: string, changed: Record<string, string | null>): string {
  const params = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changed)) {
    if (value) params.set(name, value);
    else params.delete(name);
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

/** Changes the query in place: a choice is no step that "back" would have to undo. */
export function changeQuery(changed: Record<string, string | null>): void {
  const { pathname, search } = window.location;
  window.history.replaceState(window.history.state, "", pathname + queryWith(search, changed));
  tell();
}
