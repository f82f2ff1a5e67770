import { type Ref, useState } from "react";
import { useUi } from "../state/ui";
import { CloseIcon } from "./Icons";

const host = () => window.location.hostname || "127.0.0.1";
const portOf = (mqtt: string | undefined) => mqtt?.match(/:(\d+)\/?$/)?.[1] ?? "1883";

/** The two commands that bring a device in. */
export function ConnectSteps({ device = "my-device" }: { device?: string }) {
  const tenant = useUi((ui) => ui.tenant);
  const port = useUi((ui) => portOf(ui.status?.mqtt));
  const publish = [
    `mosquitto_pub -h ${host()} -p ${port} -q 1 \\`,
    `  -u ${tenant}/${device} -P TOKEN \\`,
    `  -t v1/${tenant}/${device}/telemetry -m '{"temperature_c": 21.5}'`,
  ].join("\n");
  return (
    <ol className="steps">
      <li>
        <p>
          Make a token for it. The command also prints the line below, and one for Python, with the token
          filled in.
        </p>
        <Snippet text={`.venv/app/bin/headwater devices add ${tenant} ${device}`} />
      </li>
      <li>
        <p>Publish a reading, from anything that speaks MQTT. It is here within a second.</p>
        <Snippet text={publish} />
      </li>
    </ol>
  );
}

export function Snippet({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text.replace(/ \\\n\s+/g, " "));
    setCopied(true);
    setTimeout(() => setCopied(false), 1_500);
  };
  return (
    <div className="snippet">
      <pre>
        <code>{text}</code>
      </pre>
      {navigator.clipboard && (
        <button type="button" className="button small" onClick={copy} aria-live="polite">
          {copied ? "Copied" : "Copy"}
        </button>
      )}
    </div>
  );
}

export function ConnectDialog({ ref }: { ref: Ref<HTMLDialogElement> }) {
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a click on the backdrop closes; Escape does so by itself
    <dialog
      ref={ref}
      className="dialog"
      aria-labelledby="connect-title"
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
    >
      <div className="dialog-body">
        <header>
          <h2 id="connect-title">Connect a device</h2>
          <form method="dialog">
            <button type="submit" className="icon-button" aria-label="Close">
              <CloseIcon />
            </button>
          </form>
        </header>
        <ConnectSteps />
        <p className="fine">
          Plain JSON is enough: <code>{'{"temperature_c": 21.5}'}</code>. Put the unit at the end of the name
          and it is shown here. Stamp your readings (<code>ts</code>, epoch ms), and a resend is recognised.
        </p>
      </div>
    </dialog>
  );
}
