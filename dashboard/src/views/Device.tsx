import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { connectionOf } from "../format/events";
import { dayTime } from "../format/time";
import { formatDelay } from "../format/units";
import { OWN_DEVICE } from "../state/fleet-list";
import { freshness } from "../state/freshness";
import { useAlertBook, useRoster, useSecond, useSubscription } from "../state/hooks";
import { inOrder } from "../state/metrics";
import { fleetPath } from "../state/router";
import { alerts, clock, store } from "../state/session";
import { useUi } from "../state/ui";
import { useDeviceRules } from "../state/use-alerts";
import { ApiError, fetchDevice } from "../wire/rest";
import type { LiveDevice } from "../wire/store";
import { ConnectSteps } from "./Connect";
import { DeviceAlerts } from "./DeviceAlerts";
import { Events } from "./Events";
import { Link } from "./Link";
import { MetricCard } from "./MetricCard";
import { BackLink, Fact, LastReading, Loading, Ranges } from "./PageParts";
import { Plug } from "./Plug";
import { Standings } from "./Severity";

/** A device's clock is worth a word beyond this: within it, it is the way to the door. */
const SKEW_MS = 5_000;

export function Device({ name }: { name: string }) {
  useSubscription(name);
  useRoster();
  const tenant = useUi((ui) => ui.tenant);
  const about = useQuery({
    queryKey: ["device", tenant, name],
    refetchInterval: 5_000,
    queryFn: async ({ signal }) => {
      const summary = await fetchDevice(tenant, name, signal);
      store.applySummaries([summary]);
      return true;
    },
  });
  useEffect(() => {
    document.title = `${name} · Headwater`;
  }, [name]);
  const device = store.devices.get(name);
  if (device?.series.size) return <DevicePage device={device} />;
  const gone = about.error instanceof ApiError && about.error.status === 404;
  if (gone) return <Unknown name={name} />;
  if (about.isSuccess) return <Waiting name={name} />;
  return <Loading name={name} error={about.error} />;
}

function DevicePage({ device }: { device: LiveDevice }) {
  const range = useUi((ui) => ui.range);
  const metrics = inOrder(device.series.keys());
  const rules = useDeviceRules(device.name);
  useAlertBook();
  const worst = alerts.worstByMetric(device.name);
  const standing = alerts.of(device.name);
  return (
    <section className="device" data-state="device">
      <header className="page-head">
        <BackLink />
        <div className="title">
          <h1>{device.name}</h1>
          {device.name === OWN_DEVICE && <em className="badge">This machine</em>}
          {standing.n > 0 && (
            <a href="#alerts">
              <Standings {...standing} />
            </a>
          )}
        </div>
        <Facts device={device} />
        <Ranges />
      </header>
      <div className={`cards ${metrics.length === 1 ? "single" : ""}`}>
        {metrics.map((name) => (
          <MetricCard
            key={name}
            series={device.get(name)}
            device={device}
            range={range}
            said={device.named[name]}
            rules={rules}
            alert={worst.get(name)}
          />
        ))}
      </div>
      <DeviceAlerts device={device.name} />
      <Events device={device.name} />
    </section>
  );
}

/** What is known about the device; its age is painted, the rest changes once a second at most. */
function Facts({ device }: { device: LiveDevice }) {
  useSecond();
  const state = freshness(device.received, clock.now());
  const created = device.created ? new Date(device.created).getTime() : null;
  return (
    <dl className="facts">
      <div>
        <dt>Last reading</dt>
        <dd>
          <i className={`dot ${state}`} />
          <LastReading device={device} />
        </dd>
      </div>
      {device.connection && (
        <div>
          <dt>Connection</dt>
          <dd data-fact="connection">
            <Plug connection={device.connection} now={clock.now()} />
            {connectionOf(device.connection, clock.now())}
          </dd>
        </div>
      )}
      <div>
        <dt>Kind</dt>
        <dd>{device.kind ?? "–"}</dd>
      </div>
      {device.site && (
        <Fact name="Site">
          <Link to={fleetPath("site", device.site)}>{device.site}</Link>
        </Fact>
      )}
      {device.model && (
        <Fact name="Model">
          <Link to={fleetPath("model", device.model)}>{device.model}</Link>
        </Fact>
      )}
      {device.tags.length > 0 && (
        <Fact name="Tags">
          {device.tags.map((tag) => (
            <Link key={tag} className="badge" to={`/?${new URLSearchParams({ tag })}`}>
              {tag}
            </Link>
          ))}
        </Fact>
      )}
      <Skew ms={device.skew} />
      {created !== null && Number.isFinite(created) && (
        <div>
          <dt>Registered</dt>
          <dd>{dayTime(created)}</dd>
        </div>
      )}
    </dl>
  );
}

/** Receipt minus the device's stamp: its clock, and nothing that the delay of the line contains. */
function Skew({ ms }: { ms: number | null }) {
  if (ms === null) return null;
  const { value, unit } = formatDelay(Math.abs(ms));
  const way = ms >= 0 ? "behind" : "ahead";
  const off = Math.abs(ms) > SKEW_MS;
  return (
    <div
      className={off ? "warn" : ""}
      title="Time of receipt less the device's own stamp: the skew of its clock, with the way to the door in it. It plays no part in the delay above."
    >
      <dt>Device clock</dt>
      <dd data-fact="skew">
        {value} {unit} {way}
      </dd>
    </div>
  );
}

function Waiting({ name }: { name: string }) {
  return (
    <section className="notice" data-state="empty">
      <BackLink />
      <h1>{name} has not sent a reading yet</h1>
      <p>It is registered and its token is good. The first reading shows here within a second.</p>
      <ConnectSteps device={name} />
      <DeviceAlerts device={name} />
      <Events device={name} />
    </section>
  );
}

function Unknown({ name }: { name: string }) {
  return (
    <section className="notice" data-state="unknown">
      <BackLink />
      <h1>No device is called {name}</h1>
      <p>It may have been removed, or the address is mistyped. To make it, give it a token:</p>
      <ConnectSteps device={name} />
    </section>
  );
}
