import { useSubscription } from "../state/hooks";
import { useRoute } from "../state/router";
import { useUi } from "../state/ui";
import { Alerts } from "./Alerts";
import { Banner } from "./Banner";
import { Device } from "./Device";
import { Fleet } from "./Fleet";
import { FleetOf } from "./FleetOf";
import { Header } from "./Header";
import { KeyForm } from "./KeyForm";
import { Link } from "./Link";
import { StatusBar } from "./StatusBar";

export function App() {
  const refused = useUi((ui) => (ui.link.kind === "refused" ? ui.link.detail : null));
  if (refused !== null) {
    return (
      <>
        <Header bare />
        <KeyForm detail={refused} />
      </>
    );
  }
  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <Header />
      <StatusBar />
      <Banner />
      <main id="main" tabIndex={-1}>
        <Page />
      </main>
    </>
  );
}

function Page() {
  const route = useRoute();
  switch (route.page) {
    case "fleet":
      return <Fleet />;
    case "alerts":
      return <Alerts />;
    case "device":
      return <Device key={route.device} name={route.device} />;
    case "fleet-of":
      return <FleetOf key={`${route.by} ${route.name}`} by={route.by} name={route.name} />;
    case "unknown":
      return <Nowhere path={route.path} />;
  }
}

function Nowhere({ path }: { path: string }) {
  useSubscription(null); // the bar above is told how the line does with it
  return (
    <section className="notice">
      <h1>There is no such page</h1>
      <p>
        Nothing lives at <code>{path}</code>.
      </p>
      <Link className="button" to="/">
        Go to the fleet
      </Link>
    </section>
  );
}
