-- Two roles that nobody can log in with. Each statement of the product takes one of them on for its transaction
-- (SET LOCAL ROLE), so that row-level security holds even when the connection belongs to a superuser or the owner.
--   stoa_app      one tenant, named by app.tenant; without it there are no rows
--   stoa_control  the list of tenants, and what must be seen across tenants
-- Roles belong to the cluster, not to the database: another database of it may have made them already, or be making them now.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['stoa_app', 'stoa_control'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
      END;
    END IF;
    IF NOT pg_has_role(current_user, wanted, 'USAGE') THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
    END IF;
  END LOOP;
END
$$;

CREATE SEQUENCE "catalogue_revision" AS bigint;

CREATE TABLE "tenants" (
    "slug" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "revision" BIGINT NOT NULL DEFAULT nextval('catalogue_revision'::regclass),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "tenants_pkey" PRIMARY KEY ("slug"),
    CONSTRAINT "tenants_slug_is_a_dns_label" CHECK ("slug" ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')
);

CREATE TABLE "apis" (
    "tenant" TEXT NOT NULL,
    "id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "name" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "category" TEXT,
    "tags" TEXT[],
    "source_url" TEXT,
    "spec_hash" TEXT NOT NULL,
    "format" TEXT NOT NULL,
    "base_url" TEXT,
    "conversion" JSON NOT NULL,
    "slots" JSON NOT NULL,
    "credentials" JSON NOT NULL,
    "refresh_seconds" INTEGER,
    "refreshed_at" TIMESTAMPTZ(3),
    "last_error" TEXT,
    "tool_count" INTEGER NOT NULL,
    "operations" INTEGER NOT NULL,
    "exact" INTEGER NOT NULL,
    "degraded" INTEGER NOT NULL,
    "refused" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "apis_pkey" PRIMARY KEY ("tenant", "id"),
    CONSTRAINT "apis_status_is_known" CHECK ("status" IN ('active', 'deprecated', 'draft')),
    CONSTRAINT "apis_refresh_seconds_at_least_10" CHECK ("refresh_seconds" >= 10)
);
CREATE UNIQUE INDEX "apis_tenant_name_key" ON "apis"("tenant", "name");

CREATE TABLE "api_contents" (
    "tenant" TEXT NOT NULL,
    "api_id" UUID NOT NULL,
    "bytes" BYTEA NOT NULL,
    "media_type" TEXT NOT NULL,
    "definitions" BYTEA NOT NULL,
    "ledger" BYTEA NOT NULL,
    CONSTRAINT "api_contents_pkey" PRIMARY KEY ("tenant", "api_id")
);
-- They are gzipped already.
ALTER TABLE "api_contents" ALTER COLUMN "bytes" SET STORAGE EXTERNAL, ALTER COLUMN "definitions" SET STORAGE EXTERNAL, ALTER COLUMN "ledger" SET STORAGE EXTERNAL;

CREATE TABLE "tools" (
    "tenant" TEXT NOT NULL,
    "api_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "active" BOOLEAN NOT NULL,
    "definition" JSON NOT NULL,
    "listed" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "edited_description" TEXT,
    "edited_tags" JSON,
    "edited_timeout_ms" INTEGER,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "tools_pkey" PRIMARY KEY ("tenant", "api_id", "name"),
    CONSTRAINT "tools_edited_timeout_ms_is_bounded" CHECK ("edited_timeout_ms" BETWEEN 1 AND 300000)
);
-- A name is taken by at most one active tool of a tenant, whatever its API.
CREATE UNIQUE INDEX "tools_active_name" ON "tools"("tenant", "name") WHERE "active";

ALTER TABLE "apis" ADD CONSTRAINT "apis_tenant_fkey" FOREIGN KEY ("tenant") REFERENCES "tenants"("slug") ON DELETE CASCADE ON UPDATE RESTRICT;
ALTER TABLE "api_contents" ADD CONSTRAINT "api_contents_tenant_api_id_fkey" FOREIGN KEY ("tenant", "api_id") REFERENCES "apis"("tenant", "id") ON DELETE CASCADE ON UPDATE RESTRICT;
ALTER TABLE "tools" ADD CONSTRAINT "tools_tenant_api_id_fkey" FOREIGN KEY ("tenant", "api_id") REFERENCES "apis"("tenant", "id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- FORCE: the owner of the tables is held to the policies too.
ALTER TABLE "tenants" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "tenants" FORCE ROW LEVEL SECURITY;
CREATE POLICY "own_tenant" ON "tenants" TO "stoa_app"
  USING ("slug" = nullif(current_setting('app.tenant', true), ''))
  WITH CHECK ("slug" = nullif(current_setting('app.tenant', true), ''));
CREATE POLICY "every_tenant" ON "tenants" TO "stoa_control" USING (true) WITH CHECK (true);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['apis', 'api_contents', 'tools'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($policy$
      CREATE POLICY "own_tenant" ON %I TO "stoa_app"
        USING ("tenant" = nullif(current_setting('app.tenant', true), ''))
        WITH CHECK ("tenant" = nullif(current_setting('app.tenant', true), ''))
    $policy$, name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO "stoa_app"', name);
  END LOOP;
END
$$;
CREATE POLICY "every_tenant" ON "apis" FOR SELECT TO "stoa_control" USING (true);

GRANT USAGE ON SCHEMA public TO "stoa_app", "stoa_control";
GRANT SELECT, UPDATE ("display_name", "description", "enabled", "revision", "updated_at") ON "tenants" TO "stoa_app";
GRANT SELECT, INSERT, UPDATE, DELETE ON "tenants" TO "stoa_control";
GRANT SELECT ON "apis" TO "stoa_control";
GRANT USAGE ON SEQUENCE "catalogue_revision" TO "stoa_app", "stoa_control";

-- A data plane checks what was applied without being able to apply anything.
DO $$
BEGIN
  IF to_regclass('_prisma_migrations') IS NOT NULL THEN
    GRANT SELECT ON "_prisma_migrations" TO "stoa_control";
  END IF;
END
$$;
