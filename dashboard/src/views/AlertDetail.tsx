import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { HAPPENED, stepOf } from "../format/alerts";
import { stamp } from "../format/time";
import { metricOf } from "../state/naming";
import { clock } from "../state/session";
import { getName, setName, useUi } from "../state/ui";
import { useStory } from "../state/use-alerts";
import type { Acknowledged, Alert, AlertStep, Rule } from "../wire/alert-types";
import { acknowledge, takeBack } from "../wire/alerts-rest";
import { SeverityBadge } from "./Severity";

/** The story of an alert, what its rule says is to be done, and who has seen it. */
export function AlertDetail({ id, alert, rule }: { id: string; alert: Alert; rule: Rule | undefined }) {
  const story = useStory(alert.alert_id);
  return (
    <div id={id} className="alert-detail" data-state={story.data ? "story" : "loading"}>
      {rule?.text && <p className="text">{rule.text}</p>}
      {story.error && <p className="fine failed">The story did not come: {story.error.message}</p>}
      {!story.data && !story.error && <p className="fine">Loading…</p>}
      {story.data && (
        <ol className="story" aria-label="What happened">
          {story.data.events.map((step) => (
            <Step key={`${step.happened} ${step.event_time}`} step={step} alert={alert} rule={rule} />
          ))}
        </ol>
      )}
      {alert.acknowledged ? (
        <TakeBack alert={alert} seen={alert.acknowledged} />
      ) : (
        <Acknowledge alertId={alert.alert_id} />
      )}
    </div>
  );
}

function Step({ step, alert, rule }: { step: AlertStep; alert: Alert; rule: Rule | undefined }) {
  const { happened, severity, event_time } = step;
  return (
    <li data-happened={happened}>
      <time dateTime={new Date(event_time).toISOString()}>{stamp(event_time, clock.now())}</time>
      <b>{HAPPENED[happened]}</b>
      {happened === "cleared" ? <span /> : <SeverityBadge severity={severity} />}
      <span className="why">{stepOf(alert, step, metricOf(alert), rule)}</span>
    </li>
  );
}

/** Says something of an alert, and has everything that tells of alerts asked for again. */
function useSaying<Said>(say: (tenant: string, said: Said) => Promise<unknown>) {
  const tenant = useUi((ui) => ui.tenant);
  const client = useQueryClient();
  return useMutation({
    mutationFn: (said: Said) => say(tenant, said),
    onSuccess: () => client.invalidateQueries({ queryKey: ["alerts"] }),
  });
}

function Acknowledge({ alertId }: { alertId: string }) {
  const [by, setBy] = useState(getName);
  const [comment, setComment] = useState("");
  const saying = useSaying((tenant, said: Omit<Acknowledged, "at">) => acknowledge(tenant, alertId, said));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setName(by.trim());
    saying.mutate({ by: by.trim(), comment: comment.trim() });
  };
  return (
    <form className="acknowledge" onSubmit={submit}>
      <label>
        <span>Your name</span>
        <input
          name="by"
          autoComplete="name"
          maxLength={128}
          value={by}
          onChange={(event) => setBy(event.target.value)}
        />
      </label>
      <label className="wide">
        <span>Comment</span>
        <input
          name="comment"
          maxLength={2_000}
          placeholder="What you know or do about it"
          value={comment}
          onChange={(event) => setComment(event.target.value)}
        />
      </label>
      <button type="submit" className="button primary" disabled={!by.trim() || saying.isPending}>
        Acknowledge
      </button>
      {saying.error && (
        <p className="fine failed" role="alert">
          Not acknowledged: {saying.error.message}
        </p>
      )}
    </form>
  );
}

function TakeBack({ alert, seen }: { alert: Alert; seen: Acknowledged }) {
  const saying = useSaying((tenant) => takeBack(tenant, alert.alert_id));
  return (
    <div className="acknowledged">
      <p>
        Acknowledged by <b>{seen.by}</b> at {stamp(seen.at, clock.now())}
        {seen.comment && <>: {seen.comment}</>}
      </p>
      <button
        type="button"
        className="button small"
        disabled={saying.isPending}
        onClick={() => saying.mutate(undefined)}
      >
        Take back
      </button>
      {saying.error && (
        <p className="fine failed" role="alert">
          Not taken back: {saying.error.message}
        </p>
      )}
    </div>
  );
}
