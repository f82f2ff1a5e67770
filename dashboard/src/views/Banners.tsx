import { ago, clockTime } from "../format/time";
import type { Line } from "../state/line";
import type { StatusFrame } from "../wire/types";

type Job = NonNullable<StatusFrame["jobs"]>[number];
type Query = NonNullable<StatusFrame["queries"]>[number];

interface Props {
  line: Line;
  /** The jobs of the stack. */
  jobs: Job[];
  /** What analysts have deployed. */
  queries: Query[];
  /** Server time. */
  now: number;
  retry(): void;
}

/** Says in a sentence each what is wrong with the line, and which jobs and queries fail: none hides another. */
export function Banners({ line, jobs, queries, now, retry }: Props) {
  const said = sentence(line, now);
  return (
    <>
      {said && (
        <div className={`banner ${line.kind}`} data-banner={line.kind}>
          {/* The title alone is called out: a countdown that is read each second helps nobody. */}
          <strong role="alert">{said.title}</strong>
          <span>{said.text}</span>
          {line.kind === "disconnected" && line.retryInS !== null && (
            <button type="button" className="button small" onClick={retry}>
              Try now
            </button>
          )}
        </div>
      )}
      <FailingJobs jobs={jobs} />
      <FailedQueries queries={queries} />
    </>
  );
}

/** Jobs of the stack that do not run, though they should. */
function FailingJobs({ jobs }: { jobs: Job[] }) {
  const failing = jobs.filter((job) => job.state === "failing");
  const [first] = failing;
  if (!first) return null;
  const names = failing.map((job) => job.name).join(", ");
  const alerts = failing.some((job) => job.name === "alerting") ? " No rule is judged meanwhile." : "";
  return (
    <div className="banner stalled" data-banner="failing-jobs">
      <strong role="alert">{failing.length === 1 ? "A job does not run." : "Jobs do not run."}</strong>
      <span>
        {names}: {first.why}.{alerts} What comes waits in the log: see “headwater jobs list”.
      </span>
    </div>
  );
}

/** Metrics and patterns of analysts whose query failed: each was stopped alone, and everything else goes on. */
function FailedQueries({ queries }: { queries: Query[] }) {
  const failed = queries.filter((query) => query.state === "failed");
  const [first] = failed;
  if (!first) return null;
  const names = failed.map((query) => query.name).join(", ");
  return (
    <div className="banner stalled" data-banner="failed-queries">
      <strong role="alert">
        {failed.length === 1 ? `A ${first.kind} has stopped.` : "Queries have stopped."}
      </strong>
      <span>
        {names}: {first.why}. Everything else goes on; “headwater sql deploy” takes a mended one.
      </span>
    </div>
  );
}

function sentence(line: Line, now: number): { title: string; text: string } | null {
  switch (line.kind) {
    case "disconnected": {
      const next = line.retryInS === null ? "Reconnecting…" : `Reconnecting in ${line.retryInS} s.`;
      const shown = line.shownFrom ? ` What you see is from ${clockTime(line.shownFrom)}.` : "";
      return { title: "Disconnected.", text: `${next}${shown}` };
    }
    case "catching-up":
      return { title: "Catching up.", text: "The API has just started and reads the log; live rows follow." };
    case "stalled":
      return {
        title: "Stale.",
        text:
          `The log has stood still for ${ago(now - line.since)}; what you see is from ` +
          `${clockTime(line.since)}. The pipeline may be restarting: see “headwater status”.`,
      };
    case "silent":
      return {
        title: "Stale.",
        text: `No readings for ${ago(now - line.since)}. The line is up, but nothing comes through it.`,
      };
    default:
      return null;
  }
}
