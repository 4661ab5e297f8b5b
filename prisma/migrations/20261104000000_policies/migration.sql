CREATE SEQUENCE "policy_revision";

CREATE TABLE "policies" (
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "tenant" TEXT,
    "digest" TEXT NOT NULL,
    "files" JSON NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,
    "active" BOOLEAN NOT NULL,
    "revision" BIGINT NOT NULL,
    CONSTRAINT "policies_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "policies_digest_is_sha256" CHECK ("digest" ~ '^[0-9a-f]{64}$')
);
CREATE INDEX "policies_tenant_idx" ON "policies"("tenant");
-- One in force for each tenant, and one for everybody (the operator's, which has no tenant).
CREATE UNIQUE INDEX "policies_active_tenant" ON "policies"("tenant") WHERE "active";
CREATE UNIQUE INDEX "policies_active_operator" ON "policies"("active") WHERE "active" AND "tenant" IS NULL;

CREATE TABLE "policy_modules" (
    "digest" TEXT NOT NULL,
    "wasm" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "policy_modules_pkey" PRIMARY KEY ("digest")
);

ALTER TABLE "policies" ADD CONSTRAINT "policies_tenant_fkey" FOREIGN KEY ("tenant") REFERENCES "tenants"("slug") ON DELETE CASCADE ON UPDATE RESTRICT;

ALTER TABLE "policies" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "policies" FORCE ROW LEVEL SECURITY;
ALTER TABLE "policy_modules" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "policy_modules" FORCE ROW LEVEL SECURITY;
CREATE POLICY "own_tenant" ON "policies" TO "stoa_app"
  USING ("tenant" = nullif(current_setting('app.tenant', true), ''))
  WITH CHECK ("tenant" = nullif(current_setting('app.tenant', true), ''));
-- A decision needs the policies of every tenant; the operator's are written by nobody but the control role, and no other by it.
CREATE POLICY "in_force" ON "policies" FOR SELECT TO "stoa_control" USING (true);
CREATE POLICY "operator" ON "policies" FOR ALL TO "stoa_control" USING ("tenant" IS NULL) WITH CHECK ("tenant" IS NULL);
CREATE POLICY "all_modules" ON "policy_modules" TO "stoa_control" USING (true) WITH CHECK (true);
-- What was once in force is never changed, nor deleted but with its tenant: only the pointer moves.
GRANT SELECT, INSERT, UPDATE ("active", "revision") ON "policies" TO "stoa_app", "stoa_control";
GRANT SELECT, INSERT ON "policy_modules" TO "stoa_control";
GRANT USAGE ON SEQUENCE "policy_revision" TO "stoa_app", "stoa_control";
