import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { dayTime, shortTime } from "../format/time";
import { axisSplits, formatAxis, type Metric } from "../format/units";
import type { Drawn, Stats } from "./chart-data";
import { drawLabels, drawLevels } from "./draw-limits";
import { onFrame } from "./frames";
import { isShown, type Limit, withinReach } from "./limits";
import { getPalette, paletteVersion } from "./palette";
import { timeLabels, timeSplits } from "./time-axis";

/** One point under the cursor, or null when there is none. */
export interface Hover {
  t: number;
  mean: number;
  min: number | null;
  max: number | null;
}

export interface ChartSource {
  /** Changes when there is something new to draw. */
  version(): number | string;
  draw(from: number): Drawn;
  window(): [from: number, to: number];
}

interface Props {
  metric: Metric;
  source: ChartSource;
  label: string;
  /** Draws a dot at the newest point. */
  head: boolean;
  /** Levels of rules, drawn where they are within reach of the values. */
  limits: Limit[];
  onHover(hover: Hover | null): void;
  onStats(stats: Stats): void;
  /** Which of the limits the chart has room for, each time it is drawn. */
  onLimits(shown: boolean[]): void;
}

const FONT = '11px "Inter Variable", system-ui, sans-serif';
/** The cursors of all charts of a screen move together. */
const SYNC = "device";

/** The y range: padded, and never narrower than half a percent of the value, or noise would fill the chart. */
function yRange(_: uPlot, low: number | null, high: number | null): [number, number] {
  if (low === null || high === null || !Number.isFinite(low)) return [0, 1];
  const least = Math.max(Math.abs(low), Math.abs(high)) * 0.005 || 1;
  const span = Math.max(high - low, least);
  const middle = (high + low) / 2;
  const pad = span * 0.62;
  // A quantity that is never negative keeps its zero line when it comes near.
  return [low >= 0 && middle - pad < 0 ? 0 : middle - pad, middle + pad];
}

/** The largest size on the y axis: it decides the scale of all its labels. */
function extreme(u: uPlot): number {
  const { min = 0, max = 0 } = u.scales.y ?? {};
  return Math.max(Math.abs(min ?? 0), Math.abs(max ?? 0));
}

/** A label that would not fit at the right end is left out: it would be cut. */
function xLabels(u: uPlot, splits: number[]): string[] {
  const { min, max } = u.scales.x ?? {};
  const labels = timeLabels(splits, (max ?? 0) - (min ?? 0));
  const end = u.bbox.width / (window.devicePixelRatio || 1) - 12;
  return splits.map((t, i) => (u.valToPos(t, "x") > end ? "" : (labels[i] as string)));
}

function options(props: Props, width: number, height: number, latest: () => Props): uPlot.Options {
  const none = { show: false };
  // Without values there is nothing that a level could be near to.
  const levels = (low: number | null) => (low === null ? [] : latest().limits.map(({ level }) => level));
  // Few points are shown as points: one alone would be no line and so not be seen at all.
  const dots: uPlot.Series.Points = {
    show: (u) => u.data[0].length < 8,
    size: 4,
    width: 0,
    fill: () => getPalette().line,
  };
  return {
    width,
    height,
    ms: 1,
    padding: [8, 6, 0, 0],
    legend: none,
    cursor: {
      drag: { x: false, y: false, setScale: false },
      sync: { key: SYNC, setSeries: false },
      x: true,
      y: false,
      points: { size: 7, width: 1.5, stroke: () => getPalette().surface, fill: () => getPalette().line },
    },
    scales: {
      x: { time: true, auto: false },
      y: { range: (u, low, high) => withinReach(...yRange(u, low, high), levels(low)) },
    },
    series: [
      {},
      { stroke: () => getPalette().line, width: 1.5, points: dots, spanGaps: false },
      { stroke: "transparent", width: 0, points: none, spanGaps: false },
      { stroke: "transparent", width: 0, points: none, spanGaps: false },
    ],
    bands: [{ series: [3, 2], fill: () => getPalette().band }],
    axes: [
      {
        stroke: () => getPalette().text,
        font: FONT,
        size: 26,
        gap: 6,
        splits: (u, _, low, high) => timeSplits(low, high, u.width / 62),
        grid: none,
        ticks: none,
        values: xLabels,
      },
      {
        stroke: () => getPalette().text,
        font: FONT,
        size: (_, values) => Math.max(30, ...(values ?? []).map((v) => v.length * 6.6 + 12)),
        gap: 6,
        splits: (u, _, low, high) => axisSplits(props.metric, low, high, u.height / 44),
        grid: { stroke: () => getPalette().grid, width: 1 },
        ticks: none,
        values: (u, splits) => formatAxis(props.metric, splits, extreme(u)),
      },
    ],
    hooks: {
      setCursor: [(u) => latest().onHover(pointAt(u))],
      drawAxes: [(u) => limitsOn(u, latest())],
      draw: [...(props.head ? [drawHead] : []), (u) => drawLabels(u, props.metric, latest().limits)],
    },
  };
}

/** The levels lie over the grid and under the line. */
function limitsOn(u: uPlot, { limits, onLimits }: Props): void {
  drawLevels(u, limits);
  const { min, max } = u.scales.y ?? {};
  onLimits(limits.map(({ level }) => isShown(level, min ?? Number.NaN, max ?? Number.NaN)));
}

function drawHead(u: uPlot): void {
  const [xs, ys] = u.data as [number[], (number | null)[]];
  let i = xs.length - 1;
  while (i >= 0 && ys[i] === null) i -= 1;
  if (i < 0) return;
  const x = u.valToPos(xs[i] as number, "x", true);
  const y = u.valToPos(ys[i] as number, "y", true);
  if (x < u.bbox.left || x > u.bbox.left + u.bbox.width + 8) return;
  const ratio = window.devicePixelRatio || 1;
  const { line, surface } = getPalette();
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.arc(x, y, 3.5 * ratio, 0, 2 * Math.PI);
  u.ctx.fillStyle = line;
  u.ctx.strokeStyle = surface;
  u.ctx.lineWidth = 2 * ratio;
  u.ctx.fill();
  u.ctx.stroke();
  u.ctx.restore();
}

function pointAt(u: uPlot): Hover | null {
  const i = u.cursor.idx;
  if (i === null || i === undefined || u.cursor.left === undefined || u.cursor.left < 0) return null;
  const mean = u.data[1]?.[i];
  if (mean === null || mean === undefined) return null;
  return { t: u.data[0][i] as number, mean, min: u.data[2]?.[i] ?? null, max: u.data[3]?.[i] ?? null };
}

/** A line with its min-max band. It draws by itself when its source has changed; React only makes and ends it. */
export function LineChart(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const { source, head, metric } = props;

  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const size = () => [element.clientWidth, element.clientHeight] as const;
    const u = new uPlot(
      options({ ...latest.current, metric, head }, ...size(), () => latest.current),
      [[], [], [], []],
      element,
    );
    const resized = new ResizeObserver(() => {
      const [width, height] = size();
      if (width && (width !== u.width || height !== u.height)) u.setSize({ width, height });
    });
    resized.observe(element);
    const stop = onFrame(painter(u, source, () => latest.current));
    const keys = (event: KeyboardEvent) => moveCursor(u, event);
    element.addEventListener("keydown", keys);
    return () => {
      element.removeEventListener("keydown", keys);
      stop();
      resized.disconnect();
      u.destroy();
    };
  }, [source, metric, head]);

  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys move the readout along the line
    <div ref={box} className="chart" role="img" aria-label={props.label} tabIndex={0} />
  );
}

/** Draws when the data or the scheme changed, and otherwise once a second so that time moves on. */
function painter(u: uPlot, source: ChartSource, latest: () => Props): (now: number) => void {
  let limits: Limit[] = [];
  let seen: number | string = "";
  let scheme = -1;
  let drawn = Number.NEGATIVE_INFINITY;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  return (now) => {
    const version = source.version();
    const dirty =
      scheme !== paletteVersion || limits !== latest().limits || (version !== seen && !calm.matches);
    if (!dirty && now - drawn < 950) return;
    const [from, to] = source.window();
    const changed = version !== seen;
    seen = version;
    scheme = paletteVersion;
    limits = latest().limits;
    drawn = now;
    u.batch(() => {
      if (changed) {
        const { data, stats } = source.draw(from);
        u.setData(data as uPlot.AlignedData, false);
        latest().onStats(stats);
      }
      u.setScale("x", { min: from, max: to });
    });
  };
}

function moveCursor(u: uPlot, event: KeyboardEvent): void {
  const step = {
    ArrowLeft: -1,
    ArrowRight: 1,
    Home: Number.NEGATIVE_INFINITY,
    End: Number.POSITIVE_INFINITY,
  }[event.key];
  if (event.key === "Escape") {
    u.setCursor({ left: -10, top: -10 });
    return;
  }
  if (step === undefined) return;
  event.preventDefault();
  const last = u.data[0].length - 1;
  const now = (u.cursor.left ?? -1) >= 0 ? (u.cursor.idx ?? last) : last + 1;
  const index = Math.max(0, Math.min(last, now + step));
  u.setCursor({ left: u.valToPos(u.data[0][index] as number, "x"), top: 10 });
}

export function readoutTime(t: number, spanMs: number): string {
  if (spanMs > 20 * 3_600_000) return dayTime(t);
  const seconds = String(new Date(t).getSeconds()).padStart(2, "0");
  return `${shortTime(t)}:${seconds}`;
}
