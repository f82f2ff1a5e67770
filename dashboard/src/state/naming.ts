import { describe, type Metric } from "../format/units";
import type { Episode } from "../wire/alert-types";
import { store } from "./session";

/** The metric that an alert is about, as the model of its device names it. */
export const metricOf = ({ device, metric }: Episode): Metric =>
  describe(metric, store.devices.get(device)?.named[metric]);
