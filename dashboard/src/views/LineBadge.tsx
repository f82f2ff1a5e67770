import { useLine } from "../state/hooks";
import type { Line } from "../state/line";

const WORD: Record<Line["kind"], string> = {
  connecting: "Connecting",
  live: "Live",
  "catching-up": "Catching up",
  stalled: "Stale",
  silent: "Stale",
  disconnected: "Disconnected",
  refused: "Refused",
};

/** The state of the line in one word. */
export function LineBadge() {
  const line = useLine();
  return (
    <span className={`line-badge ${line.kind}`} role="status" data-line={line.kind}>
      <i className="pip" />
      {WORD[line.kind]}
    </span>
  );
}
