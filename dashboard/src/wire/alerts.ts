import { type AlertCounts, type AlertsFrame, type Episode, SEVERITIES, type Severity } from "./alert-types";

/** Cleared episodes that are kept as they were heard, for the lists that show them before the store does. */
const CLEARED_KEPT = 500;

const NONE: AlertCounts = { critical: 0, major: 0, minor: 0, warning: 0, indeterminate: 0 };

export const worseThan = (a: Severity, b: Severity): boolean => SEVERITIES.indexOf(a) > SEVERITIES.indexOf(b);

/** How many alerts are active, and how severe the worst of them is (null: none is). */
export interface Standing {
  n: number;
  worst: Severity | null;
}

export function standingOf(counts: AlertCounts): Standing {
  const n = SEVERITIES.reduce((sum, severity) => sum + counts[severity], 0);
  return { n, worst: SEVERITIES.findLast((severity) => counts[severity] > 0) ?? null };
}

/** How several stand together. */
export function worstOf(standings: Standing[]): Standing {
  const sum: Standing = { n: 0, worst: null };
  for (const { n, worst } of standings) {
    sum.n += n;
    if (worst && (sum.worst === null || worseThan(worst, sum.worst))) sum.worst = worst;
  }
  return sum;
}

/** The alerts as the live connection tells them: all that are active, and those that were just cleared. */
export class AlertBook {
  /** Null until the server has said anything of alerts. */
  counts: AlertCounts | null = null;
  /** Rises with every frame. */
  version = 0;
  private episodes = new Map<string, Episode>();
  private devices: Map<string, Standing> | null = null;
  private readonly listeners = new Set<() => void>();

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  apply(frame: AlertsFrame): void {
    const before = this.episodes;
    // What is active and not among all that are active was cleared while nobody listened.
    if (frame.whole) this.episodes = new Map([...before].filter(([, episode]) => episode.cleared !== null));
    for (const episode of frame.alerts) {
      const held = before.get(episode.alert_id);
      this.episodes.set(episode.alert_id, held && held.changed > episode.changed ? held : episode);
    }
    this.counts = frame.counts;
    this.dropOldest();
    this.changed();
  }

  get(alertId: string): Episode | undefined {
    return this.episodes.get(alertId);
  }

  /** Active ones, and those cleared of late. */
  all(): IterableIterator<Episode> {
    return this.episodes.values();
  }

  /** How a device stands, of the alerts that are told one by one. */
  of(device: string): Standing {
    this.devices ??= this.byDevice();
    return this.devices.get(device) ?? { n: 0, worst: null };
  }

  /** Of each metric of a device that has active alerts the worst of them. */
  worstByMetric(device: string): Map<string, Episode> {
    const worst = new Map<string, Episode>();
    for (const episode of this.episodes.values()) {
      if (episode.device !== device || episode.cleared !== null) continue;
      const held = worst.get(episode.metric);
      if (!held || worseThan(episode.severity, held.severity)) worst.set(episode.metric, episode);
    }
    return worst;
  }

  forget(): void {
    this.episodes = new Map();
    this.counts = null;
    this.changed();
  }

  private byDevice(): Map<string, Standing> {
    const counts = new Map<string, AlertCounts>();
    for (const { cleared, device, severity } of this.episodes.values()) {
      if (cleared !== null) continue;
      const of = counts.get(device) ?? { ...NONE };
      of[severity] += 1;
      counts.set(device, of);
    }
    return new Map([...counts].map(([device, of]) => [device, standingOf(of)]));
  }

  private dropOldest(): void {
    const cleared = [...this.episodes.values()].filter((episode) => episode.cleared !== null);
    if (cleared.length <= CLEARED_KEPT) return;
    cleared.sort((a, b) => b.changed - a.changed);
    for (const { alert_id } of cleared.slice(CLEARED_KEPT)) this.episodes.delete(alert_id);
  }

  private changed(): void {
    this.devices = null;
    this.version += 1;
    for (const listener of this.listeners) listener();
  }
}
