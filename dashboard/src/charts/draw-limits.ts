import type uPlot from "uplot";
import { formatText, type Metric } from "../format/units";
import { isShown, type Limit } from "./limits";
import { getPalette } from "./palette";

const FONT_PX = 10.5;

/** Draws the levels that the axis shows: each as a line with its severity, and lighter, dashed, where it clears. */
export function drawLimits(u: uPlot, metric: Metric, limits: Limit[]): void {
  const { min, max } = u.scales.y ?? {};
  if (!limits.length || min === undefined || max === undefined || min === null || max === null) return;
  const ratio = window.devicePixelRatio || 1;
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const limit of limits) {
    ctx.strokeStyle = getPalette().severity[limit.severity];
    ctx.lineWidth = ratio;
    if (limit.clear !== null && isShown(limit.clear, min, max))
      line(u, limit.clear, 0.55, [3 * ratio, 4 * ratio]);
    if (isShown(limit.level, min, max)) line(u, limit.level, 0.9, []);
  }
  for (const limit of limits) if (isShown(limit.level, min, max)) label(u, metric, limit, ratio);
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
