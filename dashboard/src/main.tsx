import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { paletteChanged } from "./charts/palette";
import { queries, startSession } from "./state/session";
import { applyTheme, takeTenantFromAddress, useUi } from "./state/ui";
import { App } from "./views/App";
import { takeKeyFromAddress } from "./wire/key";
import "./views/styles/base.css";
import "./views/styles/shell.css";
import "./views/styles/fleet.css";
import "./views/styles/device.css";
import "./views/styles/events.css";
import "./views/styles/alerts.css";

takeKeyFromAddress();
takeTenantFromAddress();
applyTheme(useUi.getState().theme);
useUi.subscribe((now, before) => {
  if (now.theme === before.theme) return;
  applyTheme(now.theme);
  paletteChanged();
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paletteChanged);
// Canvas text is drawn before the font has come, and has to be drawn again.
void document.fonts.ready.then(paletteChanged);
startSession();

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <App />
    </QueryClientProvider>
  </StrictMode>,
);
