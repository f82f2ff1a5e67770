import { apiPath, type FleetBy, fleetName } from "./fleet-names";
import { getKey } from "./key";
import type {
  DeviceEventPage,
  DevicePage,
  DeviceSummary,
  FleetList,
  Problem,
  RegisteredFleet,
  Series,
} from "./types";

/** An answer that is not what was asked for, in the words of the server (problem+json). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail ?? problem.title ?? `the API answered ${status}`);
    this.name = "ApiError";
  }

  get refused(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

let onRefused: (detail: string) => void = () => {};

/** Who is told when a key is not accepted; every call says so, whichever comes first. */
export function whenRefused(tell: (detail: string) => void): void {
  onRefused = tell;
}

export type Query = Record<string, string | number | boolean>;

export function get<T>(path: string, query: Query, signal?: AbortSignal): Promise<T> {
  return call("GET", path, query, signal ? { signal } : {});
}

/** Asks the API, with the key of this tab. Throws `ApiError` in the server's words; an answer without a body is null. */
export async function call<T>(
  method: string,
  path: string,
  query: Query,
  more: RequestInit = {},
): Promise<T> {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) search.set(name, String(value));
  const key = getKey();
  const answer = await fetch(`${path}?${search}`, {
    method,
    ...more,
    headers: {
      Accept: "application/json",
      ...(more.body ? { "Content-Type": "application/json" } : {}),
      ...(key ? { Authorization: `Bearer ${key}` } : {}),
    },
  });
  if (answer.ok) return (answer.status === 204 ? null : await answer.json()) as T;
  const problem = (await answer.json().catch(() => ({}))) as Problem;
  const error = new ApiError(answer.status, problem);
  if (error.refused) onRefused(error.message);
  throw error;
}

/** All devices of a tenant, page by page. */
export async function fetchDevices(tenant: string, signal?: AbortSignal): Promise<DeviceSummary[]> {
  const all: DeviceSummary[] = [];
  let cursor: string | null = null;
  do {
    const query: Query = { tenant, limit: 500 };
    if (cursor) query.cursor = cursor;
    const page: DevicePage = await get("/v1/devices", query, signal);
    all.push(...page.devices);
    cursor = page.next;
  } while (cursor);
  return all;
}

export function fetchDevice(tenant: string, device: string, signal?: AbortSignal): Promise<DeviceSummary> {
  return get(`/v1/devices/${encodeURIComponent(device)}`, { tenant }, signal);
}

/** The newest values of every site and model that has any. */
export function fetchFleets(tenant: string, signal?: AbortSignal): Promise<FleetList> {
  return get("/v1/fleets", { tenant }, signal);
}

/** What the registry says of a site or a model. */
export function fetchRegistered(
  tenant: string,
  by: FleetBy,
  name: string,
  signal?: AbortSignal,
): Promise<RegisteredFleet> {
  return get(apiPath(fleetName(by, name)), { tenant }, signal);
}

/** The first devices of a site or a model, by name. */
export function fetchDevicesOf(
  tenant: string,
  by: FleetBy,
  name: string,
  limit: number,
  signal?: AbortSignal,
): Promise<DevicePage> {
  return get("/v1/devices", { tenant, [by]: name, limit }, signal);
}

/** The newest events of a device. */
export function fetchEvents(
  tenant: string,
  device: string,
  limit: number,
  signal?: AbortSignal,
): Promise<DeviceEventPage> {
  return get(`/v1/devices/${encodeURIComponent(device)}/events`, { tenant, limit }, signal);
}

export interface SeriesQuery {
  tenant: string;
  /** Or a fleet, by the name of its rows. */
  device: string;
  metric: string;
  from: number;
  to: number;
  level: string;
  points: number;
}

export function fetchSeries({ device, ...query }: SeriesQuery, signal?: AbortSignal): Promise<Series> {
  return get(`${apiPath(device)}/series`, { ...query }, signal);
}
