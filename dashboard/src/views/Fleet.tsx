import { useDeferredValue, useEffect, useMemo } from "react";
import { choose, grouped, tally } from "../state/fleet-list";
import { chooseFleet, NOTHING_CHOSEN, useFleetChoice } from "../state/fleet-query";
import { useAlertBook, useDevices, useLine, useRoster, useSecond, useSubscription } from "../state/hooks";
import { useQueryString } from "../state/router";
import { alerts, clock, store } from "../state/session";
import { useUi } from "../state/ui";
import { ConnectSteps } from "./Connect";
import { FleetList } from "./FleetList";
import { FleetTools } from "./FleetTools";

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
  const choice = useDeferredValue(useFleetChoice());
  const roster = useRoster();
  const heard = useAlertBook();
  const second = useSecond();
  const query = useQueryString();
  useEffect(() => useUi.setState({ fleet: query }), [query]);
  const { sort, group } = choice;
  // Live rows move the order of some sorts: looked at every five seconds, or rows would jump about.
  const age = sort === "name" || sort === "kind" ? 0 : Math.floor(second / 5_000);
  const standings = sort === "alerts" ? heard : 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the stores change in place; roster, age and standings say when
  const shown = useMemo(() => {
    const around = { now: clock.now(), standing: (name: string) => alerts.of(name) };
    return choose(store.devices.values(), choice, around);
  }, [choice, roster, age, standings]);
  const groups = useMemo(
    () => (group ? grouped(shown, group) : [{ name: "", devices: shown }]),
    [shown, group],
  );
  return (
    <section className="fleet" data-state="fleet">
      <FleetHead />
      <FleetTools shown={shown.length} />
      {shown.length ? <FleetList groups={groups} by={group} /> : <NoMatch />}
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

function NoMatch() {
  return (
    <div className="notice small" data-state="no-match">
      <h2>No device matches</h2>
      <p>Names, sites, models, tags, kinds and metrics are searched. Every word has to match.</p>
      <button type="button" className="button" onClick={() => chooseFleet(NOTHING_CHOSEN)}>
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
