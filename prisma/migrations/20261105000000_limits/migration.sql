-- What a tenant may use, and how often a tool may be called. Null: as the data plane is configured, or as the API's defaults say.
ALTER TABLE "tenants" ADD COLUMN "quotas" JSON;
ALTER TABLE "tools" ADD COLUMN "edited_rate_limit" JSON;
GRANT UPDATE ("quotas") ON "tenants" TO "stoa_app";
