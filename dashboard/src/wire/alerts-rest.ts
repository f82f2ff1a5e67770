import type { Acknowledged, AlertPage, AlertStory, RuleList } from "./alert-types";
import { call, get, type Query } from "./rest";

const at = (alertId: string) => `/v1/alerts/${encodeURIComponent(alertId)}`;

/** A page of alerts, the last changed first; `wanted` are the filters of the API by their names there. */
export function fetchAlerts(wanted: Query, signal?: AbortSignal): Promise<AlertPage> {
  return get("/v1/alerts", wanted, signal);
}

export function fetchAlert(tenant: string, alertId: string, signal?: AbortSignal): Promise<AlertStory> {
  return get(at(alertId), { tenant }, signal);
}

export function acknowledge(
  tenant: string,
  alertId: string,
  said: Omit<Acknowledged, "at">,
): Promise<AlertStory> {
  return call("PUT", `${at(alertId)}/acknowledgement`, { tenant }, { body: JSON.stringify(said) });
}

export function takeBack(tenant: string, alertId: string): Promise<null> {
  return call("DELETE", `${at(alertId)}/acknowledgement`, { tenant });
}

export function fetchRules(tenant: string, signal?: AbortSignal): Promise<RuleList> {
  return get("/v1/rules", { tenant }, signal);
}

/** The rules that mean a device. */
export function fetchDeviceRules(tenant: string, device: string, signal?: AbortSignal): Promise<RuleList> {
  return get(`/v1/devices/${encodeURIComponent(device)}/rules`, { tenant }, signal);
}
