// How fast the vendor's client is: logins and encrypted exchanges in a second, one host, one Tap. Prints one JSON line.
import { performance } from "node:perf_hooks";
import { say, where } from "./arguments.mjs";
import { open } from "./vendor.mjs";

const ADMIN = { username: "admin", password: "admin" };

/** Repeat something for so many seconds, after one turn that does not count, and give turns in a second. */
async function rate(seconds, turn) {
  await turn();
  const start = performance.now();
  let turns = 0;
  let elapsed = 0;
  while (elapsed < seconds) {
    await turn();
    turns += 1;
    elapsed = (performance.now() - start) / 1000;
  }
  return Number((turns / elapsed).toFixed(2));
}

const { seconds, only, ...tapAt } = where({
  seconds: { type: "string", default: "3" },
  only: { type: "string", default: "clear,logins,period_0,period_1" },
});
const tap = await open(tapAt);
const iterations = (await tap.service.scram.getHashIteration()).body();
const read = () => tap.service.device.getSerialNumber();
const login = async () => {
  tap.encryption.stop();
  await tap.auth.login(ADMIN, { noRefreshSessionState: true });
};
const wanted = new Set(only.split(","));
const figures = {};

if (wanted.has("clear")) figures.clear_reads_per_second = await rate(Number(seconds), read);
if (wanted.has("logins")) figures.logins_per_second = await rate(Number(seconds), login);
else await login();

for (const period of [0, 1]) {
  if (!wanted.has(`period_${period}`)) continue;
  tap.encryption.setInitializationVectorRefreshPeriod(period);
  figures[`encrypted_reads_per_second_period_${period}`] = await rate(Number(seconds), read);
}

say({ client: "@iotize/tap 2.7.0", node: process.version, over: tapAt.broker ? "mqtt" : "tcp", iterations, ...figures });
process.exit(0);
