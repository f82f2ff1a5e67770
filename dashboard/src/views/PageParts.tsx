/** What the page of a device, and that of a site or a model, have in common. */
import { type ReactNode, useEffect, useRef } from "react";
import { onFrame } from "../charts/frames";
import { ago, clockTime, dayTime } from "../format/time";
import { RANGES } from "../state/ranges";
import { clock } from "../state/session";
import { type Range, useUi } from "../state/ui";
import type { LiveDevice } from "../wire/store";
import { BackIcon } from "./Icons";
import { Link } from "./Link";

export function BackLink() {
  const fleet = useUi((ui) => ui.fleet);
  return (
    <Link className="back" to={`/${fleet}`}>
      <BackIcon />
      Fleet
    </Link>
  );
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-fact={name.toLowerCase()}>{children}</dd>
    </div>
  );
}

/** How long ago the last reading came; painted, as it changes all the time. */
export function LastReading({ device }: { device: LiveDevice }) {
  const text = useRef<HTMLSpanElement>(null);
  useEffect(
    () =>
      onFrame(() => {
        if (!text.current) return;
        const age = clock.now() - device.received;
        const said = !device.received
          ? "none yet"
          : age < 2_000
            ? "just now"
            : `${ago(age)} ago, at ${age > 86_400_000 ? dayTime(device.received) : clockTime(device.received)}`;
        if (text.current.textContent !== said) text.current.textContent = said;
      }),
    [device],
  );
  return <span ref={text} />;
}

export function Ranges() {
  const range = useUi((ui) => ui.range);
  return (
    <fieldset className="segments" aria-label="Range">
      {(Object.keys(RANGES) as Range[]).map((key) => (
        <button
          key={key}
          type="button"
          aria-pressed={range === key}
          title={`Show ${RANGES[key].says}`}
          onClick={() => useUi.setState({ range: key })}
        >
          {RANGES[key].label}
        </button>
      ))}
    </fieldset>
  );
}

/** What stands in the place of a page of charts until it is there, or why it is not. */
export function Loading({ name, error }: { name: string; error: Error | null }) {
  return (
    <section className="device" aria-busy={!error} data-state="loading">
      <header className="page-head">
        <BackLink />
        <div className="title">
          <h1>{name}</h1>
        </div>
        <p>{error ? `Not to be had: ${error.message}. It is asked for again once connected.` : "Loading…"}</p>
      </header>
      <div className="cards">
        {["a", "b", "c", "d"].map((key) => (
          <div key={key} className="skeleton tall" />
        ))}
      </div>
    </section>
  );
}
