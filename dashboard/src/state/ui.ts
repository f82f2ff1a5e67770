import { create } from "zustand";
import type { LinkState } from "../wire/live";
import type { StatusFrame } from "../wire/types";

/** What a person chose, and what the line says about itself once a second. Samples never come here. */
export type Theme = "system" | "light" | "dark";
export type Range = "live" | "15m" | "1h" | "6h" | "24h" | "7d" | "30d";

interface Ui {
  tenant: string;
  theme: Theme;
  range: Range;
  /** The query of the fleet when it was last left: the way back leads to what was chosen there. */
  fleet: string;
  link: LinkState;
  status: StatusFrame | null;
  /** Raised when history that was fetched may lack rows. */
  gaps: number;
}

const THEME = "headwater.theme";

function stored(): Theme {
  const theme = localStorage.getItem(THEME);
  return theme === "light" || theme === "dark" ? theme : "system";
}

export const useUi = create<Ui>(() => ({
  tenant: "demo",
  theme: stored(),
  range: "live",
  fleet: "",
  link: { kind: "idle" },
  status: null,
  gaps: 0,
}));

export function setTheme(theme: Theme): void {
  if (theme === "system") localStorage.removeItem(THEME);
  else localStorage.setItem(THEME, theme);
  useUi.setState({ theme });
}

/** Puts the choice on the page; without one the system's holds, also when it changes at dusk. */
export function applyTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

const TENANT = "headwater.tenant";

/** `?tenant=` chooses whose devices are shown, for as long as the tab lives. */
export function takeTenantFromAddress(): void {
  const tenant = new URL(window.location.href).searchParams.get("tenant") ?? sessionStorage.getItem(TENANT);
  if (!tenant) return;
  sessionStorage.setItem(TENANT, tenant);
  useUi.setState({ tenant });
}

const NAME = "headwater.name";

/** Under which name a person acknowledges alerts, as they said it last. */
export const getName = (): string => localStorage.getItem(NAME) ?? "";

export function setName(name: string): void {
  localStorage.setItem(NAME, name);
}
