// The vendor's client over TCP and over its own MQTT relay. Its TCP adapter is for Cordova only, so this one is ours:
// like theirs it sends one APDU in one write and takes one received segment as one response.
import { createRequire } from "node:module";
import { connect as dial } from "node:net";

const require = createRequire(import.meta.url);
const { Tap } = require("@iotize/tap");
require("@iotize/tap/service/all");
require("@iotize/tap/auth");
const { ConnectionState } = require("@iotize/tap/protocol/api");
const { QueueComProtocol } = require("@iotize/tap/protocol/core");
const { createClientMQTTRelayProtocol } = require("@iotize/device-com-mqtt.js/tap-cloud");
const { from } = require("rxjs");
const mqtt = require("mqtt");

export const { TapConfiguratorWriter } = require("@iotize/tap/configurator");

const PATIENCE = { connect: { timeout: 10000 }, disconnect: { timeout: 2000 }, send: { timeout: 5000 } };

class TcpProtocol extends QueueComProtocol {
  constructor(host, port) {
    super();
    this.address = { host, port };
    this.options = PATIENCE;
    this.waiting = [];
  }

  _connect() {
    return from(
      new Promise((resolve, reject) => {
        this.socket = dial(this.address, resolve);
        this.socket.setNoDelay(true);
        this.socket.once("error", reject);
        this.socket.on("data", (segment) => this.waiting.shift()?.(Uint8Array.from(segment)));
        this.socket.on("close", () => this.setConnectionState(ConnectionState.DISCONNECTED));
      }),
    );
  }

  _disconnect() {
    return from(new Promise((resolve) => this.socket.end(resolve)));
  }

  write(data) {
    this.answer = new Promise((resolve) => this.waiting.push(resolve));
    return new Promise((resolve, reject) =>
      this.socket.write(data, (error) => (error ? reject(error) : resolve())),
    );
  }

  read() {
    return this.answer;
  }
}

function overTcp({ host, port }) {
  return new TcpProtocol(host, Number(port));
}

function overRelay({ broker, serial, netKey }) {
  return createClientMQTTRelayProtocol({
    serialNumber: serial,
    netkey: netKey,
    connect: mqtt.connect,
    broker: { url: `mqtt://${broker}` },
    protocolOptions: PATIENCE,
  });
}

/** Connect to the Tap that the arguments name. */
export async function open(where) {
  const tap = Tap.fromProtocol(where.broker ? overRelay(where) : overTcp(where));
  await tap.connect();
  return tap;
}
