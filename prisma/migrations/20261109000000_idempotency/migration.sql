-- Answers under their Idempotency-Key, for the process that keeps them in its database (libs/idempotency). Keys name tenant and principal, as text of
-- the caller: seen by the processes that serve all tenants, and by no tenant.
CREATE SCHEMA "idempotency";
GRANT USAGE ON SCHEMA "idempotency" TO "stoa_control";

CREATE TABLE "idempotency"."answers" (
    "key" TEXT NOT NULL,
    -- Who has taken it and not ended yet; empty when the answer is there.
    "owner" TEXT NOT NULL,
    -- As text would be: what a backend answered may hold U+0000, which jsonb does not.
    "held" JSON NOT NULL,
    "until" TIMESTAMPTZ(3) NOT NULL,
    CONSTRAINT "answers_pkey" PRIMARY KEY ("key")
);
CREATE INDEX "answers_until" ON "idempotency"."answers" ("until");
GRANT SELECT, INSERT, UPDATE, DELETE ON "idempotency"."answers" TO "stoa_control";
