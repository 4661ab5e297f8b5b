import { z } from 'zod';
import type { ResourceRecord } from '#libs/core/control-store.js';
import { TagsField, text } from '../http/fields.js';
import { isPlatformUri, resourceId, uriFault, variables } from './resource-uri.js';

const Uri = text(2048).superRefine((uri, context) => {
  const fault = isPlatformUri(uri) ? 'the scheme stoa: belongs to the platform' : uriFault(uri);
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
}).meta({ description: 'Absolute URI, or a template of RFC 6570 level 1 such as `docs://pages/{page}`.' });
const MimeType = z.string().max(200).regex(/^[A-Za-z0-9!#$&^_.+-]+\/[A-Za-z0-9!#$&^_.+-]+(?:\s*;\s*[A-Za-z0-9!#$&^_.+-]+=(?:[A-Za-z0-9!#$&^_.+-]+|"[^"\\\r\n]*"))*$/, 'must be a media type such as text/markdown');

export const ResourceBody = z.strictObject({
  uri: Uri,
  name: text(200).min(1),
  description: text(4000).default(''),
  mimeType: MimeType.default('text/plain'),
  tags: TagsField.default([]),
  content: z.strictObject({
    text: text(1024 * 1024).optional(),
    blob: z.base64().optional().meta({ description: 'Bytes, in base64.' }),
    url: text(2048).optional().meta({ description: 'Fetched when the resource is read, through the egress policy, without credentials. May use the variables of a template.' }),
  }).refine((content) => Object.values(content).filter((value) => value !== undefined).length === 1, 'give exactly one of `text`, `blob`, `url`'),
}).superRefine(({ uri, content: { url } }, context) => {
  const fault = url === undefined ? undefined : urlFault(url, variables(uri));
  if (fault !== undefined) context.addIssue({ code: 'custom', path: ['content', 'url'], message: fault });
}).meta({ id: 'ResourceBody' });
export type ResourceBody = z.infer<typeof ResourceBody>;

export const ResourceAnswer = z.object({
  id: z.string().meta({ description: 'The resource\'s place in this API: 32 hexadecimal digits of the URI\'s SHA-256.' }),
  uri: z.string(), name: z.string(), description: z.string(), mimeType: z.string(), tags: z.array(z.string()),
  content: z.object({ text: z.string().optional(), blob: z.string().optional(), url: z.string().optional() }),
  editable: z.boolean().meta({ description: 'False for the document of an API, which import makes.' }),
}).meta({ id: 'Resource' });
export type ResourceAnswer = z.infer<typeof ResourceAnswer>;
export const ResourceList = z.object({ resources: z.array(ResourceAnswer.omit({ content: true })) }).meta({ id: 'ResourceList' });
export type ResourceList = z.infer<typeof ResourceList>;

function urlFault(url: string, declared: readonly string[]): string | undefined {
  const unknown = variables(url).find((name) => !declared.includes(name));
  if (unknown !== undefined) return `{${unknown}} is not a variable of the uri`;
  const expanded = url.replaceAll(/\{[A-Za-z0-9_]+\}/g, 'x');
  if (!URL.canParse(expanded)) return 'must be an absolute http or https URL';
  const { protocol, username, password, host } = new URL(expanded);
  if (protocol !== 'https:' && protocol !== 'http:') return 'must be an absolute http or https URL';
  if (username !== '' || password !== '') return 'must not carry user information: no credential is sent';
  // A variable in the authority would let whoever reads the resource choose the host.
  const authority = /^https?:\/\/([^/?#]*)/i.exec(url)?.[1];
  return authority === undefined || host === '' || /[{}]/.test(authority) ? 'the host must not be a variable' : undefined;
}

export function resourceRecord({ uri, name, description, mimeType, tags, content: { text: inline, blob, url } }: ResourceBody): ResourceRecord {
  const content = inline === undefined ? (blob === undefined ? { url: url ?? '' } : { blob }) : { text: inline };
  return { uri, name, description, mimeType, tags, content };
}

export function resourceSummary({ uri, name, description, mimeType, tags }: ResourceRecord): Omit<ResourceAnswer, 'content'> {
  return { id: resourceId(uri), uri, name, description, mimeType, tags: [...tags], editable: !isPlatformUri(uri) };
}
export const resourceAnswer = (resource: ResourceRecord): ResourceAnswer => ({ ...resourceSummary(resource), content: { ...resource.content } });
