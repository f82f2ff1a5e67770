import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { agreed } from "../state/agreed";
import { freshness } from "../state/freshness";
import { useRoster, useSecond, useSubscription } from "../state/hooks";
import { inOrder } from "../state/metrics";
import { clock, store } from "../state/session";
import { useUi } from "../state/ui";
import { type FleetBy, fleetName } from "../wire/fleet-names";
import { ApiError, fetchFleets, fetchRegistered } from "../wire/rest";
import type { LiveDevice } from "../wire/store";
import type { RegisteredFleet } from "../wire/types";
import { Link } from "./Link";
import { Members, useMembers } from "./Members";
import { MetricCard } from "./MetricCard";
import { BackLink, Fact, LastReading, Loading, Ranges } from "./PageParts";

const EVERY_MS = 5_000;

interface Props {
  by: FleetBy;
  name: string;
}

/** A site or a model: the readings of all its devices together, metric by metric, and which devices they are. */
export function FleetOf({ by, name }: Props) {
  const rows = fleetName(by, name);
  useSubscription(rows);
  useRoster();
  const tenant = useUi((ui) => ui.tenant);
  const newest = useQuery({
    queryKey: ["fleets", tenant],
    refetchInterval: EVERY_MS,
    queryFn: async ({ signal }) => {
      const { fleets } = await fetchFleets(tenant, signal);
      store.applyFleets(fleets);
      return true;
    },
  });
  const about = useQuery({
    queryKey: ["registered", tenant, by, name],
    refetchInterval: EVERY_MS,
    queryFn: ({ signal }) => fetchRegistered(tenant, by, name, signal),
  });
  useEffect(() => {
    document.title = `${name} · Headwater`;
  }, [name]);
  const fleet = store.fleets.get(rows);
  const gone = about.error instanceof ApiError && about.error.status === 404;
  if (fleet?.series.size)
    return <FleetPage by={by} name={name} fleet={fleet} about={about.data} gone={gone} />;
  if (gone && newest.isSuccess) return <Unknown by={by} name={name} />;
  if (about.isSuccess && newest.isSuccess) return <Waiting by={by} name={name} />;
  return <Loading name={name} error={about.error ?? newest.error} />;
}

interface PageProps extends Props {
  fleet: LiveDevice;
  about: RegisteredFleet | undefined;
  /** It has rows of before, and was deleted. */
  gone: boolean;
}

function FleetPage({ by, name, fleet, about, gone }: PageProps) {
  const range = useUi((ui) => ui.range);
  const metrics = inOrder(fleet.series.keys());
  const members = useMembers(by, name).data;
  const named = useMemo(
    () => (by === "model" ? about?.metrics : members && agreed(members.devices)) ?? {},
    [by, about, members],
  );
  return (
    <section className="device" data-state="fleet-of" data-fleet={fleet.name}>
      <header className="page-head">
        <BackLink />
        <div className="title">
          <h1>{name}</h1>
          <em className="badge">{by === "site" ? "Site" : "Model"}</em>
        </div>
        <Facts fleet={fleet} about={about} gone={gone} />
        <Ranges />
      </header>
      <div className={`cards ${metrics.length === 1 ? "single" : ""}`}>
        {metrics.map((metric) => (
          <MetricCard
            key={metric}
            series={fleet.get(metric)}
            device={fleet}
            range={range}
            whole
            said={named[metric]}
          />
        ))}
      </div>
      <Members by={by} name={name} />
    </section>
  );
}

function Facts({ fleet, about, gone }: Pick<PageProps, "fleet" | "about" | "gone">) {
  useSecond();
  return (
    <dl className="facts">
      <Fact name="Last reading">
        <i className={`dot ${freshness(fleet.received, clock.now())}`} />
        <LastReading device={fleet} />
      </Fact>
      {about?.title && <Fact name="Title">{about.title}</Fact>}
      {about?.place && <Fact name="Place">{about.place}</Fact>}
      {about?.zone && <Fact name="Time zone">{about.zone}</Fact>}
      {gone && <Fact name="Registry">deleted; what it had stays</Fact>}
    </dl>
  );
}

function Waiting({ by, name }: Props) {
  return (
    <section className="notice" data-state="empty">
      <BackLink />
      <h1>No device of {name} has sent a reading yet</h1>
      <p>
        The {by} is registered. The first reading of a device that belongs to it shows here within a second.
      </p>
      <Members by={by} name={name} />
    </section>
  );
}

function Unknown({ by, name }: Props) {
  return (
    <section className="notice" data-state="unknown">
      <BackLink />
      <h1>
        No {by} is called {name}
      </h1>
      <p>
        It may have been deleted, or the address is mistyped. <code>headwater {by}s list</code> tells which
        there are.
      </p>
      <Link className="button" to={`/?group=${by}`}>
        Show the fleet by {by}
      </Link>
    </section>
  );
}
