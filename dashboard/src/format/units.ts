import type { Named } from "../wire/types";

/**
 * Names and units from metric names: `memory_used_bytes` reads "Memory used" and scales to GiB.
 *
 * The unit is the longest suffix that is known. A name without one has no unit: none is invented. What the model of a
 * device says of a metric counts for more than its name.
 */
interface Unit {
  suffix: string;
  symbol: string;
  /** Steps that large values move up by, with the symbols they take. */
  scale?: { step: number; symbols: string[] };
  /** Always this many decimals, whatever the size. */
  decimals?: number;
}

const binary = (per = "") => ({
  step: 1024,
  symbols: ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].map((s) => s + per),
});
const decimal = (unit: string, symbols = ["", "k", "M", "G", "T"]) => ({
  step: 1000,
  symbols: symbols.map((s) => s + unit),
});

const UNITS: Unit[] = [
  { suffix: "bytes_per_s", symbol: "B/s", scale: binary("/s") },
  { suffix: "bytes_per_second", symbol: "B/s", scale: binary("/s") },
  { suffix: "bits_per_s", symbol: "bit/s", scale: decimal("bit/s") },
  { suffix: "bps", symbol: "bit/s", scale: decimal("bit/s") },
  { suffix: "bytes", symbol: "B", scale: binary() },
  { suffix: "percent", symbol: "%", decimals: 1 },
  { suffix: "pct", symbol: "%", decimals: 1 },
  { suffix: "ratio", symbol: "", decimals: 3 },
  { suffix: "c", symbol: "°C", decimals: 1 },
  { suffix: "celsius", symbol: "°C", decimals: 1 },
  { suffix: "f", symbol: "°F", decimals: 1 },
  { suffix: "fahrenheit", symbol: "°F", decimals: 1 },
  { suffix: "k", symbol: "K" },
  { suffix: "mv", symbol: "mV" },
  { suffix: "v", symbol: "V" },
  { suffix: "volt", symbol: "V" },
  { suffix: "volts", symbol: "V" },
  { suffix: "kv", symbol: "kV" },
  { suffix: "ma", symbol: "mA" },
  { suffix: "a", symbol: "A" },
  { suffix: "ampere", symbol: "A" },
  { suffix: "amps", symbol: "A" },
  { suffix: "mw", symbol: "mW" },
  { suffix: "w", symbol: "W", scale: decimal("W") },
  { suffix: "watt", symbol: "W", scale: decimal("W") },
  { suffix: "watts", symbol: "W", scale: decimal("W") },
  { suffix: "kw", symbol: "kW" },
  { suffix: "wh", symbol: "Wh", scale: decimal("Wh") },
  { suffix: "kwh", symbol: "kWh" },
  { suffix: "va", symbol: "VA" },
  { suffix: "pa", symbol: "Pa" },
  { suffix: "hpa", symbol: "hPa", decimals: 1 },
  { suffix: "kpa", symbol: "kPa" },
  { suffix: "mpa", symbol: "MPa" },
  { suffix: "mbar", symbol: "mbar" },
  { suffix: "bar", symbol: "bar" },
  { suffix: "psi", symbol: "psi" },
  { suffix: "ghz", symbol: "GHz" },
  { suffix: "mhz", symbol: "MHz", decimals: 0 },
  { suffix: "khz", symbol: "kHz" },
  { suffix: "hz", symbol: "Hz" },
  { suffix: "rpm", symbol: "rpm", decimals: 0 },
  { suffix: "l_per_min", symbol: "l/min" },
  { suffix: "l_per_s", symbol: "l/s" },
  { suffix: "l_per_h", symbol: "l/h" },
  { suffix: "m3_per_h", symbol: "m³/h" },
  { suffix: "m3", symbol: "m³" },
  { suffix: "ml", symbol: "ml" },
  { suffix: "l", symbol: "l" },
  { suffix: "mm_per_s", symbol: "mm/s" },
  { suffix: "m_per_s", symbol: "m/s" },
  { suffix: "m_per_s2", symbol: "m/s²" },
  { suffix: "mm_per_h", symbol: "mm/h" },
  { suffix: "kmh", symbol: "km/h" },
  { suffix: "km_per_h", symbol: "km/h" },
  { suffix: "mm", symbol: "mm" },
  { suffix: "cm", symbol: "cm" },
  { suffix: "km", symbol: "km" },
  { suffix: "m", symbol: "m" },
  { suffix: "us", symbol: "µs" },
  { suffix: "ms", symbol: "ms" },
  { suffix: "s", symbol: "s" },
  { suffix: "seconds", symbol: "s" },
  { suffix: "lux", symbol: "lx", decimals: 0 },
  { suffix: "lx", symbol: "lx", decimals: 0 },
  { suffix: "w_per_m2", symbol: "W/m²" },
  { suffix: "ppm", symbol: "ppm", decimals: 0 },
  { suffix: "ppb", symbol: "ppb", decimals: 0 },
  { suffix: "ug_m3", symbol: "µg/m³" },
  { suffix: "ug_per_m3", symbol: "µg/m³" },
  { suffix: "dbm", symbol: "dBm" },
  { suffix: "db", symbol: "dB" },
  { suffix: "kg", symbol: "kg" },
  { suffix: "g", symbol: "g" },
  { suffix: "n", symbol: "N" },
  { suffix: "nm", symbol: "Nm" },
  { suffix: "deg", symbol: "°" },
  { suffix: "per_s", symbol: "/s" },
  { suffix: "per_min", symbol: "/min" },
];
UNITS.sort((a, b) => b.suffix.length - a.suffix.length);

/** Words that stay as engineers write them. */
const WORDS: Record<string, string> = {
  cpu: "CPU",
  gpu: "GPU",
  ram: "RAM",
  io: "I/O",
  ph: "pH",
  co2: "CO₂",
  no2: "NO₂",
  o3: "O₃",
  voc: "VOC",
  tvoc: "TVOC",
  pm25: "PM2.5",
  pm10: "PM10",
  pm1: "PM1",
  rssi: "RSSI",
  snr: "SNR",
  rx: "RX",
  tx: "TX",
  rpm: "RPM",
  uv: "UV",
  id: "ID",
};

export interface Reading {
  value: string;
  unit: string;
}

export interface Metric {
  name: string;
  label: string;
  unit: Unit | null;
  /** A value as it was sent, times this, is in the unit. */
  factor: number;
}

const known = new Map<string, Metric>();

/** The same for the same, so that whoever draws sees from its identity that nothing has changed. */
export function describe(name: string, said?: Named): Metric {
  const key = said ? JSON.stringify([name, said.unit, said.scale, said.title]) : name;
  let metric = known.get(key);
  if (!metric) {
    metric = said ? withSaid(parse(name), said) : parse(name);
    known.set(key, metric);
  }
  return metric;
}

function withSaid(by: Metric, { unit, scale, title }: Named): Metric {
  const label = title || by.label;
  // By a scale below zero "above" would be "below": such values are shown as they come, and their unit is not known.
  if (scale <= 0) return { ...by, label, unit: null };
  if (unit) return { ...by, label, unit: unitOf(unit, by), factor: scale };
  // Scaled, they are no longer in the unit of the name.
  return { ...by, label, unit: scale === 1 ? by.unit : null, factor: scale };
}

/** A unit that is known has its steps and decimals; any other is said as it is. */
function unitOf(symbol: string, by: Metric): Unit {
  if (by.unit?.symbol === symbol) return by.unit;
  return UNITS.find((unit) => unit.symbol === symbol) ?? { suffix: "", symbol };
}

/** "phase_a" and "zone_c" are names and no quantities. */
const LETTERED =
  /(^|_)(phase|line|zone|axis|channel|sensor|tank|pump|unit|port|room|slot|group|block|bay)_[a-z]$/;

function parse(name: string): Metric {
  const lower = name.toLowerCase().replace(/[.\-/\s]+/g, "_");
  const unit = LETTERED.test(lower) ? null : (UNITS.find((u) => lower.endsWith(`_${u.suffix}`)) ?? null);
  // "fan_rpm" is "Fan"; a metric that is called "rpm" keeps its name and has its unit all the same.
  const whole = unit ? null : (UNITS.find((u) => u.suffix === lower && u.suffix.length > 2) ?? null);
  const stem = unit ? lower.slice(0, -unit.suffix.length - 1) : lower;
  return { name, label: sentence(stem) || name, unit: unit ?? whole, factor: 1 };
}

function sentence(stem: string): string {
  const words = stem.split("_").filter(Boolean);
  return words
    .map((word, i) => WORDS[word] ?? (i === 0 ? word.charAt(0).toUpperCase() + word.slice(1) : word))
    .join(" ");
}

/** The step of the scale that a value of this size, as it was sent, is read at. */
export function scaleOf(metric: Metric, size: number): { divide: number; unit: string } {
  const { unit, factor } = metric;
  const scale = unit?.scale;
  if (!scale) return { divide: 1 / factor, unit: unit?.symbol ?? "" };
  let step = 0;
  let divide = 1 / factor;
  while (Math.abs(size) / divide >= scale.step && step < scale.symbols.length - 1) {
    step += 1;
    divide *= scale.step;
  }
  return { divide, unit: scale.symbols[step] as string };
}

function decimals(metric: Metric, value: number, scaled: boolean): number {
  const size = Math.abs(value);
  if (scaled && metric.unit?.symbol.startsWith("B") && size < 1024 && Number.isInteger(value)) return 0;
  if (metric.unit?.decimals !== undefined) return metric.unit.decimals;
  if (size >= 1000) return 0;
  if (size >= 100) return 1;
  if (size >= 1) return 2;
  return size === 0 ? 0 : 3;
}

const formats = new Map<number, Intl.NumberFormat>();

function fixed(value: number, digits: number): string {
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  // A true minus is as wide as a digit, so a value that changes sign does not jump; and "-0.0" is "0.0".
  const text = format.format(value);
  return /^-[0.,]*$/.test(text) ? text.slice(1) : text.replace("-", "−").replace(/,/g, "\u202f");
}

export function formatValue(metric: Metric, value: number | null | undefined): Reading {
  if (value === null || value === undefined || !Number.isFinite(value)) return { value: "–", unit: "" };
  const { divide, unit } = scaleOf(metric, value);
  const shown = value / divide;
  return { value: fixed(shown, decimals(metric, shown, divide === 1)), unit };
}

export function formatText(metric: Metric, value: number | null | undefined): string {
  const { value: text, unit } = formatValue(metric, value);
  return unit ? `${text} ${unit}` : text;
}

/** Where an axis is labelled: round numbers of the unit that is shown, which are not round in bytes. */
export function axisSplits(metric: Metric, low: number, high: number, most: number): number[] {
  const { divide } = scaleOf(metric, Math.max(Math.abs(low), Math.abs(high)));
  const raw = (high - low) / divide / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5].find((factor) => factor * power >= raw * (1 - 1e-9)) ?? 10);
  const first = Math.ceil(low / divide / step - 1e-9);
  const last = Math.floor(high / divide / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step * divide);
}

/** Axis labels: all of one scale, and just as many decimals as tell neighbours apart. */
export function formatAxis(metric: Metric, splits: number[], size: number): string[] {
  const { divide } = scaleOf(metric, size);
  const shown = splits.map((split) => split / divide);
  let digits = 0;
  while (digits < 6 && shown.some((v) => Math.abs(v - Number(v.toFixed(digits))) > Math.abs(v) * 1e-9 + 1e-9))
    digits += 1;
  return shown.map((value) => fixed(value, digits));
}

export function formatCount(value: number): string {
  return fixed(value, 0);
}

/** 12 345 678 -> "12.3 M": for a bar where the size matters and not the digit. */
export function formatCompact(value: number): string {
  if (value < 10_000) return fixed(value, value < 10 && !Number.isInteger(value) ? 1 : 0);
  const unit = value < 1e6 ? "k" : "M";
  const shown = value / (value < 1e6 ? 1e3 : 1e6);
  return `${fixed(shown, shown < 100 ? 1 : 0)} ${unit}`;
}

/** A delay: ms below a second, else s. */
export function formatDelay(ms: number | null | undefined): Reading {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return { value: "–", unit: "" };
  if (Math.abs(ms) < 1000) return { value: fixed(ms, 0), unit: "ms" };
  if (Math.abs(ms) < 10_000) return { value: fixed(ms / 1000, 2), unit: "s" };
  if (Math.abs(ms) < 120_000) return { value: fixed(ms / 1000, 1), unit: "s" };
  return { value: fixed(ms / 60_000, 0), unit: "min" };
}
