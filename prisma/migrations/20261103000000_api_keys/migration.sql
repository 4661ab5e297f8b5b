CREATE TABLE "api_keys" (
    "tenant" TEXT NOT NULL,
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "name" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "previous_digest" TEXT,
    "previous_until" TIMESTAMPTZ(3),
    "issuer" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "roles" TEXT[],
    "scopes" TEXT[],
    "tools" JSON,
    "step_up" BOOLEAN NOT NULL DEFAULT false,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "rotated_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),
    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("tenant", "id"),
    CONSTRAINT "api_keys_digest_is_sha256" CHECK ("digest" ~ '^[0-9a-f]{64}$' AND "previous_digest" ~ '^[0-9a-f]{64}$'),
    CONSTRAINT "api_keys_grace_has_an_end" CHECK (("previous_digest" IS NULL) = ("previous_until" IS NULL))
);
CREATE UNIQUE INDEX "api_keys_digest_key" ON "api_keys"("digest");
CREATE UNIQUE INDEX "api_keys_previous_digest_key" ON "api_keys"("previous_digest");

ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_tenant_fkey" FOREIGN KEY ("tenant") REFERENCES "tenants"("slug") ON DELETE CASCADE ON UPDATE RESTRICT;

ALTER TABLE "api_keys" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "api_keys" FORCE ROW LEVEL SECURITY;
CREATE POLICY "own_tenant" ON "api_keys" TO "stoa_app"
  USING ("tenant" = nullif(current_setting('app.tenant', true), ''))
  WITH CHECK ("tenant" = nullif(current_setting('app.tenant', true), ''));
-- Before a key is proved nobody knows its tenant: the door sees, of any tenant, the rows whose digest it names, and no other.
CREATE POLICY "named_by_digest" ON "api_keys" FOR SELECT TO "stoa_control"
  USING ("digest" = ANY (string_to_array(current_setting('app.key_digests', true), ','))
      OR "previous_digest" = ANY (string_to_array(current_setting('app.key_digests', true), ',')));
-- Never deleted, but with their tenant: a revoked key stays in the list.
GRANT SELECT, INSERT, UPDATE ("digest", "prefix", "previous_digest", "previous_until", "rotated_at", "revoked_at") ON "api_keys" TO "stoa_app";
GRANT SELECT ON "api_keys" TO "stoa_control";
