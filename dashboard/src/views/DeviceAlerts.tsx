import { useState } from "react";
import { ACTIVE, type AlertFilter } from "../state/alert-filter";
import { useAlerts } from "../state/use-alerts";
import { AlertRows } from "./AlertRows";
import { Link } from "./Link";

const MOST_ACTIVE = 50;
const FEW_CLEARED = 5;

/** The alerts of a device: all that are active, then the last few that were cleared. */
export function DeviceAlerts({ device }: { device: string }) {
  const [open, setOpen] = useState<string | null>(null);
  const wanted = (condition: AlertFilter["condition"]): AlertFilter => ({ ...ACTIVE, device, condition });
  const active = useAlerts(wanted("active"), MOST_ACTIVE);
  const cleared = useAlerts(wanted("cleared"), FEW_CLEARED);
  const error = active.error ?? cleared.error;
  const rows = active.rows && cleared.rows && [...active.rows, ...cleared.rows.slice(0, FEW_CLEARED)];
  const more = new URLSearchParams({ device, condition: "any" });
  return (
    <section
      id="alerts"
      className="card device-alerts"
      aria-labelledby="alerts-title"
      data-state={rows ? "alerts" : "loading"}
    >
      <header>
        <h2 id="alerts-title">Alerts</h2>
        {rows && rows.length > 0 && <Link to={`/alerts?${more}`}>All of this device</Link>}
      </header>
      {error && <p className="fine failed">The alerts did not come: {error.message}</p>}
      {!rows && !error && <p className="none">Loading…</p>}
      {rows && !rows.length && <p className="none">None is active, and none was of late.</p>}
      {rows && rows.length > 0 && <AlertRows rows={rows} open={open} toggle={setOpen} ofDevice />}
    </section>
  );
}
