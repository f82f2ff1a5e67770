import { useSyncExternalStore } from "react";

export type Route =
  | { page: "fleet" }
  | { page: "device"; device: string }
  | { page: "unknown"; path: string };

export function parsePath(path: string): Route {
  if (path === "/" || path === "" || path === "/index.html") return { page: "fleet" };
  const match = /^\/devices\/([^/]+)\/?$/.exec(path);
  if (!match) return { page: "unknown", path };
  try {
    return { page: "device", device: decodeURIComponent(match[1] as string) };
  } catch {
    return { page: "unknown", path };
  }
}

export const devicePath = (device: string) => `/devices/${encodeURIComponent(device)}`;

const listeners = new Set<() => void>();
const tell = () => {
  for (const listener of listeners) listener();
};

export function navigate(path: string): void {
  if (path === window.location.pathname) return;
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
