import { useId } from "react";
import { whatOf } from "../format/alerts";
import { span, stamp } from "../format/time";
import { useSecond } from "../state/hooks";
import { metricOf } from "../state/naming";
import { devicePath } from "../state/router";
import { clock } from "../state/session";
import { useRules } from "../state/use-alerts";
import type { Alert, Rule } from "../wire/alert-types";
import { AlertDetail } from "./AlertDetail";
import { ChevronIcon } from "./Icons";
import { Link } from "./Link";
import { SeverityBadge } from "./Severity";

interface Props {
  rows: Alert[];
  /** The alert whose story is open. */
  open: string | null;
  toggle(alertId: string | null): void;
  /** Of one device alone its name goes without saying. */
  ofDevice?: boolean;
}

/** Alerts, a row each; a click opens the story of one. */
export function AlertRows({ rows, open, toggle, ofDevice = false }: Props) {
  const rules = useRules().data;
  useSecond();
  return (
    <ol className={`alert-rows ${ofDevice ? "of-device" : ""}`} aria-label="Alerts">
      {rows.map((alert) => (
        <Row
          key={alert.alert_id}
          alert={alert}
          rule={rules?.get(alert.rule)}
          open={alert.alert_id === open}
          toggle={() => toggle(alert.alert_id === open ? null : alert.alert_id)}
          ofDevice={ofDevice}
        />
      ))}
    </ol>
  );
}

interface RowProps {
  alert: Alert;
  rule: Rule | undefined;
  open: boolean;
  toggle(): void;
  ofDevice: boolean;
}

function Row({ alert, rule, open, toggle, ofDevice }: RowProps) {
  const detail = useId();
  const now = clock.now();
  const active = alert.cleared === null;
  return (
    <li
      className={active ? "active" : "cleared"}
      data-alert={alert.alert_id}
      data-condition={active ? "active" : "cleared"}
    >
      <div className={`alert-row sev ${alert.severity}`}>
        <SeverityBadge severity={alert.severity} />
        <div className="what">
          <h3>
            {/* The button lies over the whole row; links lie over the button. */}
            <button type="button" aria-expanded={open} aria-controls={detail} onClick={toggle}>
              {alert.rule}
            </button>
            {!ofDevice && <Link to={devicePath(alert.device)}>{alert.device}</Link>}
          </h3>
          <p>
            {alert.metric && <code>{alert.metric}</code>} {whatOf(alert, metricOf(alert), rule, now)}
          </p>
        </div>
        <Since alert={alert} now={now} />
        <Seen alert={alert} now={now} />
        <ChevronIcon />
      </div>
      {open && <AlertDetail id={detail} alert={alert} rule={rule} />}
    </li>
  );
}

/** Since when by the device's own time, for how long, and when it ended. */
function Since({ alert, now }: { alert: Alert; now: number }) {
  const { start, cleared } = alert;
  const moment = (at: number) => <time dateTime={new Date(at).toISOString()}>{stamp(at, now)}</time>;
  return (
    <div className="since">
      <span>since {moment(start)}</span>
      <small>
        {cleared === null ? (
          `for ${span(now - start)}`
        ) : (
          <>
            cleared {moment(cleared)}, after {span(cleared - start)}
          </>
        )}
      </small>
    </div>
  );
}

function Seen({ alert, now }: { alert: Alert; now: number }) {
  const seen = alert.acknowledged;
  if (!seen) return <div className="seen">{alert.cleared === null && <small>not acknowledged</small>}</div>;
  return (
    <div className="seen" title={`Acknowledged by ${seen.by} at ${stamp(seen.at, now)}`}>
      <span>✓ {seen.by}</span>
      <small>{seen.comment || stamp(seen.at, now)}</small>
    </div>
  );
}
