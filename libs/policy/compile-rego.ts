import { Worker } from 'node:worker_threads';
import { type PolicyIssue, PolicyRefused } from './policy-refused.js';
import { shippedBundle } from './shipped-policy.js';

export interface OwnRego {
  /** The operator's own rules: one file of `package stoa.operator`, which denies by `deny contains …`. */
  readonly operator?: { readonly file: string; readonly rego: string };
  /** By tenant: one file of `package stoa.tenant["NAME"]`, whose denials hold for that tenant alone. */
  readonly tenants?: Readonly<Record<string, { readonly file: string; readonly rego: string }>>;
}
export interface CompileOptions {
  /** The folder that tools/rego-compiler.sh prints. */
  readonly compilerFolder: string;
  /** Check, tests and build together, in milliseconds. Default 20,000. */
  readonly timeoutMs?: number;
  /** One test of the files, in milliseconds. Default 1,000. */
  readonly testMs?: number;
}

/** What policies may not use: nothing that reaches out, reads the process, or answers differently to the same question. */
const FORBIDDEN_BUILTINS: readonly string[] = ['http.send', 'net.', 'opa.runtime', 'rego.', 'rand.', 'uuid.rfc4122', 'time.now_ns', 'print', 'trace', 'providers.', 'io.jwt.', 'yaml.', 'sprintf', 'internal.template_string'];
const MAX_REGO = 1024 * 1024;

interface Answer { readonly issues?: readonly PolicyIssue[]; readonly wasm?: string }
const THREAD = new URL(import.meta.url.endsWith('.ts') ? './compile-rego-worker-entry.ts' : './compile-rego-worker-entry.js', import.meta.url);

/**
 * Checks own Rego strictly, runs the tests in it, and compiles it together with the shipped policy, all by OPA's own library in a thread of
 * its own (about 300 MB while it runs). Own Rego can only deny. Rejects with `PolicyRefused` for what is wrong with it.
 */
export async function compileRego(own: OwnRego, { compilerFolder, timeoutMs = 20_000, testMs = 1000 }: CompileOptions): Promise<Uint8Array> {
  const files = [...(own.operator ? [{ ...own.operator, package: 'data.stoa.operator' }] : []),
    ...Object.entries(own.tenants ?? {}).map(([tenant, file]) => ({ ...file, package: /^[a-z][a-z0-9]*$/.test(tenant) ? `data.stoa.tenant.${tenant}` : `data.stoa.tenant[${JSON.stringify(tenant)}]` }))];
  const named = new Map(files.map((file) => [file.file, file]));
  if (named.size < files.length || named.has('authz.rego')) throw new PolicyRefused([{ file: files[0]?.file ?? 'policy', message: 'two files have the same name, or one is called authz.rego: give each its own' }]);
  for (const { file, rego } of files) if (rego.length > MAX_REGO) throw new PolicyRefused([{ file, message: `is over ${MAX_REGO / 1024} KiB` }]);
  const empty = files.filter(({ rego }) => rego.trim() === '');
  if (empty.length > 0) throw new PolicyRefused(empty.map(({ file }) => ({ file, line: 1, message: 'the file is empty: take it away, or write a rule `deny contains …`' })));
  const shipped = shippedBundle();
  const modules = { 'authz.rego': shipped.rego, ...Object.fromEntries(files.map(({ file, rego }) => [file, rego])) };
  const request = { modules, confined: Object.fromEntries(files.map((file) => [file.file, file.package])), data: {}, forbidden: FORBIDDEN_BUILTINS, test_ms: testMs, entrypoints: ['stoa/authz/decision', 'stoa/authz/administration'] };
  const answer = await inThread({ compilerFolder, requests: ['check', 'test', 'build'].map((op) => ({ op, ...request })) }, timeoutMs, files[0]?.file ?? 'policy');
  if (answer.wasm === undefined) throw new PolicyRefused(answer.issues ?? [{ file: files[0]?.file ?? 'policy', message: 'the compiler gave no answer' }]);
  return Buffer.from(answer.wasm, 'base64');
}

function inThread(workerData: object, timeoutMs: number, file: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(THREAD, { workerData, resourceLimits: { maxOldGenerationSizeMb: 512 }, stdout: true, stderr: true });
    const timer = setTimeout(() => { end(() => { reject(new PolicyRefused([{ file, message: `is not checked, tested and compiled within ${timeoutMs} ms: make its rules or its tests smaller` }])); }); }, timeoutMs);
    const end = (settle: () => void): void => { clearTimeout(timer); void worker.terminate(); settle(); };
    worker.once('message', (answer: Answer) => { end(() => { resolve(answer); }); });
    worker.once('error', (cause: Error) => { end(() => { reject(new Error('the Rego compiler could not be run: build it with tools/rego-compiler.sh, or decide by an OPA server', { cause })); }); });
    worker.once('exit', () => { end(() => { reject(new Error('the Rego compiler ended without an answer')); }); });
  });
}
