import { getKey } from "./key";
import type { DeviceEventPage, DevicePage, DeviceSummary, Problem, Series } from "./types";

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
  device: string;
  metric: string;
  from: number;
  to: number;
  level: string;
  points: number;
}

export function fetchSeries({ device, ...query }: SeriesQuery, signal?: AbortSignal): Promise<Series> {
  return get(`/v1/devices/${encodeURIComponent(device)}/series`, { ...query }, signal);
}
