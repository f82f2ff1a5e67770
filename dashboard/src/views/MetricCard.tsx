import { useQuery } from "@tanstack/react-query";
import { type Ref, useEffect, useMemo, useRef } from "react";
import { type Drawn, fromBuckets, fromPanes, fromTrace, LEVEL_MS, type Stats } from "../charts/chart-data";
import { invalidate, onFrame } from "../charts/frames";
import { type ChartSource, type Hover, LineChart, readoutTime } from "../charts/LineChart";
import { type Limit, limitsOf } from "../charts/limits";
import { SEVERITY } from "../format/alerts";
import { describe, formatText, formatValue, type Metric } from "../format/units";
import { POINTS, RANGES } from "../state/ranges";
import { clock } from "../state/session";
import { type Range, useUi } from "../state/ui";
import type { Episode, Rule } from "../wire/alert-types";
import { ApiError, fetchSeries } from "../wire/rest";
import type { LiveDevice, Series } from "../wire/store";
import type { Series as History, Named } from "../wire/types";
import { SeverityBadge, SeverityMark } from "./Severity";

/** A device whose clock is this far off is drawn by its own clock, or its live line would be out of the window. */
const OWN_TIME_MS = 15_000;

interface Props {
  series: Series;
  device: LiveDevice;
  range: Range;
  /** It is a site or a model: the newest reading is one device's, so the mean of all is drawn and said. */
  whole?: boolean;
  /** What a model says of the metric. */
  said: Named | undefined;
  /** The rules that mean the device; a site or a model has none. */
  rules?: Rule[] | undefined;
  /** The worst alert that is active on this metric. */
  alert?: Episode | undefined;
}

export function MetricCard({ series, device, range, whole = false, said, rules, alert }: Props) {
  const metric = describe(series.metric, said);
  const history = useHistory(series, range);
  const limits = useMemo(() => limitsOf(rules ?? [], series.metric), [rules, series.metric]);
  const beyond = useRef<HTMLUListElement>(null);
  const source = useSource(series, device, range, whole, history.data);
  const readout = useRef<HTMLSpanElement>(null);
  const stats = useRef<Stats | null>(null);
  const hover = useRef<Hover | null>(null);
  const say = () => {
    if (!readout.current) return;
    readout.current.innerHTML = "";
    readout.current.append(...parts(metric, hover.current, stats.current, RANGES[range].ms));
  };
  // A metric that the store has not heard of yet has no past: that is no failure.
  const failed =
    history.error && !(history.error instanceof ApiError && history.error.status === 404)
      ? history.error
      : null;
  const head = range === "live" || range === "15m" || range === "1h";
  return (
    <article
      className={`card metric ${alert ? `alerting sev ${alert.severity}` : ""}`}
      data-metric={series.metric}
      data-alert={alert?.severity}
      aria-label={metric.label}
    >
      <header>
        <h2>
          <span className="name">
            {metric.label}
            {alert && <SeverityBadge severity={alert.severity} />}
          </span>
          <code>{series.metric}</code>
        </h2>
        <Now series={series} metric={metric} whole={whole} />
        <span ref={readout} className="readout" />
      </header>
      <LineChart
        metric={metric}
        source={source}
        head={head}
        limits={limits}
        onLimits={(shown) => markBeyond(beyond.current, shown)}
        label={`${metric.label}, ${RANGES[range].says}: mean as a line, least to greatest as a band. Arrow keys read it out.`}
        onHover={(at) => {
          hover.current = at;
          say();
        }}
        onStats={(seen) => {
          stats.current = seen;
          if (!hover.current) say();
        }}
      />
      {limits.length > 0 && <Limits ref={beyond} metric={metric} limits={limits} />}
      {failed && <p className="fine failed">The past did not come: {failed.message}</p>}
      {history.isSuccess && history.data.columns.t.length === 0 && !head && (
        <p className="fine overlay">Nothing recorded in {RANGES[range].says}.</p>
      )}
    </article>
  );
}

/** The levels in words: what the lines mean, and which of them are beyond the chart. */
function Limits({ ref, metric, limits }: { ref: Ref<HTMLUListElement>; metric: Metric; limits: Limit[] }) {
  return (
    <ul ref={ref} className="limits" aria-label="Levels of rules">
      {limits.map(({ rule, severity, side, level, clear }) => (
        <li key={`${rule} ${severity} ${side}`} className={`sev ${severity}`} data-level={level}>
          <SeverityMark severity={severity} />
          {SEVERITY[severity]} {side} {formatText(metric, level)}
          {clear !== null && <small>, clears at {formatText(metric, clear)}</small>}
          <small className="beyond"> (beyond the chart)</small>
        </li>
      ))}
    </ul>
  );
}

function markBeyond(list: HTMLUListElement | null, shown: boolean[]): void {
  shown.forEach((is, i) => {
    const item = list?.children[i];
    if (item && item.getAttribute("data-shown") !== String(is)) item.setAttribute("data-shown", String(is));
  });
}

/** The past of the range; at the 10 s level it goes into the panes that the live rows amend. */
function useHistory(series: Series, range: Range) {
  const tenant = useUi((ui) => ui.tenant);
  const gaps = useUi((ui) => ui.gaps);
  const { ms, refetchMs } = RANGES[range];
  return useQuery({
    queryKey: ["series", tenant, series.device, series.metric, range, gaps],
    queryFn: async ({ signal }) => {
      const to = Math.ceil(clock.now()) + 60_000;
      const level = ms <= 3_600_000 ? "10s" : "auto";
      const { device, metric } = series;
      const from = to - ms - 120_000;
      const past = await fetchSeries({ tenant, device, metric, from, to, level, points: POINTS }, signal);
      if (past.level === "10s" && ms <= 3_600_000) series.fill(past.columns);
      invalidate();
      return past;
    },
    refetchInterval: refetchMs,
    placeholderData: (before, query) => (query?.queryKey[4] === range ? before : undefined),
  });
}

function useSource(
  series: Series,
  device: LiveDevice,
  range: Range,
  whole: boolean,
  past: History | undefined,
): ChartSource {
  const held = useRef(past);
  held.current = past;
  return useMemo(() => {
    const panes = series.open();
    const { ms } = RANGES[range];
    const none: Drawn = { data: [[], [], [], []], stats: { n: 0, mean: Number.NaN, min: 0, max: 0 } };
    const draw = (from: number): Drawn => {
      if (range === "live" && !whole) return fromTrace(series.trace, panes, from);
      if (ms <= 3_600_000) return fromPanes(panes, from);
      const now = held.current;
      return now ? fromBuckets(now.columns, LEVEL_MS[now.level], from) : none;
    };
    return {
      draw,
      version: () => (ms <= 3_600_000 ? series.version : `${held.current?.to ?? 0}`),
      window: () => {
        const skew = device.skew ?? 0;
        const to = clock.now() - (Math.abs(skew) > OWN_TIME_MS ? skew : 0);
        return [to - ms, to];
      },
    };
  }, [series, device, range, whole]);
}

/** The last value, as it comes; of a site or a model the mean of the newest pane. */
function Now({ series, metric, whole }: { series: Series; metric: Metric; whole: boolean }) {
  const value = useRef<HTMLElement>(null);
  const unit = useRef<HTMLElement>(null);
  useEffect(() => {
    let seen = -1;
    return onFrame(() => {
      if (series.version === seen || !value.current || !unit.current) return;
      seen = series.version;
      const reading = formatValue(metric, whole ? series.mean : series.last);
      value.current.textContent = reading.value;
      unit.current.textContent = reading.unit;
    });
  }, [series, metric, whole]);
  return (
    <p className="big" data-live={series.metric}>
      <b ref={value} />
      <small ref={unit} />
    </p>
  );
}

/** What stands at the right of a card: the point under the cursor, or else the figures of the whole range. */
function parts(metric: Metric, hover: Hover | null, stats: Stats | null, spanMs: number): Node[] {
  const item = (label: string, text: string) => {
    const box = document.createElement("span");
    const name = document.createElement("i");
    name.textContent = label;
    box.append(name, text);
    return box;
  };
  if (hover) {
    const out = [item("", readoutTime(hover.t, spanMs)), item("mean", formatText(metric, hover.mean))];
    if (hover.min !== null && hover.max !== null)
      out.push(item("min", formatText(metric, hover.min)), item("max", formatText(metric, hover.max)));
    return out;
  }
  if (!stats?.n) return [];
  return [
    item("min", formatText(metric, stats.min)),
    item("mean", formatText(metric, stats.mean)),
    item("max", formatText(metric, stats.max)),
  ];
}
