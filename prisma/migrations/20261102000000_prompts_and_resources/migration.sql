CREATE TABLE "prompts" (
    "tenant" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "title" TEXT,
    "description" TEXT NOT NULL,
    "arguments" JSON NOT NULL,
    "messages" JSON NOT NULL,
    "tags" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "prompts_pkey" PRIMARY KEY ("tenant", "name")
);

CREATE TABLE "resources" (
    "tenant" TEXT NOT NULL,
    "uri" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "mime_type" TEXT NOT NULL,
    "tags" TEXT[],
    "content" JSON NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "resources_pkey" PRIMARY KEY ("tenant", "uri")
);

ALTER TABLE "prompts" ADD CONSTRAINT "prompts_tenant_fkey" FOREIGN KEY ("tenant") REFERENCES "tenants"("slug") ON DELETE CASCADE ON UPDATE RESTRICT;
ALTER TABLE "resources" ADD CONSTRAINT "resources_tenant_fkey" FOREIGN KEY ("tenant") REFERENCES "tenants"("slug") ON DELETE CASCADE ON UPDATE RESTRICT;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['prompts', 'resources'] LOOP
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
