import { useEffect } from "react";
import { countsOf } from "../format/alerts";
import { ACTIVE, chooseAlerts, useAlertFilter } from "../state/alert-filter";
import { useAlertBook, useDevices, useSubscription } from "../state/hooks";
import { changeQuery, useQueryString } from "../state/router";
import { alerts } from "../state/session";
import { useAlerts, useRules, useStory } from "../state/use-alerts";
import { AlertRows } from "./AlertRows";
import { AlertTools } from "./AlertTools";
import { Snippet } from "./Connect";

const PAGE = 50;

/** Alerts of the tenant: live, filtered by the address, which also says whose story is open (`alert`). */
export function Alerts() {
  // The fleet's rows are heard here too: they are what the state of the line is known by.
  useSubscription(null);
  useDevices();
  useEffect(() => {
    document.title = "Alerts · Headwater";
  }, []);
  const filter = useAlertFilter();
  const open = new URLSearchParams(useQueryString()).get("alert");
  const { rows, error, more, loading, next, again } = useAlerts(filter, PAGE);
  const story = useStory(open);
  // An alert that an address names is shown, whether or not it is among those that are chosen.
  const listed =
    rows && story.data && !rows.some((row) => row.alert_id === open) ? [story.data, ...rows] : rows;
  const lost = open !== null && story.error && !story.data ? story.error : null;
  return (
    <section className="alerts" data-state={listed ? "alerts" : error ? "failed" : "loading"}>
      <Head />
      <AlertTools filter={filter} />
      {lost && <p className="fine failed">{lost.message}</p>}
      {error && <Failed error={error} retry={() => void again()} />}
      {!listed && !error && <Skeletons />}
      {listed && !listed.length && <NoAlerts asked={isAsked(filter)} />}
      {listed && listed.length > 0 && (
        <AlertRows rows={listed} open={open} toggle={(alert) => changeQuery({ alert })} />
      )}
      {more && (
        <button type="button" className="button more" disabled={loading} onClick={() => void next()}>
          {loading ? "Loading…" : "Show more"}
        </button>
      )}
    </section>
  );
}

const isAsked = (filter: typeof ACTIVE) => JSON.stringify(filter) !== JSON.stringify(ACTIVE);

function Head() {
  useAlertBook();
  const { counts } = alerts;
  return (
    <header className="page-head">
      <h1>Alerts</h1>
      <p>{counts && (countsOf(counts) ? `${countsOf(counts)} active` : "none active")}</p>
    </header>
  );
}

function Failed({ error, retry }: { error: Error; retry: () => void }) {
  return (
    <div className="card trouble" role="alert">
      <p>The alerts did not come: {error.message}</p>
      <button type="button" className="button small" onClick={retry}>
        Try now
      </button>
    </div>
  );
}

function Skeletons() {
  return (
    <div className="skeletons" aria-busy="true">
      {["a", "b", "c", "d"].map((key) => (
        <div key={key} className="skeleton" />
      ))}
    </div>
  );
}

const EXAMPLE = `rules:
  - rule: too-hot
    severity: warning
    text: Too hot. See whether the fan turns.
    when: {kind: threshold, metric: temperature_c, above: 30, clear: 28}`;

/** Why nothing is shown, and what to do so that there will be. */
function NoAlerts({ asked }: { asked: boolean }) {
  const rules = useRules();
  if (asked)
    return (
      <div className="notice small" data-state="no-match">
        <h2>No alert matches</h2>
        <p>Alerts are kept for some weeks after they were cleared; older ones are gone.</p>
        <button type="button" className="button" onClick={() => chooseAlerts(ACTIVE)}>
          Show all that are active
        </button>
      </div>
    );
  const n = rules.data ? [...rules.data.values()].filter((rule) => rule.enabled !== false).length : null;
  return (
    <section className="notice" data-state="empty">
      <h2>{n === 0 ? "There is no rule yet" : "No alert is active"}</h2>
      <p>
        {n === null || n === 0
          ? "A rule says which readings are an alert, and how severe. "
          : `${n} ${n === 1 ? "rule watches" : "rules watch"}, and none of them finds anything. `}
        To add {n ? "one more" : "one"}, write it into a file, say <code>too-hot.yml</code>:
      </p>
      <Snippet text={EXAMPLE} />
      <p>and apply it. It counts within a second, for every device that has the metric.</p>
      <Snippet text=".venv/app/bin/headwater rules apply too-hot.yml" />
    </section>
  );
}
