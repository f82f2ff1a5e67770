import { memo, useEffect, useRef } from "react";
import { onFrame } from "../charts/frames";
import { paletteVersion } from "../charts/palette";
import { drawSparkline } from "../charts/sparkline";
import { reasonOf } from "../format/events";
import { ago } from "../format/time";
import { describe, formatValue } from "../format/units";
import { OWN_DEVICE } from "../state/fleet-list";
import { freshness } from "../state/freshness";
import { devicePath } from "../state/router";
import { seedSoon } from "../state/seed";
import { clock } from "../state/session";
import type { Severity } from "../wire/alert-types";
import type { LiveDevice, Series } from "../wire/store";
import type { Connection, Named } from "../wire/types";
import { Link } from "./Link";
import { Plug } from "./Plug";
import { Standings } from "./Severity";

const SPARK = { windowMs: 120_000 };

interface Props {
  device: LiveDevice;
  /** The names, joined, so that a row is made anew only when they change. */
  metrics: string;
  kind: string | null;
  site: string | null;
  model: string | null;
  tags: string;
  /** What its model says of its metrics. */
  named: Record<string, Named>;
  /** Whether site, model and tags have a column of their own; else they follow the kind. */
  facts: boolean;
  connection: Connection | null;
  cells: number;
  alerts: number;
  worst: Severity | null;
}

export const FleetRow = memo(function FleetRow(props: Props) {
  const { device, metrics, named, cells, facts, alerts, worst } = props;
  const names = metrics ? metrics.split("\n") : [];
  return (
    <Link
      className={`device-row ${worst ? `sev ${worst}` : ""}`}
      to={devicePath(device.name)}
      data-device={device.name}
      data-alert={worst ?? undefined}
    >
      <span className="who">
        <Dot device={device} />
        <span className="names">
          <b>{device.name}</b>
          <span className="marks">
            {device.name === OWN_DEVICE && <em className="badge">This machine</em>}
            <Standings n={alerts} worst={worst} />
          </span>
          <small>{about(props, names.length)}</small>
        </span>
      </span>
      {facts && <Facts {...props} />}
      <span className="cells" style={{ "--cells": cells } as React.CSSProperties}>
        {names.slice(0, cells).map((name) => (
          <Cell key={name} series={device.get(name)} said={named[name]} />
        ))}
        {!names.length && <span className="none">No readings yet</span>}
      </span>
      <Age device={device} />
    </Link>
  );
});

/** What it is, where, and whether it is connected; the number of metrics if not all of them are shown. */
function about(props: Props, metrics: number): React.ReactNode {
  const { kind, site, model, tags, facts, connection, cells } = props;
  const said = [kind || "device"];
  if (!facts) said.push(...[site, model === kind ? "" : model, tags].filter((fact) => fact !== null));
  if (connection && !connection.connected)
    said.push(`offline${connection.reason && `, ${reasonOf(connection.reason)}`}`);
  else if (metrics > cells) said.push(`${metrics} metrics`);
  return (
    <>
      {connection && <Plug connection={connection} now={clock.now()} />}
      {said.filter(Boolean).join(" · ")}
    </>
  );
}

/** Where it is, and what the registry calls it. */
function Facts({ kind, site, model, tags }: Props) {
  const rest = [model === kind ? "" : model, tags].filter(Boolean).join(" · ");
  return (
    <span className="where" title={[site, model, tags].filter(Boolean).join(" · ")}>
      <b>{site ?? "–"}</b>
      <small>{rest}</small>
    </span>
  );
}

const SAID = {
  live: "live",
  quiet: "quiet: no reading for more than 10 s",
  silent: "silent: no reading for more than 2 min",
  never: "no reading yet",
};

function Dot({ device }: { device: LiveDevice }) {
  const dot = useRef<HTMLElement>(null);
  const text = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    let seen = "";
    return onFrame(() => {
      const now = freshness(device.received, clock.now());
      if (now === seen || !dot.current || !text.current) return;
      seen = now;
      dot.current.className = `dot ${now}`;
      dot.current.title = SAID[now];
      text.current.textContent = SAID[now];
      dot.current.closest("a")?.setAttribute("data-fresh", now);
    });
  }, [device]);
  return (
    <i ref={dot} className="dot">
      <span ref={text} className="visually-hidden" />
    </i>
  );
}

function Age({ device }: { device: LiveDevice }) {
  const text = useRef<HTMLSpanElement>(null);
  useEffect(
    () =>
      onFrame(() => {
        const said = device.received ? ago(clock.now() - device.received) : "–";
        if (text.current && text.current.textContent !== said) text.current.textContent = said;
      }),
    [device],
  );
  return <span ref={text} className="age" />;
}

function Cell({ series, said }: { series: Series; said: Named | undefined }) {
  const value = useRef<HTMLElement>(null);
  const unit = useRef<HTMLElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const metric = describe(series.metric, said);
  useEffect(() => {
    let seen = "";
    const paint = () => {
      const version = `${series.version} ${paletteVersion}`;
      if (version === seen || !canvas.current || !value.current || !unit.current) return;
      seen = version;
      const reading = formatValue(metric, series.last);
      value.current.textContent = reading.value;
      unit.current.textContent = reading.unit;
      drawSparkline(canvas.current, series.trace, SPARK);
    };
    const stop = onFrame(paint);
    const unseed = seedSoon(series);
    return () => {
      stop();
      unseed();
    };
  }, [series, metric]);
  return (
    <span className="cell" data-metric={series.metric}>
      <span className="what">{metric.label}</span>
      <span className="now">
        <b ref={value} />
        <small ref={unit} />
      </span>
      <canvas ref={canvas} />
    </span>
  );
}
