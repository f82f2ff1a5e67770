import { useEffect, useRef } from "react";
import { FACETS, type Facet, SORTS, type Sort, tallied } from "../state/fleet-list";
import { chooseFleet, useFleetChoice } from "../state/fleet-query";
import { useRoster } from "../state/hooks";
import { store } from "../state/session";
import { SearchIcon } from "./Icons";
import { Select } from "./Select";

/** Of the facets kinds alone are few enough to lie open as chips. */
const CHOSEN: Exclude<Facet, "kind">[] = ["site", "model", "tag"];

/** Which devices are shown, in which order and groups; all of it is in the address. */
export function FleetTools({ shown }: { shown: number }) {
  const choice = useFleetChoice();
  useRoster();
  const kinds = tallied(store.devices.values(), "kind");
  const facets = CHOSEN.map((facet) => ({ facet, names: tallied(store.devices.values(), facet) })).filter(
    ({ facet, names }) => names.length || choice[facet],
  );
  const groups = [...facets.map(({ facet }) => facet), ...(kinds.length > 1 ? (["kind"] as const) : [])];
  return (
    <div className="tools">
      <Search value={choice.search} />
      <fieldset className="chips" aria-label="Kind">
        <Chip name="All" n={store.devices.size} on={choice.kind === null} choose={null} />
        {kinds.map(([name, n]) => (
          <Chip key={name} name={name} n={n} on={choice.kind === name} choose={name} />
        ))}
      </fieldset>
      <div className="selects">
        {facets.map(({ facet, names }) => (
          <Select
            key={facet}
            name={FACETS[facet]}
            none={`Any ${facet}`}
            value={choice[facet] ?? ""}
            options={names.map(([name, n]) => [name, `${name} (${n})`])}
            choose={(name) => chooseFleet({ [facet]: name || null })}
          />
        ))}
        {groups.length > 0 && (
          <Select
            name="Group"
            none="Not grouped"
            value={choice.group ?? ""}
            options={groups.map((facet) => [facet, `By ${facet}`])}
            choose={(group) => chooseFleet({ group: (group || null) as Facet | null })}
          />
        )}
        <Select
          name="Sort"
          value={choice.sort}
          options={Object.entries(SORTS)}
          choose={(sort) => chooseFleet({ sort: sort as Sort })}
        />
      </div>
      <output className="visually-hidden">{shown} devices shown</output>
    </div>
  );
}

function Search({ value }: { value: string }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      const typing =
        event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.key !== "/" || typing || event.metaKey || event.ctrlKey || event.altKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    document.addEventListener("keydown", slash);
    return () => document.removeEventListener("keydown", slash);
  }, []);
  return (
    <search className="search">
      <SearchIcon />
      <input
        ref={field}
        type="search"
        placeholder="Search"
        aria-label="Search devices, kinds and metrics"
        value={value}
        onChange={(event) => chooseFleet({ search: event.target.value })}
      />
      <kbd>/</kbd>
    </search>
  );
}

function Chip({
  name,
  n,
  on,
  choose: kind,
}: {
  name: string;
  n: number;
  on: boolean;
  choose: string | null;
}) {
  return (
    <button type="button" className="chip" aria-pressed={on} onClick={() => chooseFleet({ kind })}>
      {name}
      <span>{n}</span>
    </button>
  );
}
