-- Prompts, resources and resource templates that an API has beside its tools, gzipped JSON like what stands beside it. Null: it has none.
ALTER TABLE "api_contents" ADD COLUMN "contents" BYTEA;
