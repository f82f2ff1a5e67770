import { useRef } from "react";
import { setTheme, type Theme, useUi } from "../state/ui";
import { ConnectDialog } from "./Connect";
import { Mark, MoonIcon, PlusIcon, ScreenIcon, SunIcon } from "./Icons";
import { LineBadge } from "./LineBadge";
import { Link } from "./Link";

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
