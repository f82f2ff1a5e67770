import { connectionOf } from "../format/events";
import type { Connection } from "../wire/types";

/** Whether a device is connected, as a mark of two shapes (never of colour alone) with its meaning for readers. */
export function Plug({ connection, now }: { connection: Connection; now: number }) {
  const said = connectionOf(connection, now);
  return (
    <i className={`plug ${connection.connected ? "on" : "off"}`} title={said}>
      <svg viewBox="0 0 12 12" aria-hidden="true">
        <path d={connection.connected ? "M2 6.5 5 9l5-6" : "M2.5 2.5l7 7m0-7-7 7"} />
      </svg>
      <span className="visually-hidden">{said}</span>
    </i>
  );
}
