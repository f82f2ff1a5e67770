import { SEVERITIES, type Severity } from "../wire/alert-types";
import { invalidate } from "./frames";

/** The colours that a canvas needs, read from the style sheet, so that both schemes are defined in one place. */
export interface Palette {
  line: string;
  band: string;
  grid: string;
  text: string;
  surface: string;
  muted: string;
  severity: Record<Severity, string>;
}

let palette: Palette | null = null;
/** Rises when the scheme changes: everything drawn is stale then. */
export let paletteVersion = 0;

export function getPalette(): Palette {
  if (!palette) {
    const style = getComputedStyle(document.documentElement);
    const read = (name: string) => style.getPropertyValue(name).trim();
    palette = {
      line: read("--chart"),
      band: read("--chart-band"),
      grid: read("--chart-grid"),
      text: read("--text-3"),
      surface: read("--surface"),
      muted: read("--chart-muted"),
      severity: Object.fromEntries(
        SEVERITIES.map((severity) => [severity, read(`--${severity}`)]),
      ) as Palette["severity"],
    };
  }
  return palette;
}

export function paletteChanged(): void {
  palette = null;
  paletteVersion += 1;
  invalidate();
}
