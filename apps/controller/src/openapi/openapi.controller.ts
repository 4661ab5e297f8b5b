import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Controller, Get, Header, Param, Res, UseFilters } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Problem } from '../http/problem.js';
import { ProblemFilter } from '../http/problem-filter.js';
import { adminDocument } from './admin-document.js';

const ASSETS: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};
const START = `window.onload = () => { window.ui = SwaggerUIBundle({ url: '/admin/v1/openapi.json', dom_id: '#swagger-ui', validatorUrl: null, persistAuthorization: false }); };\n`;
const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stoa admin API</title>
<link rel="icon" href="/admin/v1/docs/favicon-32x32.png">
<link rel="stylesheet" href="/admin/v1/docs/swagger-ui.css">
<div id="swagger-ui"><noscript>The description is at <a href="/admin/v1/openapi.json">openapi.json</a>.</noscript></div>
<script src="/admin/v1/docs/swagger-ui-bundle.js"></script>
<script src="/admin/v1/docs/start.js"></script>
</html>
`;
/** Everything comes from this server: the page works offline, and tells nobody that it is read. */
const CONTENT_SECURITY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

@Controller('admin/v1')
@UseFilters(ProblemFilter)
@ApiExcludeController()
export class OpenApiController {
  #document: Promise<string> | undefined;

  @Get('openapi.json')
  @Header('content-type', 'application/json; charset=utf-8')
  getDocument(): Promise<string> {
    this.#document ??= adminDocument().then((document) => JSON.stringify(document));
    return this.#document;
  }

  @Get('docs')
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', CONTENT_SECURITY)
  getPage(): string {
    return PAGE;
  }

  @Get('docs/:file')
  async getAsset(@Param('file') file: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<Buffer> {
    void reply.header('x-content-type-options', 'nosniff').header('cache-control', 'public, max-age=3600');
    if (file === 'start.js') {
      void reply.type('text/javascript; charset=utf-8');
      return Buffer.from(START);
    }
    const type = Object.hasOwn(ASSETS, file) ? ASSETS[file] : undefined;
    if (type === undefined) throw new Problem(404, 'Not Found');
    void reply.type(type);
    return readFile(path.join(path.dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json'))), file));
  }
}
