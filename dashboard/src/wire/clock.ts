/**
 * How far the server's clock is from this screen's: delay is measured between two machines, and browsers drift.
 *
 * Of the last pings the one with the shortest way there and back is believed (Cristian, 1989): its error is at
 * most half of that way.
 */
export class ServerClock {
  private pings: { rtt: number; offset: number }[] = [];
  private renewed = false;

  constructor(private readonly local: () => number = Date.now) {}

  pong(sent: number, server: number): void {
    const back = this.local();
    if (this.renewed) this.pings = [];
    this.renewed = false;
    this.pings.push({ rtt: back - sent, offset: server - (sent + back) / 2 });
    if (this.pings.length > 12) this.pings.shift();
  }

  get known(): boolean {
    return this.pings.length > 0;
  }

  /** Server minus screen, in ms; 0 until the first pong. */
  get offset(): number {
    let best = this.pings[0];
    for (const ping of this.pings) if (best && ping.rtt < best.rtt) best = ping;
    return best?.offset ?? 0;
  }

  now(): number {
    return this.local() + this.offset;
  }

  /** On a new connection the next pong starts anew: old ones may be from before a sleep, or of another server. */
  renew(): void {
    this.renewed = true;
  }
}
