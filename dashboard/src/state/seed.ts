import { invalidate } from "../charts/frames";
import { fetchSeries } from "../wire/rest";
import type { Series } from "../wire/store";
import { clock } from "./session";
import { useUi } from "./ui";

/**
 * Fills the two minutes before the first live row into the sparklines that are on the screen, few at a time: a
 * scroll through thousands of devices must not become thousands of questions.
 */
const ABREAST = 3;
const LINGER_MS = 250;
const WINDOW_MS = 130_000;

const waiting: Series[] = [];
let running = 0;

export function seedSoon(series: Series): () => void {
  if (series.seeded) return () => {};
  const timer = setTimeout(() => {
    waiting.push(series);
    pump();
  }, LINGER_MS);
  return () => {
    clearTimeout(timer);
    const at = waiting.indexOf(series);
    if (at >= 0) waiting.splice(at, 1);
  };
}

function pump(): void {
  while (running < ABREAST && waiting.length) {
    const series = waiting.shift() as Series;
    if (series.seeded) continue;
    series.seeded = true;
    running += 1;
    void fetchSeed(series).finally(() => {
      running -= 1;
      pump();
    });
  }
}

async function fetchSeed(series: Series): Promise<void> {
  const to = Math.ceil(clock.now());
  const { device, metric } = series;
  const { tenant } = useUi.getState();
  try {
    const past = await fetchSeries({
      tenant,
      device,
      metric,
      from: to - WINDOW_MS,
      to,
      level: "10s",
      points: 60,
    });
    series.seed(past.columns);
    invalidate();
  } catch {
    // A sparkline without a past is still a sparkline; what fails for everybody is said elsewhere.
  }
}
