import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { ImportBody } from '../apis/api-schemas.js';
import { DOCUMENT_TYPES } from '../apis/import-request.js';
import { Importer } from '../apis/importer.js';
import { AuditDesk } from '../audit/audit-desk.js';
import { TenantLock } from '../http/tenant-lock.js';
import { PARTS } from '../parts.js';
import { PolicyDesk } from '../policies/policy-desk.js';
import { ADMIN_CONTROLLERS } from './admin-controllers.js';

/** The controllers without what they work with: described, never asked. */
@Module({ controllers: ADMIN_CONTROLLERS, providers: [PARTS, Importer, AuditDesk, PolicyDesk, TenantLock].map((provide) => ({ provide, useValue: {} })) })
class Described {}

/** OpenAPI 3.1 of the admin API, made from the routes' decorators and their zod schemas; the same in every process. */
export async function adminDocument(): Promise<OpenAPIObject> {
  const app = await NestFactory.create(Described, new FastifyAdapter(), { logger: false, abortOnError: false });
  try {
    const about = new DocumentBuilder()
      .setOpenAPIVersion('3.1.0').setTitle('Stoa admin API').setVersion('1')
      .setDescription('Tenants, imported APIs, tools, prompts and resources. Errors are `{"detail": …}`. Another tenant\'s things answer exactly as things that do not exist.')
      .addServer('/').addBearerAuth().build();
    const document = SwaggerModule.createDocument(app, about, {
      operationIdFactory: (_controller, method) => method,
      standardSchemaConverter: (schema, { schemaType }) => (schema instanceof z.ZodType ? asComponent(schema, schemaType) : undefined),
    });
    return withImportBody(document);
  } finally {
    await app.close();
  }
}

type Converted = { schema: Record<string, unknown>; components: Record<string, Record<string, unknown>> };

/** A schema with an id becomes a component, as do those inside it; any other stays in its place. */
function asComponent(schema: z.ZodType, io: 'input' | 'output'): Converted {
  const { $schema: _dialect, $defs, id, ...own } = z.toJSONSchema(schema, { io, reused: 'inline' }) as Record<string, unknown> & { $defs?: Record<string, Record<string, unknown>> };
  const components = Object.fromEntries(Object.entries($defs ?? {}).map(([name, { id: _id, ...definition }]) => [name, definition]));
  if (typeof id !== 'string') return { schema: own, components };
  return { schema: { $ref: `#/components/schemas/${id}` }, components: { ...components, [id]: own } };
}

/** One route takes two kinds of body, which no decorator can say. */
function withImportBody(document: OpenAPIObject): OpenAPIObject {
  const { schema, components } = asComponent(ImportBody, 'input');
  const inPlace = JSON.parse(JSON.stringify({ schema, components }).replaceAll('#/$defs/', '#/components/schemas/')) as Converted;
  Object.assign(document.components?.schemas ?? {}, inPlace.components);
  const operation = document.paths['/admin/v1/tenants/{tenant}/apis']?.post;
  if (operation === undefined) throw new Error('the import route is not described');
  operation.requestBody = {
    required: true, description: 'A description of the import, or, with `?name=`, the document itself.',
    content: { 'application/json': { schema: inPlace.schema }, ...Object.fromEntries(DOCUMENT_TYPES.filter((type) => type !== 'application/json').map((type) => [type, { schema: { type: 'string' } }])) },
  };
  return document;
}
