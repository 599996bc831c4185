// Everything that a host does with a Tap, done by the vendor's client. One line of JSON for each scenario:
// {"scenario", "ok", "seen"} or {"scenario", "ok": false, "error"}. Scenarios run in order, each on a line of its own.
import { readFileSync } from "node:fs";
import { say, where } from "./arguments.mjs";
import { open, TapConfiguratorWriter } from "./vendor.mjs";

const ADMIN = { username: "admin", password: "admin" };

async function reads(tap) {
  const { device, interface: face, scram, wifi, mqtt } = tap.service;
  return {
    serial: (await device.getSerialNumber()).body(),
    firmware: (await device.getFirmwareVersion()).body(),
    locks: (await face.getSecurityOptions()).body(),
    group: (await face.getCurrentGroupId()).body(),
    host: (await face.getCurrentHostProtocol()).body(),
    allowed: (await face.getAuthorizedHostProtocol()).body(),
    sizes: (await face.getCurrentHostProtocolMaxFrameSize()).body(),
    iterations: (await scram.getHashIteration()).body(),
    ssid: (await wifi.getSSID()).body(),
    ip: (await wifi.getIp()).body(),
    netKeyStatus: (await mqtt.getRelayNetKey()).status,
  };
}

async function login(tap) {
  await tap.auth.login(ADMIN);
  return {
    encrypted: tap.encryption.isStarted,
    name: tap.auth.sessionStateSnapshot.name,
    group: tap.auth.sessionStateSnapshot.groupId,
    serial: (await tap.service.device.getSerialNumber()).body(),
  };
}

async function everyUser(tap) {
  const groups = {};
  for (const name of ["admin", "supervisor", "tech"]) {
    await tap.auth.login({ username: name, password: name });
    groups[name] = (await tap.service.interface.getCurrentGroupId()).body();
    tap.encryption.setInitializationVectorRefreshPeriod(0);
    await tap.auth.logout();
    tap.encryption.stop();
  }
  return groups;
}

async function refused(tap, username, password) {
  try {
    await tap.auth.login({ username, password });
    return "admitted";
  } catch (error) {
    return error.code;
  }
}

async function wrongPassword(tap) {
  return {
    known: await refused(tap, "admin", "wrong"),
    unknown: await refused(tap, "nobody", "wrong"),
    after: await refused(tap, "admin", "admin"),
  };
}

async function writes(tap) {
  await tap.auth.login(ADMIN);
  const { interface: face, wifi, mqtt, time, group } = tap.service;
  const put = [
    await face.putAppName("TAP-7"),
    await face.putHostInactivityPeriod(60),
    await wifi.putSSID("plant-7"),
    await wifi.putKey("correct horse"),
    await wifi.putIp("192.168.1.50"),
    await mqtt.putBrokerPort("8883"),
    await time.putTimeZone("Europe/Paris"),
    await group.create(7),
    await group.putName(7, "fitter"),
    await group.putSessionLifetime(7, 90),
  ].map((answer) => answer.status);
  return {
    put,
    name: (await face.getAppName()).body(),
    inactivity: (await face.getHostInactivityPeriod()).body(),
    ssid: (await wifi.getSSID()).body(),
    key: (await wifi.getKey()).body(),
    ip: (await wifi.getIp()).body(),
    port: (await mqtt.getBrokerPort()).body(),
    zone: (await time.getTimeZone()).body(),
    group: (await group.getName(7)).body(),
    lifetime: (await group.getSessionLifetime(7)).body(),
  };
}

async function strangers(tap) {
  const inClear = (await tap.service.interface.putAppName("mine")).status;
  await tap.auth.login({ username: "tech", password: "tech" });
  return { inClear, technician: (await tap.service.interface.putAppName("mine")).status };
}

function period(number, calls) {
  return async (tap) => {
    if (number !== undefined) tap.encryption.setInitializationVectorRefreshPeriod(number);
    await tap.auth.login(ADMIN);
    for (let call = 0; call < calls; call++) {
      const serial = (await tap.service.device.getSerialNumber()).body();
      if (!serial.startsWith("IOTZ")) throw new Error(`call ${call}: ${serial}`);
    }
    return { calls, encrypted: tap.encryption.isStarted };
  };
}

async function manualExchange(tap) {
  await tap.auth.login(ADMIN);
  const before = (await tap.service.device.getSerialNumber()).body();
  await tap.encryption.refreshEncryptionInitializationVector();
  const between = (await tap.service.device.getSerialNumber()).body();
  await tap.encryption.refreshEncryptionInitializationVector();
  return { before, between, after: (await tap.service.device.getSerialNumber()).body() };
}

async function keyInClear(tap) {
  await tap.encryption.start();
  const stranger = (await tap.service.interface.getCurrentGroupId()).body();
  await tap.auth.login(ADMIN);
  const group = (await tap.service.interface.getCurrentGroupId()).body();
  tap.encryption.pause();
  const paused = (await tap.service.device.getSerialNumber()).body();
  tap.encryption.resume();
  return { stranger, group, paused, resumed: (await tap.service.device.getSerialNumber()).body() };
}

async function passwordChange(tap) {
  await tap.auth.login({ username: "tech", password: "tech" });
  await tap.auth.changePassword("n3w-passwörd");
  tap.encryption.stop();
  const seen = { old: await refused(tap, "tech", "tech"), new: await refused(tap, "tech", "n3w-passwörd") };
  tap.encryption.stop();
  await tap.auth.login(ADMIN);
  await tap.service.scram.putHashIteration(200);
  await tap.auth.changePassword("tech", 1);
  seen.others = (await tap.service.scram.getHashIteration()).body();
  tap.encryption.stop();
  return { ...seen, restored: await refused(tap, "tech", "tech") };
}

async function severalAtOnce(tap) {
  await tap.auth.login(ADMIN);
  const { device, interface: face } = tap.service;
  const answers = await face.executeMultipleCalls([
    device.getSerialNumberCall(),
    face.putAppNameCall("several"),
    face.getAppNameCall(),
  ]);
  return answers.map((answer) => (answer.status === 0x45 ? answer.body() : answer.status));
}

async function logout(tap) {
  tap.encryption.setInitializationVectorRefreshPeriod(0);
  await tap.auth.login(ADMIN);
  await tap.auth.logout();
  return {
    encrypted: tap.encryption.isStarted,
    group: (await tap.service.interface.getCurrentGroupId()).body(),
    again: await refused(tap, "admin", "admin"),
  };
}

async function plainLogin(tap) {
  const wrong = await refused(tap, "admin", "wrong");
  await tap.auth.login(ADMIN);
  return {
    wrong,
    encrypted: tap.encryption.isStarted,
    group: (await tap.service.interface.getCurrentGroupId()).body(),
    written: (await tap.service.interface.putAppName("hashed")).status,
  };
}

async function longValue(tap) {
  tap.encryption.setInitializationVectorRefreshPeriod(0); // the vendor's chunks do not fit a frame with its own IV
  await tap.auth.login(ADMIN);
  const letters = new Uint8Array(500).map((_, index) => 65 + (index % 26));
  const statuses = [];
  for (const call of tap.service.mqtt.putBrokerCertificateAppendCalls(letters)) {
    statuses.push((await tap.lwm2m.execute(call)).status);
  }
  return statuses;
}

/** The vendor's own configurator on a Tap as delivered: factory reset, channel, settings, users, version, logout. */
async function configuration(tap, { config }) {
  const wanted = JSON.parse(readFileSync(config, "utf8"));
  const firmware = (await tap.service.device.getFirmwareVersion()).body();
  await new TapConfiguratorWriter({ delayMs: 1 }).configure(tap, firmware, { config: wanted }).run().toPromise();
  tap.encryption.stop();
  const [user] = wanted.data.profiles;
  const seen = { stranger: (await tap.service.interface.putAppName("mine")).status };
  await tap.auth.login({ username: user.username, password: user.password });
  seen.user = tap.auth.sessionStateSnapshot;
  seen.name = (await tap.service.interface.getAppName()).body();
  seen.version = (await tap.service.interface.getConfigVersion()).body();
  return seen;
}

const SCENARIOS = {
  reads,
  login,
  everyUser,
  wrongPassword,
  writes,
  strangers,
  period0: period(0, 12),
  period1: period(1, 12),
  period3: period(3, 20),
  defaultPeriod: period(undefined, 250),
  manualExchange,
  keyInClear,
  passwordChange,
  severalAtOnce,
  longValue,
  logout,
  plainLogin,
  configuration,
};

const OTHER_TAPS = ["plainLogin", "configuration"]; // they want a Tap without SCRAM, and one as delivered

const { only, ...given } = where({ only: { type: "string" }, config: { type: "string" } });
const chosen = only ? only.split(",") : Object.keys(SCENARIOS).filter((name) => !OTHER_TAPS.includes(name));

for (const scenario of chosen) {
  try {
    const tap = await open(given);
    const seen = await SCENARIOS[scenario](tap, given);
    tap.encryption.stop(); // hosts on the relay share one session: the next one must find nobody logged in
    await tap.service.interface.logout();
    await tap.disconnect();
    say({ scenario, ok: true, seen });
  } catch (error) {
    say({ scenario, ok: false, error: `${error.code ?? ""} ${error.message}`.trim() });
  }
}
process.exit(0);
