import { createHash } from 'node:crypto';
import { loadPolicy, type LoadedPolicy } from '@open-policy-agent/opa-wasm';
import { EngineFailure, type EngineAnswer, type Entrypoint, type PolicyEngine } from './engine.js';
import { PolicyRefused } from './policy-refused.js';

export interface EmbeddedPolicy {
  /** A policy that OPA compiled to WebAssembly with the entrypoint `stoa/authz/decision`. */
  readonly wasm: Uint8Array;
  /** The data document. */
  readonly data: unknown;
  /** Names the policy in messages. */
  readonly file?: string;
}

/** JSON text of the data document: beyond this a bundle is refused. */
const MAX_DATA_BYTES = 8 * 1024 * 1024;
/** Input text: beyond this a call is not decided, and so denied. */
const MAX_INPUT_BYTES = 1024 * 1024;
/** 64 KiB each. A rule that wants more memory fails, and so denies. */
export const MEMORY_PAGES = { initial: 5, maximum: 2048 };
/** What the evaluator adds to the functions that are native in the module; the rest of OPA's it throws on, but only when a call reaches them. */
const PROVIDED = new Set(['sprintf', 'json.is_valid', 'regex.split', 'yaml.is_valid', 'yaml.marshal', 'yaml.unmarshal']);
const encoder = new TextEncoder();

interface Exports { builtins(): number; opa_json_dump(address: number): number }

/**
 * Loads a compiled policy to be evaluated on this thread. Rejects with `PolicyRefused` when the module needs functions that the
 * evaluator lacks, has no decision to ask for, or its data is too large.
 */
export async function embeddedEngine({ wasm, data, file = 'policy.wasm' }: EmbeddedPolicy): Promise<PolicyEngine & { readonly revision: string }> {
  const dataText = JSON.stringify(data);
  if (Buffer.byteLength(dataText) > MAX_DATA_BYTES) throw new PolicyRefused([{ file, message: `the data is over ${MAX_DATA_BYTES / 1024 / 1024} MiB: keep in it what decisions need` }]);
  const dataBytes = exactBuffer(encoder.encode(dataText));
  const revision = createHash('sha256').update(wasm).update(dataText).digest('hex');
  const instantiate = async (): Promise<LoadedPolicy> => {
    const policy = await loadPolicy(wasm.slice(), { ...MEMORY_PAGES });
    const missing = needed(policy).filter((name) => !PROVIDED.has(name));
    if (missing.length > 0) throw new PolicyRefused([{ file, message: `uses ${missing.join(', ')}, which the embedded evaluator does not have: leave it out, or decide by the OPA server` }]);
    if (!Object.hasOwn(policy.entrypoints as object, 'stoa/authz/decision')) throw new PolicyRefused([{ file, message: 'has no entrypoint stoa/authz/decision: compile it with that one' }]);
    policy.setData(dataBytes);
    return policy;
  };
  let loaded: LoadedPolicy | Promise<LoadedPolicy>;
  try { loaded = await instantiate(); } catch (cause) {
    if (cause instanceof PolicyRefused) throw cause;
    throw new PolicyRefused([{ file, message: `cannot be loaded: ${messageOf(cause)}` }]);
  }
  const run = (policy: LoadedPolicy, input: Uint8Array, entrypoint: Entrypoint): EngineAnswer => {
    try {
      const results = policy.evaluate(exactBuffer(input), entrypoint) as readonly { readonly result?: unknown }[];
      return { result: results[0]?.result, revision };
    } catch (cause) {
      // After a trap the module's memory is in no known state: the next call gets a fresh instance.
      const fresh = instantiate();
      void fresh.then((next) => { loaded = next; return next; }, () => undefined);
      loaded = fresh;
      throw new EngineFailure('failed', `the policy could not be evaluated: ${messageOf(cause)}`, { cause });
    }
  };
  return {
    revision,
    evaluate: (text, entrypoint = 'stoa/authz/decision') => {
      const input = encoder.encode(text);
      if (input.byteLength > MAX_INPUT_BYTES) throw new EngineFailure('failed', `the input is over ${MAX_INPUT_BYTES / 1024} KiB`);
      return loaded instanceof Promise ? loaded.then((policy) => run(policy, input, entrypoint), (cause: unknown) => { throw new EngineFailure('failed', messageOf(cause), { cause }); }) : run(loaded, input, entrypoint);
    },
  };
}

/** Functions that the module imports from the evaluator. */
function needed(policy: LoadedPolicy): readonly string[] {
  const { exports } = policy.wasmInstance as unknown as { readonly exports: Exports };
  const bytes = new Uint8Array(policy.mem.buffer);
  const start = exports.opa_json_dump(exports.builtins());
  return Object.keys(JSON.parse(Buffer.from(bytes.subarray(start, bytes.indexOf(0, start))).toString('utf8')) as object);
}

/** The evaluator takes the whole buffer for JSON. */
function exactBuffer(bytes: Uint8Array): ArrayBuffer {
  return (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer) as ArrayBuffer;
}

/** The evaluator throws texts and plain objects too. */
function messageOf(cause: unknown): string {
  if (cause instanceof Error) return cause.message;
  if (typeof cause === 'object' && cause !== null && 'message' in cause) return String(cause.message);
  return String(cause);
}
