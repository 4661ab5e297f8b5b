import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { buildRequest } from '#libs/backends/rest/request.js';
import { Denial } from '#libs/core/errors.js';
import type { Target } from '#libs/core/target.js';
import { convertDocument } from '#libs/openapi/convert.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { CommandError } from './client.js';
import type { Io } from './io.js';

export const REQUEST_HELP = `stoa request FILE TOOL [--arguments JSON] [--base-url URL]

Prints the HTTP request that a call of this tool sends, as {method, url, headers: [[name, value]], bodyBase64}, and sends nothing.
FILE is an OpenAPI or Swagger document, or - for standard input. The arguments are checked against the tool's schema first.
Credentials and correlation headers, which belong to a call by someone, are not shown.

  --arguments JSON   arguments as one JSON object (default {})
  --base-url URL     replaces the servers of the document`;

/** Exits 1 when the arguments do not fit, 2 when the command line is wrong. */
export async function requestCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, strict: true, options: { arguments: { type: 'string', default: '{}' }, 'base-url': { type: 'string' } } });
  const [file, name] = positionals;
  if (file === undefined || name === undefined || positionals.length > 2) throw new CommandError('stoa request needs a document and a tool name', 2);
  const baseUrl = values['base-url'];
  const document = await convertDocument(file === '-' ? io.stdin() : read(file), { fileName: file === '-' ? 'standard input' : file, ...(baseUrl === undefined ? {} : { baseUrl }) });
  const tool = document.tools.find((candidate) => candidate.name === name);
  if (!tool) throw new CommandError(`${file} has no tool ${name}; stoa convert ${file} lists them`);
  if (tool.backend.kind !== 'rest') throw new CommandError(`${name} is not called over HTTP`);

  const target: Pick<Target, 'inputSchema' | 'definitions'> = { inputSchema: tool.inputSchema, definitions: document.definitions };
  const checked = createArgumentValidator().validate(target, parse(values.arguments));
  if ('issues' in checked) throw new CommandError(`invalid arguments: ${checked.issues.map(({ pointer, message }) => `${pointer === '' ? 'arguments' : pointer} ${message}`).join('; ')}`);
  if (baseUrl === undefined && tool.backend.baseUrl === '') throw new CommandError(`${file} names no absolute server: give one with --base-url`);
  const request = buildRequest(tool.backend, { baseUrl }, checked.input);
  if (request instanceof Denial) throw new CommandError(request.message);
  const { method, url, headers, body } = request;
  io.out(JSON.stringify({ method, url, headers, bodyBase64: body === undefined ? null : Buffer.from(body).toString('base64') }));
  return 0;
}

function read(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandError(`--arguments is not JSON: ${(error as Error).message}`, 2);
  }
}
