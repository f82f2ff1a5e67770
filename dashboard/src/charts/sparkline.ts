import type { Columns } from "../wire/columns";
import { getPalette } from "./palette";

export interface SparkOptions {
  /** How much time the width stands for. */
  windowMs: number;
  /** Column of the value; the time is column 0. */
  column?: number;
  /** Samples further apart than this are not joined. */
  gapMs?: number;
  muted?: boolean;
  fromZero?: boolean;
}

const PAD = 3;

/** Draws the end of a trace onto a canvas, with a dot at its head. */
export function drawSparkline(canvas: HTMLCanvasElement, data: Columns, options: SparkOptions): void {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const ctx = canvas.getContext("2d");
  if (!ctx || !width || !height) return;
  matchPixels(canvas, ctx, width, height);
  const { windowMs, column = 1, gapMs = 25_000, muted = false, fromZero = false } = options;
  if (!data.length) return;
  const to = data.newest;
  const from = to - windowMs;
  const start = data.search(from);
  const [low, high] = extent(data, column, start, fromZero);
  const x = (t: number) => PAD + ((t - from) / windowMs) * (width - 2 * PAD);
  const y = (v: number) => height - PAD - ((v - low) / (high - low)) * (height - 2 * PAD);
  const palette = getPalette();
  ctx.strokeStyle = muted ? palette.muted : palette.line;
  ctx.lineWidth = 1.25;
  ctx.lineJoin = "round";
  ctx.beginPath();
  let before = Number.NEGATIVE_INFINITY;
  for (let i = start; i < data.length; i += 1) {
    const t = data.at(0, i);
    if (t - before > gapMs) ctx.moveTo(x(t), y(data.at(column, i)));
    else ctx.lineTo(x(t), y(data.at(column, i)));
    before = t;
  }
  ctx.stroke();
  ctx.fillStyle = ctx.strokeStyle;
  ctx.beginPath();
  ctx.arc(x(to), y(data.at(column, data.length - 1)), 1.75, 0, 2 * Math.PI);
  ctx.fill();
}

function matchPixels(
  canvas: HTMLCanvasElement,
  ctx: CanvasRenderingContext2D,
  width: number,
  height: number,
): void {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.round(width * ratio);
  const h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
}

/** The span of the values, never so narrow that the noise of a steady value fills the height. */
function extent(data: Columns, column: number, start: number, fromZero: boolean): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = start; i < data.length; i += 1) {
    const value = data.at(column, i);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (fromZero) low = Math.min(0, low);
  const least = Math.max(Math.abs(low), Math.abs(high)) * 0.01 || 1;
  if (high - low < least) {
    const middle = (high + low) / 2;
    return fromZero ? [low, low + least] : [middle - least / 2, middle + least / 2];
  }
  return [low, high];
}
