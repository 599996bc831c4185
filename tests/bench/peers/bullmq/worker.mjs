// The peer's worker: a trivial handler that counts; the count is written to Redis fifty times a second.
import { Worker } from "bullmq";
import IORedis from "ioredis";

const connection = new IORedis(process.env.BENCH_REDIS_URL, { maxRetriesPerRequest: null });
let handled = 0;

const worker = new Worker("webhooks", async () => { handled += 1; }, { connection, concurrency: 64 });

setInterval(() => {
  if (handled > 0) {
    connection.incrby(process.env.BENCH_COUNTER, handled);
    handled = 0;
  }
}, 20);

process.on("SIGTERM", () => process.exit(0));
await worker.waitUntilReady();
await connection.set(process.env.BENCH_WORKER_READY, "1");
