import type uPlot from "uplot";
import { formatText, type Metric } from "../format/units";
import { isShown, type Limit } from "./limits";
import { getPalette } from "./palette";

const FONT_PX = 10.5;

type Paint = (limit: Limit, low: number, high: number, ratio: number) => void;

/** Under the values: each level that the axis shows as a line, and lighter, dashed, where it clears. */
export function drawLevels(u: uPlot, limits: Limit[]): void {
  within(u, limits, ({ severity, level, clear }, low, high, ratio) => {
    u.ctx.strokeStyle = getPalette().severity[severity];
    u.ctx.lineWidth = ratio;
    if (clear !== null && isShown(clear, low, high)) line(u, clear, 0.55, [3 * ratio, 4 * ratio]);
    if (isShown(level, low, high)) line(u, level, 0.9, []);
  });
}

/** Over the values: what each level says. */
export function drawLabels(u: uPlot, metric: Metric, limits: Limit[]): void {
  within(u, limits, (limit, low, high, ratio) => {
    if (isShown(limit.level, low, high)) label(u, metric, limit, ratio);
  });
}

function within(u: uPlot, limits: Limit[], paint: Paint): void {
  const { min, max } = u.scales.y ?? {};
  if (!limits.length || min === undefined || max === undefined || min === null || max === null) return;
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const limit of limits) paint(limit, min, max, window.devicePixelRatio || 1);
  ctx.restore();
}

function line(u: uPlot, level: number, alpha: number, dash: number[]): void {
  const { ctx, bbox } = u;
  const y = Math.round(u.valToPos(level, "y", true)) + 0.5;
  ctx.globalAlpha = alpha;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
}

/** Stands on the side that is an alert, unless there is no room for it. */
function label(u: uPlot, metric: Metric, { severity, side, level }: Limit, ratio: number): void {
  const { ctx, bbox } = u;
  const palette = getPalette();
  const y = u.valToPos(level, "y", true);
  const height = FONT_PX * 1.4 * ratio;
  const over = side === "above" ? y - height > bbox.top : y + height > bbox.top + bbox.height;
  ctx.globalAlpha = 1;
  ctx.setLineDash([]);
  ctx.font = `550 ${FONT_PX * ratio}px "Inter Variable", system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = over ? "bottom" : "top";
  const text = `${severity} ${side} ${formatText(metric, level)}`;
  const [x, at] = [bbox.left + 4 * ratio, y + (over ? -2 : 3) * ratio];
  ctx.strokeStyle = palette.surface;
  ctx.lineWidth = 3 * ratio;
  ctx.lineJoin = "round";
  ctx.strokeText(text, x, at);
  ctx.fillStyle = palette.severity[severity];
  ctx.fillText(text, x, at);
}
