import { parseArgs } from 'node:util';
import { CommandError } from './client.js';
import { CLIENTS, type ClientProfile } from './doctor-clients.js';
import { type Journey, removeRegistration, STEPS } from './doctor-steps.js';
import { isPrivate, Trouble } from './doctor-web.js';
import type { Io } from './io.js';

export const DOCTOR_HELP = `stoa doctor URL --client ${Object.keys(CLIENTS).join('|')} [--token TOKEN] [--no-register]

Goes the way of an MCP client that knows nothing but the URL: challenge, metadata, issuer, registration, login page. Prints what it
found, and at the first step that fails how to mend it. Works with any MCP server.
  --client        whose way; see docs/authentication.md for what each does
  --token         looks at this token too, and uses it
  --no-register   registers no client at the issuer; what comes after is then not tried`;

export interface Diagnosis {
  readonly steps: readonly { readonly step: string; readonly found: string }[];
  /** The first step that failed; undefined: the client gets to the login page. */
  readonly failed: { readonly step: string; readonly what: string; readonly fix: string } | undefined;
}

/** Replays the client's discovery against a server. Never rejects for what the server does. */
export async function diagnose(url: string, client: ClientProfile, { registers = true, token }: { readonly registers?: boolean; readonly token?: string | undefined } = {}): Promise<Diagnosis> {
  const journey: Journey = { url, client, registers, token };
  const steps: { step: string; found: string }[] = [];
  try {
    for (const { name, run } of STEPS) {
      try {
        steps.push({ step: name, found: await run(journey) });
      } catch (error) {
        if (!(error instanceof Trouble)) throw error;
        return { steps, failed: { step: name, what: error.message, fix: error.fix } };
      }
    }
    return { steps, failed: undefined };
  } finally {
    await removeRegistration(journey);
  }
}

export async function doctorCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals: [url, ...more] } = parseArgs({ args: [...args], allowPositionals: true, options: { client: { type: 'string' }, token: { type: 'string' }, 'no-register': { type: 'boolean', default: false } } });
  const names = Object.keys(CLIENTS).join(', ');
  if (url === undefined || more.length > 0) throw new CommandError('name one URL, that of the MCP endpoint: stoa doctor https://gateway.example.com/mcp --client claude', 2);
  if (!URL.canParse(url) || !/^https?:/.test(url)) throw new CommandError(`${url} is not an http or https URL`, 2);
  const client = values.client !== undefined && Object.hasOwn(CLIENTS, values.client) ? CLIENTS[values.client] : undefined;
  if (!client) throw new CommandError(`--client ${values.client ?? 'is missing: it'} must be one of ${names}`, 2);
  if (client.fromInternet && isPrivate(url)) io.err(`note: ${client.name} connects from the internet and cannot reach ${new URL(url).host}; what follows is as if it could`);
  const { steps, failed } = await diagnose(url, client, { registers: !values['no-register'], token: values.token });
  for (const { step, found } of steps) io.out(`ok    ${step}: ${found}`);
  if (!failed) { io.out(`${client.name} finds its way to the login page`); return 0; }
  io.out(`FAIL  ${failed.step}: ${failed.what}`);
  io.out(`fix:  ${failed.fix}`);
  return 1;
}
