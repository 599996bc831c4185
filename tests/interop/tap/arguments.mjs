import { parseArgs } from "node:util";

const string = { type: "string" };

/** Read where the Tap is, from the command line. */
export function where(more = {}) {
  const options = { host: string, port: string, broker: string, serial: string, "net-key": string, ...more };
  const { values } = parseArgs({ options });
  return { ...values, host: values.host ?? "127.0.0.1", netKey: values["net-key"] };
}

/** Print one line of JSON. */
export function say(document) {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}
