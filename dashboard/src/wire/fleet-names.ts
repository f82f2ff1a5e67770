/** A fleet: all devices of a site, or of a model, whose readings have rows together. */
export type FleetBy = "site" | "model";

const FORM = /^_(site|model)\/(.*)$/s;

/** The name of a fleet's rows; names of devices neither begin with "_" nor hold "/". */
export const fleetName = (by: FleetBy, name: string) => `_${by}/${name}`;

export const isFleet = (device: string) => FORM.test(device);

/** Where the API has what belongs to a device, or to a fleet by the name of its rows. */
export function apiPath(device: string): string {
  const [, by, name] = FORM.exec(device) ?? [];
  return by
    ? `/v1/${by}s/${encodeURIComponent(name as string)}`
    : `/v1/devices/${encodeURIComponent(device)}`;
}
