-- What calls cost. A schema of its own, written by raw statements alone (libs/ledger), so that Prisma's client knows nothing of it.
-- Money is in nano-units of the book's currency, whole numbers. Rows of entries, price books and bills are never updated nor deleted:
-- no role may; what is old goes with its partition.
CREATE SCHEMA "ledger";
GRANT USAGE ON SCHEMA "ledger" TO "stoa_app", "stoa_control";

CREATE TABLE "ledger"."entries" (
    "tenant" TEXT NOT NULL,
    -- Of the event, in UTC: a redelivery meets the same partition.
    "event_date" DATE NOT NULL,
    "id" TEXT NOT NULL,
    -- 0: the charge; 2n-1 and 2n: the n-th reversal and the charge that replaces it.
    "revision" INTEGER NOT NULL DEFAULT 0,
    "entry" TEXT NOT NULL CHECK ("entry" IN ('charge', 'reversal', 'correction')),
    "month" DATE NOT NULL,
    -- From 1 in each tenant and month, in the order in which amounts were reckoned.
    "position" BIGINT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "source" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "tool" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "consumer" TEXT NOT NULL,
    "account" TEXT NOT NULL DEFAULT '',
    "request_id" TEXT,
    -- Everything else that the price depends on, as libs/ledger/usage.ts has it.
    "usage" JSONB NOT NULL,
    -- Hash of the price book; empty where none was in force.
    "book" TEXT NOT NULL,
    "why" TEXT NOT NULL,
    "lines" JSONB NOT NULL,
    "amount" NUMERIC(38,0) NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT "entries_pkey" PRIMARY KEY ("tenant", "event_date", "id", "revision")
) PARTITION BY RANGE ("event_date");
CREATE INDEX "entries_position" ON "ledger"."entries" ("tenant", "month", "position");
CREATE INDEX "entries_request" ON "ledger"."entries" ("tenant", "request_id");

-- Calls as they ended, to be explained; no row here means anything for money.
CREATE TABLE "ledger"."call_records" (
    "tenant" TEXT NOT NULL,
    "event_date" DATE NOT NULL,
    "id" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "record" JSONB NOT NULL,
    CONSTRAINT "call_records_pkey" PRIMARY KEY ("tenant", "event_date", "id")
) PARTITION BY RANGE ("event_date");
CREATE INDEX "call_records_id" ON "ledger"."call_records" ("id");
CREATE INDEX "call_records_request" ON "ledger"."call_records" ("request_id");

CREATE TABLE "ledger"."usage_hours" (
    "tenant" TEXT NOT NULL,
    "hour" TIMESTAMPTZ(0) NOT NULL,
    "tool" TEXT NOT NULL,
    "consumer" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "account" TEXT NOT NULL,
    "calls" BIGINT NOT NULL DEFAULT 0,
    "billed" BIGINT NOT NULL DEFAULT 0,
    "request_bytes" BIGINT NOT NULL DEFAULT 0,
    "response_bytes" BIGINT NOT NULL DEFAULT 0,
    "backend_ms" BIGINT NOT NULL DEFAULT 0,
    "amount" NUMERIC(38,0) NOT NULL DEFAULT 0,
    -- Rises with each change: an export that was sent is told from one that must be corrected.
    "revision" BIGINT NOT NULL DEFAULT 1,
    CONSTRAINT "usage_hours_pkey" PRIMARY KEY ("tenant", "hour", "tool", "consumer", "outcome", "account")
);

-- Its row is the lock of all that is reckoned for a tenant and month.
CREATE TABLE "ledger"."months" (
    "tenant" TEXT NOT NULL,
    "month" DATE NOT NULL,
    "position" BIGINT NOT NULL DEFAULT 0,
    "amount" NUMERIC(38,0) NOT NULL DEFAULT 0,
    CONSTRAINT "months_pkey" PRIMARY KEY ("tenant", "month")
);
-- How far each line of the book has counted in a month: where in its tiers the next call falls.
CREATE TABLE "ledger"."meters" (
    "tenant" TEXT NOT NULL,
    "month" DATE NOT NULL,
    "account" TEXT NOT NULL,
    "line" TEXT NOT NULL,
    "quantity" NUMERIC(38,0) NOT NULL,
    "amount" NUMERIC(38,0) NOT NULL,
    CONSTRAINT "meters_pkey" PRIMARY KEY ("tenant", "month", "account", "line")
);

CREATE TABLE "ledger"."price_books" (
    "hash" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    -- Null: for every tenant.
    "tenant" TEXT,
    "valid_from" TIMESTAMPTZ(3) NOT NULL,
    "content" JSON NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT "price_books_pkey" PRIMARY KEY ("hash"),
    CONSTRAINT "price_books_version" UNIQUE ("name", "version")
);
CREATE TABLE "ledger"."plans" (
    "tenant" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    -- Of a month, whatever was called.
    "fee" NUMERIC(38,0) NOT NULL CHECK ("fee" >= 0),
    "quota" BIGINT CHECK ("quota" >= 0),
    "cap" NUMERIC(38,0) CHECK ("cap" >= 0),
    "book" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT "plans_pkey" PRIMARY KEY ("tenant", "name")
);
CREATE TABLE "ledger"."subscriptions" (
    "tenant" TEXT NOT NULL,
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "plan" TEXT NOT NULL,
    "subscriber" TEXT NOT NULL,
    -- The credential whose calls are the subscription's.
    "key_id" TEXT NOT NULL,
    "starts_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "ended_at" TIMESTAMPTZ(3),
    CONSTRAINT "subscriptions_pkey" PRIMARY KEY ("tenant", "id"),
    CONSTRAINT "subscriptions_plan" FOREIGN KEY ("tenant", "plan") REFERENCES "ledger"."plans" ("tenant", "name") ON UPDATE RESTRICT ON DELETE RESTRICT
);
CREATE UNIQUE INDEX "subscriptions_key" ON "ledger"."subscriptions" ("key_id");

-- Caps of a tenant (account '') or of a subscription.
CREATE TABLE "ledger"."budgets" (
    "tenant" TEXT NOT NULL,
    "account" TEXT NOT NULL,
    "cap" NUMERIC(38,0) CHECK ("cap" >= 0),
    "quota" BIGINT CHECK ("quota" >= 0),
    CONSTRAINT "budgets_pkey" PRIMARY KEY ("tenant", "account")
);
CREATE TABLE "ledger"."budget_months" (
    "tenant" TEXT NOT NULL,
    "account" TEXT NOT NULL,
    "month" DATE NOT NULL,
    -- Leased to gateways: what may have been spent.
    "committed" NUMERIC(38,0) NOT NULL DEFAULT 0 CHECK ("committed" >= 0),
    "committed_calls" BIGINT NOT NULL DEFAULT 0 CHECK ("committed_calls" >= 0),
    -- In the ledger: what was.
    "spent" NUMERIC(38,0) NOT NULL DEFAULT 0,
    CONSTRAINT "budget_months_pkey" PRIMARY KEY ("tenant", "account", "month")
);
CREATE TABLE "ledger"."budget_alerts" (
    "tenant" TEXT NOT NULL,
    "account" TEXT NOT NULL,
    "month" DATE NOT NULL,
    "percent" INTEGER NOT NULL,
    "spent" NUMERIC(38,0) NOT NULL,
    "cap" NUMERIC(38,0) NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "sent_at" TIMESTAMPTZ(3),
    CONSTRAINT "budget_alerts_pkey" PRIMARY KEY ("tenant", "account", "month", "percent")
);

-- What could not be taken; its key makes a redelivery the same row.
CREATE TABLE "ledger"."quarantine" (
    "key" TEXT NOT NULL,
    "tenant" TEXT,
    "reason" TEXT NOT NULL,
    "detail" TEXT NOT NULL,
    "event" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT "quarantine_pkey" PRIMARY KEY ("key")
);
-- Which sequence numbers of each life of each gateway have come: complete when it is one range from 1.
CREATE TABLE "ledger"."sources" (
    "source" TEXT NOT NULL,
    "seen" INT8MULTIRANGE NOT NULL,
    "ended" BOOLEAN NOT NULL DEFAULT false,
    "first_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    "last_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT "sources_pkey" PRIMARY KEY ("source")
);
CREATE TABLE "ledger"."cursors" (
    "stream" TEXT NOT NULL,
    "next" BIGINT NOT NULL,
    CONSTRAINT "cursors_pkey" PRIMARY KEY ("stream")
);
CREATE TABLE "ledger"."bills" (
    "tenant" TEXT NOT NULL,
    "month" DATE NOT NULL,
    "revision" INTEGER NOT NULL,
    "content" JSON NOT NULL,
    "closed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT "bills_pkey" PRIMARY KEY ("tenant", "month", "revision")
);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['entries', 'call_records', 'usage_hours', 'months', 'meters', 'plans', 'subscriptions', 'budgets', 'budget_months', 'budget_alerts', 'quarantine', 'bills', 'price_books', 'sources', 'cursors'] LOOP
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE ledger.%I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY "every_tenant" ON ledger.%I TO "stoa_control" USING (true) WITH CHECK (true)', name);
    EXECUTE format('GRANT SELECT, INSERT ON ledger.%I TO "stoa_control"', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['entries', 'call_records', 'usage_hours', 'months', 'meters', 'plans', 'subscriptions', 'budgets', 'budget_months', 'budget_alerts', 'quarantine', 'bills'] LOOP
    EXECUTE format($policy$
      CREATE POLICY "own_tenant" ON ledger.%I TO "stoa_app"
        USING ("tenant" = nullif(current_setting('app.tenant', true), ''))
        WITH CHECK ("tenant" = nullif(current_setting('app.tenant', true), ''))
    $policy$, name);
    EXECUTE format('GRANT SELECT ON ledger.%I TO "stoa_app"', name);
  END LOOP;
END
$$;
-- Shared books are everybody's to read.
CREATE POLICY "own_or_shared" ON "ledger"."price_books" FOR SELECT TO "stoa_app" USING ("tenant" IS NULL OR "tenant" = nullif(current_setting('app.tenant', true), ''));
GRANT SELECT ON "ledger"."price_books" TO "stoa_app";

GRANT UPDATE ON "ledger"."usage_hours", "ledger"."months", "ledger"."meters", "ledger"."budgets", "ledger"."budget_months", "ledger"."sources", "ledger"."cursors" TO "stoa_control";
GRANT UPDATE ("sent_at") ON "ledger"."budget_alerts" TO "stoa_control";
GRANT DELETE ON "ledger"."budgets" TO "stoa_control";
GRANT INSERT, UPDATE ("title", "fee", "quota", "cap", "book") ON "ledger"."plans" TO "stoa_app";
GRANT INSERT, UPDATE ("ended_at") ON "ledger"."subscriptions" TO "stoa_app";
GRANT INSERT, UPDATE ("cap", "quota"), DELETE ON "ledger"."budgets" TO "stoa_app";

-- Partitions for some days, made by whoever runs this as the owner of the tables: the roles of the product own nothing.
CREATE FUNCTION "ledger"."make_partitions"(days date[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  parent text;
  day date;
  part text;
BEGIN
  -- One at a time, in one order.
  PERFORM pg_advisory_xact_lock(7072736901);
  FOREACH parent IN ARRAY ARRAY['entries', 'call_records'] LOOP
    FOR day IN SELECT DISTINCT d FROM unnest(days) AS d ORDER BY d LOOP
      part := parent || '_' || to_char(day, 'YYYYMMDD');
      IF to_regclass('ledger.' || part) IS NULL THEN
        EXECUTE format('CREATE TABLE ledger.%I PARTITION OF ledger.%I FOR VALUES FROM (%L) TO (%L)', part, parent, day, day + 1);
        -- Nobody is granted anything on a partition; this is for whoever grants in bulk one day.
        EXECUTE format('ALTER TABLE ledger.%I ENABLE ROW LEVEL SECURITY', part);
        EXECUTE format('ALTER TABLE ledger.%I FORCE ROW LEVEL SECURITY', part);
      END IF;
    END LOOP;
  END LOOP;
END
$$;
-- Retention: whole days before `until`, of one of the two tables. Never younger than 41 days for entries, which redeliveries may still meet.
CREATE FUNCTION "ledger"."drop_partitions"(parent text, until date) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  part text;
BEGIN
  IF parent NOT IN ('entries', 'call_records') THEN RAISE EXCEPTION 'no retention for %', parent; END IF;
  IF parent = 'entries' AND until > (now() AT TIME ZONE 'UTC')::date - 41 THEN RAISE EXCEPTION 'entries are kept for 41 days at least'; END IF;
  PERFORM pg_advisory_xact_lock(7072736901);
  FOR part IN
    SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE i.inhparent = ('ledger.' || quote_ident(parent))::regclass AND to_date(right(c.relname, 8), 'YYYYMMDD') < until ORDER BY 1
  LOOP
    EXECUTE format('DROP TABLE ledger.%I', part);
    RETURN NEXT part;
  END LOOP;
END
$$;
REVOKE ALL ON FUNCTION "ledger"."make_partitions"(date[]), "ledger"."drop_partitions"(text, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION "ledger"."make_partitions"(date[]), "ledger"."drop_partitions"(text, date) TO "stoa_control";
