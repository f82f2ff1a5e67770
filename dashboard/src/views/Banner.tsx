import { useLine } from "../state/hooks";
import { clock, link } from "../state/session";
import { useUi } from "../state/ui";
import { Banners } from "./Banners";

/** What is wrong, and what is being done about it, as the line and the newest status tell. */
export function Banner() {
  const line = useLine();
  const queries = useUi((ui) => ui.status?.queries);
  const jobs = useUi((ui) => ui.status?.jobs);
  return (
    <Banners
      line={line}
      jobs={jobs ?? []}
      queries={queries ?? []}
      now={clock.now()}
      retry={() => link.retryNow()}
    />
  );
}
