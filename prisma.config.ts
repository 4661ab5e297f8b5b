import { defineConfig } from 'prisma/config';

/** For the `prisma` command only; the product takes its database from its own configuration. */
export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env['DATABASE_URL'] ?? 'postgres://localhost/stoa' },
});
