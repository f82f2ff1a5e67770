import { useRef } from "react";
import { countsOf } from "../format/alerts";
import { useAlertBook } from "../state/hooks";
import { useRoute } from "../state/router";
import { alerts } from "../state/session";
import { setTheme, type Theme, useUi } from "../state/ui";
import { standingOf } from "../wire/alerts";
import { ConnectDialog } from "./Connect";
import { Mark, MoonIcon, PlusIcon, ScreenIcon, SunIcon } from "./Icons";
import { LineBadge } from "./LineBadge";
import { Link } from "./Link";
import { SeverityMark } from "./Severity";

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const ICON = { system: ScreenIcon, light: SunIcon, dark: MoonIcon };
const NAME = { system: "like the system", light: "light", dark: "dark" };

export function Header({ bare = false }: { bare?: boolean }) {
  const tenant = useUi((ui) => ui.tenant);
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <header className="top">
      <Link className="brand" to="/" aria-label="Headwater, to the fleet">
        <Mark />
        <span>Headwater</span>
      </Link>
      {!bare && (
        <>
          <span className="tenant" title="Tenant">
            {tenant}
          </span>
          <Navigation />
          <LineBadge />
        </>
      )}
      <span className="grow" />
      {!bare && (
        <button type="button" className="button connect" onClick={() => dialog.current?.showModal()}>
          <PlusIcon />
          <span className="wide">Connect a device</span>
        </button>
      )}
      <ThemeButton />
      {!bare && <ConnectDialog ref={dialog} />}
    </header>
  );
}

function Navigation() {
  const { page } = useRoute();
  const fleet = useUi((ui) => ui.fleet);
  return (
    <nav aria-label="Pages">
      <Link
        to={`/${fleet}`}
        aria-current={
          page === "fleet" ? "page" : page === "device" || page === "fleet-of" ? "true" : undefined
        }
      >
        Fleet
      </Link>
      <Link to="/alerts" aria-current={page === "alerts" ? "page" : undefined}>
        Alerts
        <ActiveAlerts />
      </Link>
    </nav>
  );
}

/** How many alerts of the tenant are active, in the colour of the worst. */
function ActiveAlerts() {
  useAlertBook();
  if (!alerts.counts) return null;
  const { n, worst } = standingOf(alerts.counts);
  if (!worst) return null;
  const said = `${countsOf(alerts.counts)} active`;
  return (
    <span className={`count sev ${worst}`} title={said} data-active={n} data-severity={worst}>
      <SeverityMark severity={worst} />
      <span aria-hidden="true">{n > 999 ? "999+" : n}</span>
      <span className="visually-hidden">{said}</span>
    </span>
  );
}

function ThemeButton() {
  const theme = useUi((ui) => ui.theme);
  const Icon = ICON[theme];
  const label = `Colours: ${NAME[theme]}. Change to ${NAME[NEXT[theme]]}.`;
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={label}
      title={label}
      onClick={() => setTheme(NEXT[theme])}
    >
      <Icon />
    </button>
  );
}
