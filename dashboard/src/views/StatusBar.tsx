import { type ReactNode, useEffect, useId, useRef } from "react";
import { onFrame } from "../charts/frames";
import { paletteVersion } from "../charts/palette";
import { drawSparkline } from "../charts/sparkline";
import { clockTime } from "../format/time";
import { formatCompact, formatCount, formatDelay } from "../format/units";
import { useLine } from "../state/hooks";
import { clock, delay, pace, store } from "../state/session";
import { useUi } from "../state/ui";
import { ChevronIcon } from "./Icons";

/** How the line does: what comes in, how late it is on this screen, what waits, what was refused. */
export function StatusBar() {
  const status = useUi((ui) => ui.status);
  const line = useLine();
  const now = clock.now();
  const shown = delay.percentiles([0.5, 0.99], now);
  const server = status?.delay_ms;
  const [p50, p99] = shown.n ? shown.values : [server?.p50 ?? null, server?.p99 ?? null];
  const lag = Object.entries(status?.lag ?? {});
  const known = lag.filter(([, n]) => n !== null);
  const waiting = known.reduce((sum, [, n]) => sum + (n ?? 0), 0);
  const much = Math.max(5_000, 30 * (status?.readings_per_s ?? 0));
  const dead = Object.entries(status?.dead_letters ?? {}).sort((a, b) => b[1] - a[1]);
  const refused = dead.reduce((sum, [, n]) => sum + n, 0);
  const repairs = Object.entries(status?.repairs ?? {}).filter(([, n]) => n > 0);
  const repaired = repairs.reduce((sum, [, n]) => sum + n, 0);
  const gap = status?.balance?.state === "gap";
  return (
    <section className={`status ${line.kind === "disconnected" ? "old" : ""}`} aria-label="State of the line">
      <Stat label="Readings" spark={1}>
        {status ? <Value text={formatCompact(status.readings_per_s)} unit="/s" /> : <Value />}
      </Stat>
      <Stat label="Delay" note="p50" spark={2} detail={<DelayDetail n={shown.n} p50={p50} p99={p99} />}>
        <Delayed ms={p50} />
      </Stat>
      <Stat label="Delay" note="p99">
        <Delayed ms={p99} />
      </Stat>
      <Stat label="Lag" tone={waiting > much ? "warn" : undefined} detail={<LagDetail lag={lag} />}>
        {known.length ? <Value text={formatCompact(waiting)} unit="records" /> : <Value />}
      </Stat>
      <Stat label="Dead letters" tone={refused ? "warn" : undefined} detail={<DeadDetail dead={dead} />}>
        {status ? <Value text={formatCompact(refused)} /> : <Value />}
      </Stat>
      <Stat
        label="Repairs"
        tone={repaired || gap ? "warn" : undefined}
        detail={<RepairDetail repairs={repairs} />}
      >
        {status?.repairs ? <Value text={formatCompact(repaired)} /> : <Value />}
      </Stat>
      <Stat label="Disk" tone={status?.disk?.low ? "warn" : undefined} detail={<DiskDetail />}>
        {status?.disk ? <Value text={gigabytes(status.disk.free_mb)} unit="GB free" /> : <Value />}
      </Stat>
      <Stat label="Log time">
        <Value text={store.logTime ? clockTime(store.logTime) : undefined} />
      </Stat>
    </section>
  );
}

function Value({ text = "–", unit }: { text?: string | undefined; unit?: string | undefined }) {
  return (
    <span className="value">
      {text}
      {unit && <small>{unit}</small>}
    </span>
  );
}

function Delayed({ ms }: { ms: number | null | undefined }) {
  const { value, unit } = formatDelay(ms);
  return <Value text={value} unit={unit} />;
}

interface StatProps {
  label: string;
  note?: string;
  spark?: number;
  tone?: "warn" | undefined;
  detail?: ReactNode;
  children: ReactNode;
}

/** A figure; with a detail it is a button that opens it. */
function Stat({ label, note, spark, tone, detail, children }: StatProps) {
  const id = useId();
  const body = (
    <>
      <span className="label">
        {label}
        {note && <em>{note}</em>}
        {detail && <ChevronIcon />}
      </span>
      {children}
      {spark && <PaceSpark column={spark} />}
    </>
  );
  const className = `stat ${tone ?? ""}`;
  if (!detail) return <div className={className}>{body}</div>;
  return (
    <>
      <button type="button" className={className} popoverTarget={id} data-stat={label}>
        {body}
      </button>
      <Detail id={id} label={label}>
        {detail}
      </Detail>
    </>
  );
}

/** Opens below the figure it belongs to, within the screen. */
function Detail({ id, label, children }: { id: string; label: string; children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const place = (event: Event) => {
      if ((event as ToggleEvent).newState !== "open") return;
      const anchor = document.querySelector(`[popovertarget="${id}"]`)?.getBoundingClientRect();
      if (!anchor) return;
      const width = Math.min(320, window.innerWidth - 24);
      element.style.width = `${width}px`;
      element.style.left = `${Math.max(12, Math.min(anchor.left, window.innerWidth - width - 12))}px`;
      element.style.top = `${anchor.bottom + 6}px`;
    };
    element.addEventListener("beforetoggle", place);
    return () => element.removeEventListener("beforetoggle", place);
  }, [id]);
  return (
    <div ref={box} id={id} popover="auto" className="popover" role="dialog" aria-label={label}>
      {children}
    </div>
  );
}

function PaceSpark({ column }: { column: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    let seen = "";
    return onFrame(() => {
      const version = `${pace.version} ${paletteVersion}`;
      if (version === seen || !canvas.current) return;
      seen = version;
      drawSparkline(canvas.current, pace, {
        windowMs: Math.min(120_000, Math.max(15_000, pace.newest - pace.at(0, 0))),
        column,
        gapMs: 5_000,
        muted: true,
        fromZero: true,
      });
    });
  }, [column]);
  return <canvas ref={canvas} />;
}

function DelayDetail({
  n,
  p50,
  p99,
}: {
  n: number;
  p50: number | null | undefined;
  p99: number | null | undefined;
}) {
  const server = useUi((ui) => ui.status?.delay_ms);
  const text = (ms: number | null | undefined) => {
    const { value, unit } = formatDelay(ms);
    return `${value} ${unit}`;
  };
  return (
    <>
      <h3>From receipt to screen</h3>
      <table>
        <thead>
          <tr>
            <th scope="col">Received at the door until</th>
            <th scope="col">p50</th>
            <th scope="col">p99</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">frame sent by the server</th>
            <td>{text(server?.p50)}</td>
            <td>{text(server?.p99)}</td>
          </tr>
          <tr>
            <th scope="row">painted on this screen</th>
            <td>{text(n ? p50 : null)}</td>
            <td>{text(n ? p99 : null)}</td>
          </tr>
        </tbody>
      </table>
      <p className="fine">
        {formatCount(n)} rows in the last 30 s. This screen's clock is{" "}
        {clock.known ? text(Math.abs(clock.offset)) : "not yet known to be"}{" "}
        {clock.offset > 0 ? "behind" : "ahead of"} the server's, and that is taken off. The clocks of devices
        play no part.
      </p>
    </>
  );
}

const LAG_NAMES: Record<string, string> = {
  aggregation: "Aggregation job",
  api: "This API",
  postgres: "PostgreSQL sink",
  valkey: "Valkey sink",
};

function LagDetail({ lag }: { lag: [string, number | null][] }) {
  return (
    <>
      <h3>Records that wait</h3>
      <table>
        <tbody>
          {lag.map(([name, n]) => (
            <tr key={name}>
              <th scope="row">{LAG_NAMES[name] ?? name}</th>
              <td>{n === null ? "unknown" : formatCount(n)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {!lag.length && <p className="fine">Not known yet.</p>}
      <p className="fine">
        Records in Kafka that each reader has not yet confirmed. The job confirms at its checkpoints, some
        seconds apart: what it has done since counts as waiting.
      </p>
    </>
  );
}

function DeadDetail({ dead }: { dead: [string, number][] }) {
  return (
    <>
      <h3>Refused readings, by reason</h3>
      {dead.length > 0 ? (
        <table>
          <tbody>
            {dead.map(([reason, n]) => (
              <tr key={reason}>
                <th scope="row">{reason.replace(/[-_]/g, " ")}</th>
                <td>{formatCount(n)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p>None. Everything that came in was taken.</p>
      )}
      <p className="fine">
        Each is kept with its original bytes on the topic <code>dead-letter</code>.
      </p>
    </>
  );
}

const REPAIR_NAMES: Record<string, string> = {
  missing: "Row was missing",
  fewer: "Too few readings",
  more: "Too many readings",
  changed: "Another sum",
  unfounded: "No reading at all (left as it is)",
};

function RepairDetail({ repairs }: { repairs: [string, number][] }) {
  const audited = useUi((ui) => ui.status?.audited);
  return (
    <>
      <h3>Rows that differed from their readings</h3>
      {repairs.length > 0 ? (
        <table>
          <tbody>
            {repairs.map(([cause, n]) => (
              <tr key={cause}>
                <th scope="row">{REPAIR_NAMES[cause] ?? cause}</th>
                <td>{formatCount(n)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p>None. Every row equals the readings it stands for.</p>
      )}
      <p className="fine">
        When a minute has closed, its rows are compared with the raw readings, and what differs is published
        anew.{" "}
        {audited ? `The newest one compared is that of ${clockTime(audited)}.` : "None was compared yet."}
      </p>
      <BalanceLine />
    </>
  );
}

/** What `headwater audit` said last. */
function BalanceLine() {
  const balance = useUi((ui) => ui.status?.balance);
  if (!balance) return null;
  const minutes = Math.max(0, Math.round((clock.now() - balance.finished) / 60_000));
  const verdict = { balanced: "balanced", gap: `${balance.gaps} gaps`, waiting: "a store was behind" }[
    balance.state
  ];
  return (
    <p className={balance.state === "gap" ? undefined : "fine"}>
      headwater audit: {verdict}, {minutes} min ago, {formatCount(balance.readings)} readings of the log.
    </p>
  );
}

const gigabytes = (mb: number) => (mb / 1000).toFixed(mb < 10_000 ? 1 : 0);

function DiskDetail() {
  const disk = useUi((ui) => ui.status?.disk);
  return (
    <>
      <h3>{disk?.low ? "The disk is nearly full: devices are refused" : "Room on the server's disk"}</h3>
      {disk?.low && <p>Nothing that was acknowledged is lost. Make room, or keep less (HEADWATER_KEEP_…).</p>}
      <p className="fine">
        Below {disk ? gigabytes(disk.mark_mb) : "–"} GB the doors refuse, before anything breaks; they take
        again when a quarter more is free.
      </p>
    </>
  );
}
