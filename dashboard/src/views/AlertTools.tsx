import { type FormEvent, useEffect, useId, useState } from "react";
import { SEVERITY } from "../format/alerts";
import { type AlertFilter, CONDITIONS, type Condition, chooseAlerts, FACTS } from "../state/alert-filter";
import { FACETS, tallied } from "../state/fleet-list";
import { useAlertBook, useRoster } from "../state/hooks";
import { alerts, store } from "../state/session";
import { useRules } from "../state/use-alerts";
import { SEVERITIES, type Severity } from "../wire/alert-types";
import { Select } from "./Select";

const CONDITION: Record<Condition, string> = { active: "Active", cleared: "Cleared", any: "Any" };
/** As many names as a person reads through; a further letter narrows them down. */
const OFFERED = 50;

export function AlertTools({ filter }: { filter: AlertFilter }) {
  const rules = useRules();
  useAlertBook();
  useRoster();
  const facts = FACTS.map((fact) => ({ fact, known: tallied(store.devices.values(), fact) })).filter(
    ({ fact, known }) => known.length || filter[fact],
  );
  // Patterns and deleted rules are no rules that there are, and have alerts all the same.
  const heard = [...alerts.all()].map(({ rule }) => rule);
  const names = [...new Set([...(rules.data?.keys() ?? []), ...heard])].sort();
  const severities = [...SEVERITIES].reverse().slice(0, -1);
  return (
    <div className="tools">
      <fieldset className="segments" aria-label="Condition">
        {CONDITIONS.map((condition) => (
          <button
            key={condition}
            type="button"
            aria-pressed={filter.condition === condition}
            onClick={() => chooseAlerts({ condition })}
          >
            {CONDITION[condition]}
          </button>
        ))}
      </fieldset>
      <div className="selects">
        <Select
          name="Severity"
          none="Any severity"
          value={filter.atLeast ?? ""}
          options={severities.map((one) => [
            one,
            one === "critical" ? SEVERITY[one] : `${SEVERITY[one]} or worse`,
          ])}
          choose={(atLeast) => chooseAlerts({ atLeast: (atLeast || null) as Severity | null })}
        />
        <Select
          name="Rule"
          none="Any rule"
          value={filter.rule ?? ""}
          options={names.map((rule) => [rule, rule])}
          choose={(rule) => chooseAlerts({ rule: rule || null })}
        />
        <DeviceField device={filter.device} />
        {facts.map(({ fact, known }) => (
          <Select
            key={fact}
            name={FACETS[fact]}
            none={`Any ${fact}`}
            value={filter[fact] ?? ""}
            options={known.map(([name]) => [name, name])}
            choose={(name) => chooseAlerts({ [fact]: name || null })}
          />
        ))}
        <Select
          name="Acknowledged"
          none="Acknowledged or not"
          value={filter.acknowledged === null ? "" : String(filter.acknowledged)}
          options={[
            ["false", "Not acknowledged"],
            ["true", "Acknowledged"],
          ]}
          choose={(seen) => chooseAlerts({ acknowledged: seen === "" ? null : seen === "true" })}
        />
      </div>
    </div>
  );
}

/** A device by its whole name: chosen once a known name is complete, or with Enter. */
function DeviceField({ device }: { device: string | null }) {
  const [text, setText] = useState(device ?? "");
  const list = useId();
  useRoster();
  useEffect(() => setText(device ?? ""), [device]);
  const wanted = text.toLowerCase();
  const offered: string[] = [];
  for (const name of store.devices.keys()) {
    if (offered.length >= OFFERED) break;
    if (name.toLowerCase().includes(wanted)) offered.push(name);
  }
  const choose = (name: string) => chooseAlerts({ device: name.trim() || null });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    choose(text);
  };
  return (
    <form className="select" data-on={device !== null} onSubmit={submit}>
      <input
        type="search"
        aria-label="Device"
        placeholder="Any device"
        list={list}
        value={text}
        onBlur={() => choose(text)}
        onChange={({ target: { value } }) => {
          setText(value);
          if (!value || store.devices.has(value)) choose(value);
        }}
      />
      <datalist id={list}>
        {offered.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </form>
  );
}
