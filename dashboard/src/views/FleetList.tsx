import { memo, useEffect, useLayoutEffect, useRef, useState } from "react";
import { onFrame } from "../charts/frames";
import { paletteVersion } from "../charts/palette";
import { drawSparkline } from "../charts/sparkline";
import { reasonOf } from "../format/events";
import { ago } from "../format/time";
import { describe, formatValue } from "../format/units";
import { OWN_DEVICE } from "../state/fleet-list";
import { freshness } from "../state/freshness";
import { useRoster, useWidth } from "../state/hooks";
import { inOrder } from "../state/metrics";
import { devicePath } from "../state/router";
import { seedSoon } from "../state/seed";
import { clock } from "../state/session";
import type { LiveDevice, Series } from "../wire/store";
import type { Connection } from "../wire/types";
import { Link } from "./Link";
import { Plug } from "./Plug";

const SPARK = { windowMs: 120_000 };
const OVERSCAN = 6;

/** A row on a wide screen is a line; on a phone it is a card of two by two. */
function layoutOf(width: number): { compact: boolean; cells: number; height: number } {
  if (width < 640) return { compact: true, cells: 4, height: 146 };
  return { compact: false, cells: width >= 1160 ? 4 : width >= 880 ? 3 : 2, height: 60 };
}

/** Only rows within the window (and a few around it) exist: 2,000 devices cost what 20 do. */
export function FleetList({ devices }: { devices: LiveDevice[] }) {
  const [box, width] = useWidth<HTMLUListElement>();
  useRoster();
  const { compact, cells, height } = layoutOf(width);
  const [from, to] = useVisible(box, devices.length, height);
  const shown = width ? devices.slice(from, to) : [];
  return (
    <div className={`list ${compact ? "compact" : ""}`}>
      {!compact && (
        <div className="list-head" aria-hidden="true">
          <span>Device</span>
          <span>Readings, last two minutes</span>
          <span>Last</span>
        </div>
      )}
      <ul
        ref={box}
        className="rows"
        aria-label="Devices"
        style={{ height: devices.length * height }}
        onKeyDown={moveFocus}
      >
        {shown.map((device, i) => (
          <li
            key={device.name}
            aria-setsize={devices.length}
            aria-posinset={from + i + 1}
            className="row-slot"
            style={{ height, transform: `translateY(${(from + i) * height}px)` }}
          >
            <Row
              device={device}
              metrics={inOrder(device.series.keys()).join("\n")}
              kind={device.kind}
              connection={device.connection}
              cells={cells}
            />
          </li>
        ))}
      </ul>
    </div>
  );
}

function useVisible(
  box: React.RefObject<HTMLElement | null>,
  length: number,
  height: number,
): [from: number, to: number] {
  const [span, setSpan] = useState<[number, number]>([0, 24]);
  useLayoutEffect(() => {
    const look = () => {
      const top = box.current?.getBoundingClientRect().top ?? 0;
      const from = Math.max(0, Math.floor(-top / height) - OVERSCAN);
      const to = Math.min(length, Math.ceil((window.innerHeight - top) / height) + OVERSCAN);
      setSpan((now) => (now[0] === from && now[1] === to ? now : [from, to]));
    };
    look();
    window.addEventListener("scroll", look, { passive: true });
    window.addEventListener("resize", look);
    return () => {
      window.removeEventListener("scroll", look);
      window.removeEventListener("resize", look);
    };
  }, [box, length, height]);
  return span;
}

/** Up and down go from device to device. */
function moveFocus(event: React.KeyboardEvent<HTMLUListElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const links = [...event.currentTarget.querySelectorAll("a")];
  const next = links[links.indexOf(document.activeElement as HTMLAnchorElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

interface RowProps {
  device: LiveDevice;
  /** The names, joined, so that a row is made anew only when they change. */
  metrics: string;
  kind: string | null;
  connection: Connection | null;
  cells: number;
}

const Row = memo(function Row({ device, metrics, kind, connection, cells }: RowProps) {
  const names = metrics ? metrics.split("\n") : [];
  const more = names.length - cells;
  return (
    <Link className="device-row" to={devicePath(device.name)} data-device={device.name}>
      <span className="who">
        <Dot device={device} />
        <span className="names">
          <b>{device.name}</b>
          {device.name === OWN_DEVICE && <em className="badge">This machine</em>}
          <small>
            {connection && <Plug connection={connection} now={clock.now()} />}
            {kind ?? "device"}
            {connection && !connection.connected
              ? ` · offline${connection.reason && `, ${reasonOf(connection.reason)}`}`
              : more > 0 && ` · ${names.length} metrics`}
          </small>
        </span>
      </span>
      <span className="cells" style={{ "--cells": cells } as React.CSSProperties}>
        {names.slice(0, cells).map((name) => (
          <Cell key={name} series={device.get(name)} />
        ))}
        {!names.length && <span className="none">No readings yet</span>}
      </span>
      <Age device={device} />
    </Link>
  );
});

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

function Cell({ series }: { series: Series }) {
  const value = useRef<HTMLElement>(null);
  const unit = useRef<HTMLElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const metric = describe(series.metric);
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
