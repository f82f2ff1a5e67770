import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { kindOf, reasonOf } from "../format/events";
import { stamp } from "../format/time";
import { clock } from "../state/session";
import { useUi } from "../state/ui";
import { fetchEvents } from "../wire/rest";
import type { DeviceEvent } from "../wire/types";

const FEW = 8;
const MANY = 200;
const EVERY_MS = 5_000;

/** What happened to a device, newest first. Asked for again every few seconds: events are few. */
export function Events({ device }: { device: string }) {
  const tenant = useUi((ui) => ui.tenant);
  const [limit, setLimit] = useState(FEW);
  const { data, error } = useQuery({
    queryKey: ["events", tenant, device, limit],
    queryFn: ({ signal }) => fetchEvents(tenant, device, limit, signal),
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
  });
  return (
    <section className="card events" aria-labelledby="events-title" data-state={data ? "events" : "loading"}>
      <h2 id="events-title">Events</h2>
      {!data && <p className="none">{error ? `Not to be had: ${error.message}` : "Loading…"}</p>}
      {data && !data.events.length && <p className="none">Nothing has happened yet.</p>}
      {data && data.events.length > 0 && (
        <ol>
          {data.events.map((event) => (
            <Row key={event.id} event={event} />
          ))}
        </ol>
      )}
      {data?.next && limit < MANY && (
        <button type="button" className="button" onClick={() => setLimit(MANY)}>
          Show more
        </button>
      )}
      {data?.next && limit >= MANY && <p className="none">The newest {MANY}. The API has those before.</p>}
    </section>
  );
}

function Row({ event }: { event: DeviceEvent }) {
  const where = [event.address, event.protocol && `MQTT ${event.protocol}`].filter(Boolean).join(" · ");
  return (
    <li data-kind={event.kind}>
      <time dateTime={new Date(event.at).toISOString()}>{stamp(event.at, clock.now())}</time>
      <b>{kindOf(event.kind)}</b>
      <span className="why" title={event.detail || undefined}>
        {event.reason && reasonOf(event.reason)}
        {event.kind === "connected" && event.session_present && "went on with its session"}
      </span>
      <span className="where" title={event.client ? `Client id ${event.client}` : undefined}>
        {where}
      </span>
    </li>
  );
}
