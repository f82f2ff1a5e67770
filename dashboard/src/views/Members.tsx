import { useQuery } from "@tanstack/react-query";
import { freshness } from "../state/freshness";
import { useAlertBook } from "../state/hooks";
import { devicePath } from "../state/router";
import { alerts, clock } from "../state/session";
import { useUi } from "../state/ui";
import type { FleetBy } from "../wire/fleet-names";
import { fetchDevicesOf } from "../wire/rest";
import type { DeviceSummary } from "../wire/types";
import { Link } from "./Link";
import { Standings } from "./Severity";

/** As many as one looks through; the fleet has all of them, and finds. */
const FEW = 100;
const EVERY_MS = 5_000;

/** The first devices of a site or a model, by name; asked for once, however many want to know. */
export function useMembers(by: FleetBy, name: string) {
  const tenant = useUi((ui) => ui.tenant);
  return useQuery({
    queryKey: ["members", tenant, by, name],
    queryFn: ({ signal }) => fetchDevicesOf(tenant, by, name, FEW, signal),
    refetchInterval: EVERY_MS,
  });
}

/** The devices that are at a site, or of a model, now: by name, with how fresh each is and its alerts. */
export function Members({ by, name }: { by: FleetBy; name: string }) {
  useAlertBook();
  const { data, error } = useMembers(by, name);
  const all = new URLSearchParams({ [by]: name });
  return (
    <section
      className="card members"
      aria-labelledby="members-title"
      data-state={data ? "members" : "loading"}
    >
      <header>
        <h2 id="members-title">Devices</h2>
        <Link to={`/alerts?${all}`}>Their alerts</Link>
        <Link to={`/?${all}`}>In the fleet</Link>
      </header>
      {error && <p className="fine failed">The devices did not come: {error.message}</p>}
      {!data && !error && <p className="none">Loading…</p>}
      {data && !data.devices.length && <p className="none">None now.</p>}
      {data && data.devices.length > 0 && (
        <ul>
          {data.devices.map((device) => (
            <Member key={device.device} device={device} by={by} />
          ))}
        </ul>
      )}
      {data?.next && <p className="none">The first {FEW} by name; the fleet has all of them.</p>}
    </section>
  );
}

function Member({ device, by }: { device: DeviceSummary; by: FleetBy }) {
  const about = [by === "site" ? device.model : device.site, ...(device.tags ?? [])].filter(Boolean);
  return (
    <li>
      <i className={`dot ${freshness(device.received ?? 0, clock.now())}`} />
      <Link to={devicePath(device.device)} data-device={device.device}>
        {device.device}
      </Link>
      <Standings {...alerts.of(device.device)} />
      <small>{about.join(" · ")}</small>
    </li>
  );
}
