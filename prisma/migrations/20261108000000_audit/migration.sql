-- The trail of calls and changes: one chain of hashes for each tenant, and one for the platform (libs/audit). A schema of its own, written by raw
-- statements alone, so that Prisma's client knows nothing of it. Entries are added and never changed; only what is personal in them can be
-- taken out, and only entries past 41 days that a checkpoint vouches for can be removed: no role of the product may do more.
CREATE SCHEMA "audit";
GRANT USAGE ON SCHEMA "audit" TO "stoa_app", "stoa_control";

CREATE TABLE "audit"."entries" (
    -- A tenant's slug, or _platform.
    "chain" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    -- When it happened; entries are in the order of their recording.
    "at" TIMESTAMPTZ(3) NOT NULL,
    "kind" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    -- What the chain binds: canonical JSON (RFC 8785), as it was hashed.
    "body" TEXT NOT NULL,
    -- What can be erased: canonical JSON, bound by its digest in the body. Text, since jsonb holds no U+0000.
    "personal" TEXT,
    "subject" TEXT,
    -- Copies of what is in the body, to be searched by; the body alone is evidence.
    "request_id" TEXT,
    "tool" TEXT,
    "outcome" TEXT,
    "endpoint" TEXT,
    "ms" INTEGER,
    "code" TEXT,
    CONSTRAINT "entries_pkey" PRIMARY KEY ("chain", "seq")
);
-- A call that is delivered twice is one entry.
CREATE UNIQUE INDEX "entries_call" ON "audit"."entries" ("chain", "id") WHERE "kind" = 'call';
CREATE INDEX "entries_at" ON "audit"."entries" ("chain", "at");
CREATE INDEX "entries_subject" ON "audit"."entries" ("chain", "subject") WHERE "subject" IS NOT NULL;
CREATE INDEX "entries_tool" ON "audit"."entries" ("chain", "tool", "seq");

-- Where each chain stands; its row is the lock of whoever writes the next entry.
CREATE TABLE "audit"."heads" (
    "chain" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "hash" TEXT NOT NULL,
    "frontier" JSON NOT NULL,
    -- First entry that is still kept.
    "first" BIGINT NOT NULL DEFAULT 1,
    CONSTRAINT "heads_pkey" PRIMARY KEY ("chain")
);
CREATE TABLE "audit"."checkpoints" (
    "chain" TEXT NOT NULL,
    "number" BIGINT NOT NULL,
    "seq" BIGINT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "checkpoint" TEXT NOT NULL,
    -- The Merkle tree's right edge at this entry: from here on it can be grown again.
    "frontier" JSON NOT NULL,
    -- When it was written to the second place.
    "anchored_at" TIMESTAMPTZ(3),
    CONSTRAINT "checkpoints_pkey" PRIMARY KEY ("chain", "number")
);
CREATE INDEX "checkpoints_seq" ON "audit"."checkpoints" ("chain", "seq");
CREATE INDEX "checkpoints_due" ON "audit"."checkpoints" ("chain") WHERE "anchored_at" IS NULL;

-- Public keys that ever signed.
CREATE TABLE "audit"."keys" (
    "id" TEXT NOT NULL,
    "pem" TEXT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT "keys_pkey" PRIMARY KEY ("id")
);
-- How far each sink has been told each chain; chain '' says that the sink is known.
CREATE TABLE "audit"."deliveries" (
    "sink" TEXT NOT NULL,
    "chain" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    -- One process at a time tells a sink of a chain.
    "held_until" TIMESTAMPTZ(3),
    CONSTRAINT "deliveries_pkey" PRIMARY KEY ("sink", "chain")
);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['entries', 'heads', 'checkpoints', 'keys', 'deliveries'] LOOP
    EXECUTE format('ALTER TABLE audit.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE audit.%I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY "every_chain_read" ON audit.%I FOR SELECT TO "stoa_control" USING (true)', name);
    EXECUTE format('CREATE POLICY "every_chain_add" ON audit.%I FOR INSERT TO "stoa_control" WITH CHECK (true)', name);
    EXECUTE format('GRANT SELECT, INSERT ON audit.%I TO "stoa_control"', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['entries', 'heads', 'checkpoints'] LOOP
    EXECUTE format($policy$CREATE POLICY "own_chain" ON audit.%I FOR SELECT TO "stoa_app" USING ("chain" = nullif(current_setting('app.tenant', true), ''))$policy$, name);
    EXECUTE format('GRANT SELECT ON audit.%I TO "stoa_app"', name);
  END LOOP;
END
$$;
-- Erasure: to nothing, and to nothing else.
CREATE POLICY "erase" ON "audit"."entries" FOR UPDATE TO "stoa_control" USING (true) WITH CHECK ("personal" IS NULL AND "subject" IS NULL);
GRANT UPDATE ("personal", "subject") ON "audit"."entries" TO "stoa_control";
-- Retention. A call that comes again is known for 40 days; what no checkpoint vouches for is never removed.
CREATE POLICY "retire" ON "audit"."entries" FOR DELETE TO "stoa_control"
  USING ("at" < now() - interval '41 days' AND "seq" <= (SELECT max(c."seq") FROM "audit"."checkpoints" c WHERE c."chain" = "entries"."chain"));
GRANT DELETE ON "audit"."entries" TO "stoa_control";
CREATE POLICY "advance" ON "audit"."heads" FOR UPDATE TO "stoa_control" USING (true) WITH CHECK (true);
GRANT UPDATE ("seq", "hash", "frontier", "first") ON "audit"."heads" TO "stoa_control";
CREATE POLICY "anchor" ON "audit"."checkpoints" FOR UPDATE TO "stoa_control" USING (true) WITH CHECK ("anchored_at" IS NOT NULL);
GRANT UPDATE ("anchored_at") ON "audit"."checkpoints" TO "stoa_control";
CREATE POLICY "deliver" ON "audit"."deliveries" FOR UPDATE TO "stoa_control" USING (true) WITH CHECK (true);
GRANT UPDATE ("seq", "held_until") ON "audit"."deliveries" TO "stoa_control";
