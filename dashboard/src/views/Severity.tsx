import { SEVERITY, standingSaid } from "../format/alerts";
import type { Severity } from "../wire/alert-types";
import type { Standing } from "../wire/alerts";

/** Of each severity a shape of its own, so that nobody needs the colours to tell them apart. */
const SHAPES: Record<Severity, React.ReactNode> = {
  critical: <path className="full" d="M4 1h4l3 3v4l-3 3H4L1 8V4Z" />,
  major: <path className="full" d="M6 1.200 11.200 10.500H.800Z" />,
  minor: <path d="M6 1.800 10.800 10.200H1.200Z" />,
  warning: <path d="M6 1 11 6 6 11 1 6Z" />,
  indeterminate: <circle cx="6" cy="6" r="4.500" strokeDasharray="2.400 2.310" />,
};

/** The shape alone; whoever shows it says the word as well. */
export function SeverityMark({ severity }: { severity: Severity }) {
  return (
    <svg className={`mark-of sev ${severity}`} viewBox="0 0 12 12" aria-hidden="true">
      {SHAPES[severity]}
    </svg>
  );
}

export function SeverityBadge({ severity }: { severity: Severity }) {
  return (
    <span className={`sev-badge sev ${severity}`} data-severity={severity}>
      <SeverityMark severity={severity} />
      {SEVERITY[severity]}
    </span>
  );
}

/** How many alerts are active, in the colour and shape of the worst; nothing if there are none. */
export function Standings({ n, worst }: Standing) {
  if (!worst) return null;
  const said = standingSaid(n, worst);
  return (
    <span className={`standing sev ${worst}`} title={said} data-severity={worst}>
      <SeverityMark severity={worst} />
      <span aria-hidden="true">{n}</span>
      <span className="visually-hidden">{said}</span>
    </span>
  );
}
