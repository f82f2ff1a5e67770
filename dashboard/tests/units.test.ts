import { expect, describe as group, it } from "vitest";
import {
  axisSplits,
  describe,
  formatAxis,
  formatCompact,
  formatDelay,
  formatText,
} from "../src/format/units";

const say = (name: string, value: number) => `${describe(name).label}: ${formatText(describe(name), value)}`;

group("names and units", () => {
  it.each([
    ["temperature_c", 21.46, "Temperature: 21.5 °C"],
    ["air_temperature_celsius", -19.04, "Air temperature: −19.0 °C"],
    ["cpu_percent", 7.25, "CPU: 7.3 %"],
    ["cpu_core_0_percent", 100, "CPU core 0: 100.0 %"],
    ["memory_used_bytes", 9_664_000_000, "Memory used: 9.00 GiB"],
    ["memory_used_bytes", 512, "Memory used: 512 B"],
    ["network_received_bytes_per_s", 84_000, "Network received: 82.03 KiB/s"],
    ["voltage_v", 231.23, "Voltage: 231.2 V"],
    ["voltage_volt", 231.23, "Voltage: 231.2 V"],
    ["power_w", 3_215, "Power: 3.22 kW"],
    ["compressor_watt", 240, "Compressor: 240.0 W"],
    ["pressure_hpa", 1013.25, "Pressure: 1\u202f013.3 hPa"],
    ["pressure_kpa", 101.3, "Pressure: 101.3 kPa"],
    ["pressure_bar", 5.218, "Pressure: 5.22 bar"],
    ["flow_l_per_min", 18.2, "Flow: 18.20 l/min"],
    ["flow_m3_per_h", 42.1, "Flow: 42.10 m³/h"],
    ["rpm", 1480.4, "RPM: 1\u202f480 rpm"],
    ["fan_rpm", 900, "Fan: 900 rpm"],
    ["vibration_mm_per_s", 0.1234, "Vibration: 0.123 mm/s"],
    ["co2_ppm", 415.6, "CO₂: 416 ppm"],
    ["load_1m", 0.53, "Load 1m: 0.530"],
    ["temperature", 21.5, "Temperature: 21.50"],
    ["phase_a", 3, "Phase a: 3.00"],
    ["current_a", 3, "Current: 3.00 A"],
  ])("%s reads well", (name, value, said) => {
    expect(say(name, value)).toBe(said);
  });

  it.each([
    ["t", { unit: "°C", scale: 1, title: "Hall" }, 21.46, "Hall: 21.5 °C"],
    ["t", { unit: "°C", scale: 0.1, title: "" }, 214.6, "T: 21.5 °C"],
    ["t_c", { unit: "Bq", scale: 1, title: "" }, 21.46, "T: 21.46 Bq"],
    ["t_c", { unit: "", scale: 1, title: "Hall" }, 21.46, "Hall: 21.5 °C"],
    ["t_c", { unit: "", scale: 2, title: "" }, 21.46, "T: 42.92"],
    ["p_kw", { unit: "W", scale: 1_000, title: "Power" }, 3.2, "Power: 3.20 kW"],
    ["memory_used_bytes", { unit: "B", scale: 1, title: "" }, 9_664_000_000, "Memory used: 9.00 GiB"],
    ["current_a", { unit: "A", scale: -1, title: "Charge" }, 3, "Charge: 3.00"],
  ])("%s is named by a model, whatever its name", (name, said, value, text) => {
    const metric = describe(name, said);
    expect(`${metric.label}: ${formatText(metric, value)}`).toBe(text);
    expect(describe(name, { ...said })).toBe(metric);
  });

  it("does not take the one name's model for another's", () => {
    describe("level_m", { unit: "cm", scale: 100, title: "Tank" });
    expect(say("level_m", 2)).toBe("Level: 2.00 m");
  });

  it("puts axis labels at round numbers of what a scaled value reads", () => {
    const metric = describe("t", { unit: "°F", scale: 1.8, title: "" });
    const splits = axisSplits(metric, 20, 30, 4);
    expect(formatAxis(metric, splits, 30)).toEqual(["40", "45", "50"]);
    expect(splits[1]).toBeCloseTo(25);
  });

  it("has a dash for what is no number", () => {
    expect(formatText(describe("cpu_percent"), Number.NaN)).toBe("–");
    expect(formatText(describe("cpu_percent"), null)).toBe("–");
  });

  it("never says minus zero", () => {
    expect(formatText(describe("temperature_c"), -0.001)).toBe("0.0 °C");
  });

  it("puts axis labels at round numbers of the unit that is shown", () => {
    const metric = describe("memory_used_bytes");
    const gib = 1024 ** 3;
    const splits = axisSplits(metric, 8.8 * gib, 9.2 * gib, 4);
    expect(formatAxis(metric, splits, 9.2 * gib)).toEqual(["8.8", "8.9", "9.0", "9.1", "9.2"]);
  });

  it("gives an axis as many decimals as tell neighbours apart", () => {
    const metric = describe("frequency_hz");
    expect(formatAxis(metric, axisSplits(metric, 49.98, 50.02, 4), 50)).toEqual([
      "49.98",
      "49.99",
      "50.00",
      "50.01",
      "50.02",
    ]);
  });

  it("shortens large counts and long delays", () => {
    expect(formatCompact(812)).toBe("812");
    expect(formatCompact(12_345)).toBe("12.3 k");
    expect(formatCompact(2_500_000)).toBe("2.5 M");
    expect(formatDelay(340)).toEqual({ value: "340", unit: "ms" });
    expect(formatDelay(1_250)).toEqual({ value: "1.25", unit: "s" });
    expect(formatDelay(null)).toEqual({ value: "–", unit: "" });
  });
});
