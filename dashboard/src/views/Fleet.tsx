import { useDeferredValue, useEffect, useMemo, useRef } from "react";
import { choose, kinds, tally } from "../state/fleet-list";
import { useDevices, useLine, useRoster, useSecond, useSubscription } from "../state/hooks";
import { clock, store } from "../state/session";
import { type Sort, useUi } from "../state/ui";
import { ConnectSteps } from "./Connect";
import { FleetList } from "./FleetList";
import { SearchIcon } from "./Icons";

const SORTS: [Sort, string][] = [
  ["name", "Name"],
  ["kind", "Kind"],
  ["updated", "Latest first"],
  ["quiet", "Quiet first"],
];

export function Fleet() {
  useSubscription(null);
  const devices = useDevices();
  useRoster();
  const line = useLine();
  useEffect(() => {
    document.title = "Fleet · Headwater";
  }, []);
  if (store.devices.size) return <FleetPage />;
  if (devices.isError) return <Unreachable error={devices.error} retry={() => void devices.refetch()} />;
  if (devices.isPending || line.kind === "connecting") return <Loading />;
  return <Empty />;
}

function FleetPage() {
  const { search, kind, sort } = useUi();
  const roster = useRoster();
  const words = useDeferredValue(search);
  const second = useSecond();
  // Live rows move the order of some sorts: looked at every five seconds, or rows would jump about.
  const age = sort === "name" || sort === "kind" ? 0 : Math.floor(second / 5_000);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the store changes in place; its roster and age say when
  const shown = useMemo(
    () => choose(store.devices.values(), { search: words, kind, sort }, clock.now()),
    [words, kind, sort, roster, age],
  );
  return (
    <section className="fleet" data-state="fleet">
      <FleetHead />
      <FleetTools shown={shown.length} />
      {shown.length ? <FleetList devices={shown} /> : <NoMatch />}
    </section>
  );
}

function FleetHead() {
  useSecond();
  const counts = tally(store.devices.values(), clock.now());
  const parts = [
    `${counts.live} live`,
    counts.quiet ? `${counts.quiet} quiet` : "",
    counts.silent ? `${counts.silent} silent` : "",
    counts.never ? `${counts.never} without readings` : "",
  ].filter(Boolean);
  return (
    <header className="page-head">
      <h1>Fleet</h1>
      <p>
        {store.devices.size} {store.devices.size === 1 ? "device" : "devices"} · {parts.join(" · ")}
      </p>
    </header>
  );
}

function FleetTools({ shown }: { shown: number }) {
  const { search, kind, sort } = useUi();
  useRoster();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      const typing =
        event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.key !== "/" || typing || event.metaKey || event.ctrlKey || event.altKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    document.addEventListener("keydown", slash);
    return () => document.removeEventListener("keydown", slash);
  }, []);
  const all = kinds(store.devices.values());
  return (
    <div className="tools">
      <search className="search">
        <SearchIcon />
        <input
          ref={field}
          type="search"
          placeholder="Search"
          aria-label="Search devices, kinds and metrics"
          value={search}
          onChange={(event) => useUi.setState({ search: event.target.value })}
        />
        <kbd>/</kbd>
      </search>
      <fieldset className="chips" aria-label="Kind">
        <Chip name="All" n={store.devices.size} on={kind === null} choose={null} />
        {all.map(([name, n]) => (
          <Chip key={name} name={name} n={n} on={kind === name} choose={name} />
        ))}
      </fieldset>
      <label className="sort">
        <span>Sort</span>
        <select value={sort} onChange={(event) => useUi.setState({ sort: event.target.value as Sort })}>
          {SORTS.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <output className="visually-hidden">{shown} devices shown</output>
    </div>
  );
}

function Chip({
  name,
  n,
  on,
  choose: kind,
}: {
  name: string;
  n: number;
  on: boolean;
  choose: string | null;
}) {
  return (
    <button type="button" className="chip" aria-pressed={on} onClick={() => useUi.setState({ kind })}>
      {name}
      <span>{n}</span>
    </button>
  );
}

function NoMatch() {
  return (
    <div className="notice small" data-state="no-match">
      <h2>No device matches</h2>
      <p>Names, kinds and metrics are searched. Every word has to match.</p>
      <button type="button" className="button" onClick={() => useUi.setState({ search: "", kind: null })}>
        Show all
      </button>
    </div>
  );
}

function Loading() {
  return (
    <section className="fleet" aria-busy="true" aria-label="Loading the fleet" data-state="loading">
      <header className="page-head">
        <h1>Fleet</h1>
        <p>Loading devices…</p>
      </header>
      <div className="skeletons">
        {Array.from({ length: 9 }, (_, i) => `row-${i}`).map((key) => (
          <div key={key} className="skeleton" />
        ))}
      </div>
    </section>
  );
}

function Empty() {
  return (
    <section className="notice" data-state="empty">
      <h1>No device has sent a reading yet</h1>
      <p>
        The line is up and waiting. This machine reports as <code>this-machine</code> once its agent runs;
        your own device is two commands away.
      </p>
      <ConnectSteps />
    </section>
  );
}

function Unreachable({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <section className="notice" data-state="unreachable">
      <h1>The list of devices did not come</h1>
      <p>
        {error.message}. It is asked for again as soon as the connection stands; <code>headwater status</code>{" "}
        says which part is down.
      </p>
      <button type="button" className="button" onClick={retry}>
        Try now
      </button>
    </section>
  );
}
