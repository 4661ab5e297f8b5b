import { parseArgs } from 'node:util';
import type { ConvertedDocument, ConvertedTool, OperationVerdict } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import { DocumentConverter } from '#libs/openapi/conversion-worker.js';
import { DocumentError } from '#libs/openapi/document-error.js';
import { selfContained } from '#libs/tool-listing/self-contained.js';
import type { Io } from '#apps/cli/src/io.js';
import { readSource } from '#apps/cli/src/read-source.js';

export const CONVERT_HELP = `stoa convert FILE|URL|- [options]

Shows what an OpenAPI document becomes, without importing it: each operation with its verdict.

  --base-url U        where calls go, instead of the document's servers
  --prefix P          put before every tool's name (lower-case letters, digits, _)
  --suffix S          put after every tool's name
  --no-operation-id   name tools by method and path
  --tag T             only operations with this tag (repeatable)
  --exclude-tag T     no operations with this tag (repeatable)
  --method M          only this HTTP method (repeatable)
  --path-prefix P     only paths that begin so
  --operation-id I    only this operation (repeatable)
  --validate          first check the document against the OpenAPI specification, and refuse it when it does not hold
  --notes             also print what is said without being a loss
  --json              {document, operations, tools, refused}; a schema of more than 256 KiB with its definitions is
                      printed as clients get it: wider, never narrower`;

const MAX_SCHEMA = 256 * 1024;

const OPTIONS = {
  'base-url': { type: 'string' }, prefix: { type: 'string' }, suffix: { type: 'string' }, 'no-operation-id': { type: 'boolean', default: false },
  tag: { type: 'string', multiple: true }, 'exclude-tag': { type: 'string', multiple: true }, method: { type: 'string', multiple: true },
  'path-prefix': { type: 'string' }, 'operation-id': { type: 'string', multiple: true },
  validate: { type: 'boolean', default: false }, notes: { type: 'boolean', default: false }, json: { type: 'boolean', default: false },
} as const;

/** Answers the exit code: 0 also when operations are degraded or refused, 1 when there is no document to convert, 2 for a wrong command line. */
export async function convertCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, strict: true, options: OPTIONS });
  const [source] = positionals;
  if (source === undefined || positionals.length > 1) { io.err('stoa convert needs one document: a file, a URL, or - for standard input'); return 2; }
  try {
    const { bytes, fileName, documentUrl } = await readSource(source, io);
    const document = await new DocumentConverter().convert(bytes, {
      fileName, validate: values.validate,
      ...(documentUrl === undefined ? {} : { documentUrl }),
      ...(values['base-url'] === undefined ? {} : { baseUrl: values['base-url'] }),
      naming: { ...(values.prefix === undefined ? {} : { prefix: values.prefix }), ...(values.suffix === undefined ? {} : { suffix: values.suffix }), useOperationId: !values['no-operation-id'] },
      selector: {
        ...(values.tag ? { tags: values.tag } : {}), ...(values['exclude-tag'] ? { excludeTags: values['exclude-tag'] } : {}), ...(values.method ? { methods: values.method } : {}),
        ...(values['path-prefix'] === undefined ? {} : { pathPrefix: values['path-prefix'] }), ...(values['operation-id'] ? { operationIds: values['operation-id'] } : {}),
      },
    });
    if (values.json) printJson(document, fileName, io); else printText(document, values.notes, io);
    return 0;
  } catch (error) {
    // A file that cannot be read, a URL that cannot be fetched and a document that cannot be converted all say so themselves.
    if (!(error instanceof Error)) throw error;
    io.err(`stoa convert: ${error instanceof DocumentError || error.message.includes(source) ? error.message : `${source}: ${error.message}`}`);
    return 1;
  }
}

/** One tool to a line, so that no string has to hold them all. */
function printJson(document: ConvertedDocument, fileName: string, io: Io): void {
  const { format, title, version, specHash, ledger, tools } = document;
  const verdicts = new Map(ledger.flatMap((verdict) => (verdict.tool === undefined ? [] : [[verdict.tool, verdict] as const])));
  io.out(`{"document":${JSON.stringify({ file: fileName, format, title, version, specHash })},"operations":${ledger.length},"tools":[`);
  for (const [i, tool] of tools.entries()) io.out(JSON.stringify(toolRow(tool, verdicts.get(tool.name), document)) + (i < tools.length - 1 ? ',' : ''));
  const refused = ledger.filter(({ verdict }) => verdict === 'refused');
  io.out(`],"refused":${JSON.stringify(refused.map(({ method, path, reasons: [reason] }) => ({ method, path, reason: `${reason?.code ?? ''}: ${reason?.message ?? ''}`, pointer: reason?.pointer })))}}`);
}

function toolRow(tool: ConvertedTool, verdict: OperationVerdict | undefined, { definitions }: ConvertedDocument): object {
  const { name, method, path, operationId, inputSchema, outputSchema } = tool;
  const listed = JSON.parse(tool.listed) as { inputSchema: JsonSchema; outputSchema?: JsonSchema };
  return {
    name, method, path, operationId: operationId ?? null,
    verdict: verdict?.verdict, reasons: verdict?.reasons ?? [],
    inputSchema: selfContained(inputSchema, definitions, MAX_SCHEMA) ?? listed.inputSchema,
    outputSchema: outputSchema === undefined ? null : selfContained(outputSchema, definitions, MAX_SCHEMA) ?? listed.outputSchema,
  };
}

function printText({ title, version, format, tools, ledger }: ConvertedDocument, withNotes: boolean, io: Io): void {
  io.out(`${title} ${version} (${format}): ${ledger.length} operations, ${tools.length} tools`);
  const width = Math.max(0, ...tools.map((tool) => tool.name.length));
  for (const { method, path, tool, verdict, reasons, notes } of ledger) {
    if (tool === undefined && verdict !== 'refused') continue;
    io.out(`  ${(tool ?? '-').padEnd(width)}  ${method.padEnd(7)} ${path}${verdict === 'exact' ? '' : `  (${verdict})`}`);
    for (const { code, message, pointer } of reasons) io.out(`      ${code}: ${message}  #${pointer}`);
    if (withNotes) for (const { code, message, pointer } of notes) io.out(`      note ${code}: ${message}  #${pointer}`);
  }
  const count = (wanted: OperationVerdict['verdict']) => ledger.filter(({ verdict }) => verdict === wanted).length;
  io.out(`${count('exact')} exact, ${count('degraded')} degraded, ${count('refused')} refused`);
}
