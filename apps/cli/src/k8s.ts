import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { GROUP, ToolSetSpec, ToolSpec, VERSION } from '#libs/kubernetes/resources.js';
import { convertDocument } from '#libs/openapi/convert.js';
import type { ConvertedTool } from '#libs/core/conversion.js';
import { CommandError } from './client.js';
import type { Io } from './io.js';
import { readSource } from './read-source.js';

export const K8S_HELP = `stoa k8s bridge FILE|URL|- [--as toolset|tools] [--name N] [--namespace NS] [--base-url URL]

Prints custom resources that make tools of an OpenAPI document: one ToolSet with the document inside it, or one Tool for each operation.
Pipe it into kubectl: stoa k8s bridge openapi.yaml --namespace tenant-acme | kubectl apply -f -

  --as toolset   (default) everything that conversion can do
  --as tools     one Tool each, to edit by hand; operations that a Tool cannot say exactly are left out and named`;

export async function k8sCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args], allowPositionals: true, strict: true,
    options: { as: { type: 'string', default: 'toolset' }, name: { type: 'string' }, namespace: { type: 'string' }, 'base-url': { type: 'string' } },
  });
  const [verb, source, ...more] = positionals;
  if (verb !== 'bridge' || source === undefined || more.length > 0) throw new CommandError('stoa k8s: use stoa k8s bridge FILE|URL|-', 2);
  if (values.as !== 'toolset' && values.as !== 'tools') throw new CommandError('--as takes toolset or tools', 2);
  const { bytes, fileName: file, documentUrl } = await readSource(source, io);
  const document = await convertDocument(bytes, { fileName: file, ...(documentUrl === undefined ? {} : { documentUrl }), ...(values['base-url'] === undefined ? {} : { baseUrl: values['base-url'] }) });
  const name = resourceName(values.name ?? document.title);
  const place = { name, ...(values.namespace === undefined ? {} : { namespace: values.namespace }) };
  if (values.as === 'toolset') {
    const text = Buffer.from(bytes).toString('utf8');
    if (text.length > 1_000_000) throw new CommandError(`${file} is larger than a custom resource may be: put it into a ConfigMap or at a URL, and name that in a ToolSet`, 2);
    const spec = ToolSetSpec.parse({ displayName: document.title.slice(0, 64) || name, ...(document.description === '' ? {} : { description: document.description.slice(0, 1024) }), openAPISpec: { inline: text }, ...(values['base-url'] === undefined ? {} : { baseURL: values['base-url'] }) });
    io.out(stringify(resource('ToolSet', place, spec), { lineWidth: 0 }).trimEnd());
    return 0;
  }
  for (const tool of document.tools) {
    const spec = toolSpec(tool);
    if (spec === undefined) { io.err(`${tool.method} ${tool.path}: left out, a Tool cannot say where its arguments go; use --as toolset`); continue; }
    io.out(`---\n${stringify(resource('Tool', { ...place, name: resourceName(tool.name) }, spec), { lineWidth: 0 }).trimEnd()}`);
  }
  return 0;
}

const resource = (kind: string, metadata: object, spec: object): object => ({ apiVersion: `${GROUP}/${VERSION}`, kind, metadata, spec });

/** A Tool has one address and one schema: fit where all arguments go into the query or all into a JSON body. */
function toolSpec({ name, title, description, method, tags, inputSchema, backend }: ConvertedTool): object | undefined {
  if (backend.kind !== 'rest') return undefined;
  const { parameters, body, baseUrl, path } = backend;
  if (path.includes('{') || parameters.some((parameter) => parameter.in !== 'query' || parameter.style !== 'form') || (body !== undefined && (parameters.length > 0 || body.content.kind !== 'json'))) return undefined;
  if (JSON.stringify(inputSchema).includes('"$ref"')) return undefined;
  const given = ToolSpec.safeParse({
    displayName: (title ?? name).slice(0, 64), description: (description === '' ? name : description).slice(0, 1024), endpoint: `${baseUrl}${path}`, method, inputSchema: body === undefined ? inputSchema : (inputSchema as { readonly properties: Readonly<Record<string, unknown>> }).properties[body.argument],
    tags: tags.filter((tag) => tag !== '' && tag.length <= 32).slice(0, 10),
  });
  return given.success ? given.data : undefined;
}

/** RFC 1123 label. */
function resourceName(text: string): string {
  const name = text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '').slice(0, 63).replace(/-+$/, '');
  if (name === '') throw new CommandError('No name can be made of this document: give one with --name', 2);
  return name;
}
