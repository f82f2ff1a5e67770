import { useMemo } from "react";
import { type Choice, FACETS, type Facet, SORTS, type Sort } from "./fleet-list";
import { changeQuery, useQueryString } from "./router";

/** Every device, in whatever order and groups. */
export const NOTHING_CHOSEN = { search: "", kind: null, site: null, model: null, tag: null };

/** What the address of the fleet says is to be shown. What it says wrongly counts as not said. */
export function readFleet(query: string): Choice {
  const params = new URLSearchParams(query);
  const sort = params.get("sort") ?? "";
  const group = params.get("group") ?? "";
  return {
    search: params.get("search") ?? "",
    kind: params.get("kind") || null,
    site: params.get("site") || null,
    model: params.get("model") || null,
    tag: params.get("tag") || null,
    sort: sort in SORTS ? (sort as Sort) : "name",
    group: group in FACETS ? (group as Facet) : null,
  };
}

export function useFleetChoice(): Choice {
  const query = useQueryString();
  return useMemo(() => readFleet(query), [query]);
}

export function chooseFleet(changed: Partial<Choice>): void {
  const { sort, ...rest } = changed;
  changeQuery({ ...rest, ...(sort ? { sort: sort === "name" ? null : sort } : {}) });
}
