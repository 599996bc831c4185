// The peer's receiver: checks the Authorization header, puts the body on the queue, then answers 202.
import { createHash, timingSafeEqual } from "node:crypto";
import Fastify from "fastify";
import { Queue } from "bullmq";
import IORedis from "ioredis";

const digest = (text) => createHash("sha256").update(text).digest();
const expected = digest(process.env.BENCH_TOKEN);
const connection = new IORedis(process.env.BENCH_REDIS_URL, { maxRetriesPerRequest: null });
const queue = new Queue("webhooks", { connection, defaultJobOptions: { removeOnComplete: true } });
const app = Fastify({ logger: false });

app.get("/readyz", async () => "ready");

app.post("/webhooks/ublox", async (request, reply) => {
  if (!timingSafeEqual(digest(request.headers.authorization ?? ""), expected)) {
    return reply.code(401).send();
  }
  const job = await queue.add("notification", request.body);
  return reply.code(202).send({ receipt: job.id });
});

process.on("SIGTERM", () => process.exit(0));
await queue.waitUntilReady();
await app.listen({ host: "127.0.0.1", port: Number(process.env.BENCH_PORT) });
