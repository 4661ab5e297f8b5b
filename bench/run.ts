// `npm run bench`: what each rung of the gateway costs against a bare proxy that does the same call and nothing else.
// One process each for the server under test (core 0) and for the backend and the load (core 1), as far as the machine allows.
//   npm run bench -- [--rounds N] [--seconds S] [--save]
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { LoadOrder, LoadReport } from './load.ts';
import type { GatewayReady, Rung } from './gateway.ts';

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '3' }, save: { type: 'boolean', default: false } } });
const ROUNDS = Math.min(9, Math.max(1, Number(options.rounds)));
const SECONDS = Math.min(10, Math.max(1, Number(options.seconds)));
/** Until the optimizing compiler has seen every path: the first three seconds run at half speed. */
const WARM_UP_SECONDS = 6;
const CONNECTIONS = 64;
const LOAD_SHARE = 0.7;
const RUNGS: readonly { readonly name: string; readonly rung: Rung }[] = [
  { name: 'codec', rung: { jwt: false, validation: false, observed: false } },
  { name: '+JWT', rung: { jwt: true, validation: false, observed: false } },
  { name: '+validation', rung: { jwt: true, validation: true, observed: false } },
  { name: '+metrics and logs', rung: { jwt: true, validation: true, observed: true } },
];

const here = import.meta.dirname;
const pinnable = availableParallelism() > 1 && spawnSync('taskset', ['-c', '0', 'true']).status === 0;
const children: ChildProcess[] = [];
process.on('exit', () => { for (const child of children) child.kill('SIGKILL'); });
// A stuck child must not hold the machine.
setTimeout(() => { console.error('bench: gave up after 8 minutes'); process.exit(1); }, 480_000).unref();

interface Server { readonly port: number; readonly child: ChildProcess }
function start<Ready extends { readonly port: number }>(script: string, core: number, args: readonly string[] = []): Promise<Ready & { readonly child: ChildProcess }> {
  const flags = ['--max-semi-space-size=8', '--disable-warning=ExperimentalWarning', join(here, script), ...args];
  const quiet = ['ignore', 'ignore', 'inherit', 'ipc'] as const;
  const child = pinnable
    ? spawn('taskset', ['-c', String(core), process.execPath, ...flags], { stdio: [...quiet] })
    : fork(join(here, script), [...args], { execArgv: flags.slice(0, 2), stdio: [...quiet] });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('message', (ready) => { resolve({ ...(ready as Ready), child }); });
    child.once('exit', (code) => { reject(new Error(`${script} ended before it was ready (${code})`)); });
  });
}
function ask<T>(child: ChildProcess, question: object): Promise<T> {
  return new Promise((resolve, reject) => {
    const gone = (): void => { reject(new Error('a process of the benchmark died')); };
    child.once('exit', gone);
    child.once('message', (answer) => { child.off('exit', gone); resolve(answer as T); });
    child.send(question);
  });
}
interface Usage { readonly cpu: NodeJS.CpuUsage; readonly rss: number }

interface Sample extends LoadReport { /** Of one core, by the server under test. */ readonly cores: number; readonly rssMiB: number; /** Calls per second of that core's time. */ readonly perCore: number }
async function drive(load: ChildProcess, server: Server, order: Omit<LoadOrder, 'port'>): Promise<Sample> {
  const before = await ask<Usage>(server.child, {});
  const report = await ask<LoadReport>(load, { ...order, port: server.port });
  const after = await ask<Usage>(server.child, {});
  if (report.failures > 0) throw new Error(`${report.failures} of ${report.calls + report.failures} answers were wrong; the first: ${report.firstFailure}`);
  const cpuSeconds = (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / 1e6;
  return { ...report, cores: cpuSeconds / report.seconds, rssMiB: after.rss / 1048576, perCore: report.calls / cpuSeconds };
}

/** 1,000 different argument values, and every bearer token in turn. */
function callRequests(tokens: readonly string[]): string[] {
  return Array.from({ length: 1000 }, (_, index) => {
    const body = JSON.stringify({
      jsonrpc: '2.0', id: index, method: 'tools/call',
      params: { name: 'get_pet', arguments: { petId: index }, _meta: META },
    });
    return post(body, 'tools/call', tokens[index % tokens.length], 'get_pet');
  });
}
function listRequests(tokens: readonly string[]): string[] {
  return tokens.map((token) => post(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: META } }), 'tools/list', token));
}
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
};
const post = (body: string, method: string, token: string | undefined, name?: string): string => [
  'POST /mcp HTTP/1.1', 'Host: 127.0.0.1', 'Content-Type: application/json', 'Accept: application/json, text/event-stream', 'MCP-Protocol-Version: 2026-07-28',
  `Mcp-Method: ${method}`, ...(name === undefined ? [] : [`Mcp-Name: ${name}`]), ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
  `Content-Length: ${Buffer.byteLength(body)}`, '', body,
].join('\r\n');

/** Both must give the same answer to the same call, or the comparison says nothing. */
async function answerOf(port: number, request: string): Promise<{ content: unknown; structuredContent: unknown }> {
  const [head = '', body = ''] = request.split('\r\n\r\n');
  const headers = head.split('\r\n').slice(1).map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as [string, string]).filter(([name]) => !/^(host|content-length)$/i.test(name));
  const response = await fetch(`http://127.0.0.1:${port}/mcp`, { method: 'POST', headers, body });
  const text = await response.text();
  const { result } = JSON.parse(text) as { result?: { content: unknown; structuredContent: unknown } };
  if (response.status !== 200 || result === undefined) throw new Error(`a call answered ${response.status}: ${text.slice(0, 500)}`);
  return { content: result.content, structuredContent: result.structuredContent };
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
const round = (value: number, digits: number): number => Number(value.toFixed(digits));

async function main(): Promise<void> {
  const began = performance.now();
  const backend = await start<Server>('backend.ts', 1);
  const { child: load } = await start<Server>('load.ts', 1);
  const bare = await start<Server>('bare.ts', 0, [String(backend.port)]);
  const gateways: (Server & GatewayReady & { name: string })[] = [];
  for (const { name, rung } of RUNGS) gateways.push({ name, ...(await start<GatewayReady>('gateway.ts', 0, [String(backend.port), JSON.stringify(rung)])) });

  const [plain = ''] = callRequests([]);
  const reference = JSON.stringify(await answerOf(bare.port, plain));
  for (const gateway of gateways) {
    const same = JSON.stringify(await answerOf(gateway.port, callRequests(gateway.tokens)[0] ?? ''));
    if (same !== reference) throw new Error(`${gateway.name} answers ${same}, the bare proxy ${reference}`);
  }
  const bareRequests = callRequests([]);
  const closed = { connections: CONNECTIONS, seconds: SECONDS };
  await drive(load, bare, { requests: bareRequests, connections: CONNECTIONS, seconds: WARM_UP_SECONDS });
  for (const gateway of gateways) await drive(load, gateway, { requests: callRequests(gateway.tokens), connections: CONNECTIONS, seconds: WARM_UP_SECONDS });

  // Bare before each rung, so that a machine that slows down slows both.
  const bareSamples: Sample[] = [];
  const samples = new Map<string, { sample: Sample; ratio: number }[]>();
  for (let turn = 0; turn < ROUNDS; turn++) {
    for (const gateway of gateways) {
      const reached = await drive(load, bare, { requests: bareRequests, ...closed });
      const sample = await drive(load, gateway, { requests: callRequests(gateway.tokens), ...closed });
      bareSamples.push(reached);
      samples.set(gateway.name, [...(samples.get(gateway.name) ?? []), { sample, ratio: sample.perCore / reached.perCore }]);
    }
  }
  const latency = async (server: Server, requests: readonly string[], most: number): Promise<Sample> => drive(load, server, { requests, connections: 256, seconds: SECONDS + 1, rate: most * LOAD_SHARE });

  const bareMost = median(bareSamples.map(({ perCore }) => perCore));
  const bareCalls = median(bareSamples.map(({ calls, seconds }) => calls / seconds));
  const bareLatency = await latency(bare, bareRequests, bareCalls);
  const rows = [{ name: 'bare', perCore: bareMost, callsPerSecond: bareCalls, cores: median(bareSamples.map(({ cores }) => cores)), ratio: 1, p50Ms: bareLatency.p50Ms, p99Ms: bareLatency.p99Ms, rssMiB: bareLatency.rssMiB }];
  for (const gateway of gateways) {
    const own = samples.get(gateway.name) ?? [];
    const callsPerSecond = median(own.map(({ sample }) => sample.calls / sample.seconds));
    const calm = await latency(gateway, callRequests(gateway.tokens), callsPerSecond);
    rows.push({
      name: gateway.name, perCore: median(own.map(({ sample }) => sample.perCore)), callsPerSecond, cores: median(own.map(({ sample }) => sample.cores)),
      ratio: median(own.map(({ ratio }) => ratio)), p50Ms: calm.p50Ms, p99Ms: calm.p99Ms, rssMiB: Math.max(calm.rssMiB, ...own.map(({ sample }) => sample.rssMiB)),
    });
  }
  const lists: { tools: number; answersPerSecond: number; bytesEach: number; p99Ms: number }[] = [];
  for (const pageSize of [1000, 100]) {
    const gateway = await start<GatewayReady>('gateway.ts', 0, [String(backend.port), JSON.stringify({ jwt: true, validation: true, observed: true, tools: 1000, pageSize })]);
    const requests = listRequests(gateway.tokens);
    await drive(load, gateway, { requests, connections: 16, seconds: 1 });
    const done = await drive(load, gateway, { requests, connections: 16, seconds: SECONDS });
    lists.push({ tools: pageSize, answersPerSecond: done.calls / done.seconds, bytesEach: done.bytes / done.calls, p99Ms: done.p99Ms });
    gateway.child.kill('SIGKILL');
  }

  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown', cores: availableParallelism(), memoryGiB: round(totalmem() / 2 ** 30, 1), kernel: `${process.platform} ${release()}`,
    node: process.versions.node, pinned: pinnable ? 'server under test on core 0, backend and load on core 1' : 'not pinned: no taskset or a single core',
  };
  print(rows, lists, machine, (performance.now() - began) / 1000);
  const summary = { rungs: rows.map(({ name, ratio, p50Ms, p99Ms, rssMiB }) => ({ name, ratio: round(ratio, 3), p50Ms: round(p50Ms, 2), p99Ms: round(p99Ms, 2), rssMiB: Math.round(rssMiB) })) };
  if (options.save) {
    const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: here, encoding: 'utf8' }).stdout.trim();
    const day = new Date().toISOString().slice(0, 10);
    mkdirSync(join(here, 'results'), { recursive: true });
    writeFileSync(join(here, 'results', `${day}.json`), `${JSON.stringify({ date: new Date().toISOString(), commit, version: (JSON.parse(readFileSync(join(here, '..', 'package.json'), 'utf8')) as { version: string }).version, machine, rounds: ROUNDS, seconds: SECONDS, rows, toolsList: lists, ...summary }, undefined, 2)}\n`);
  }
  console.log(JSON.stringify(summary));
}

interface Row { readonly name: string; readonly perCore: number; readonly callsPerSecond: number; readonly cores: number; readonly ratio: number; readonly p50Ms: number; readonly p99Ms: number; readonly rssMiB: number }
function print(rows: readonly Row[], lists: readonly { tools: number; answersPerSecond: number; bytesEach: number; p99Ms: number }[], machine: object, seconds: number): void {
  console.log(Object.entries(machine).map(([key, value]) => `${key}: ${String(value)}`).join(' · '));
  console.log(`\nrung                calls/s  calls/s per core  of bare  cost µs   p50 ms  p99 ms at ${LOAD_SHARE * 100} %  RSS MiB`);
  let previous = rows[0]?.perCore ?? 0;
  for (const row of rows) {
    const cost = 1e6 / row.perCore - 1e6 / previous;
    console.log([row.name.padEnd(18), Math.round(row.callsPerSecond).toString().padStart(8), Math.round(row.perCore).toString().padStart(17), row.ratio.toFixed(3).padStart(8),
      (row.name === 'bare' ? (1e6 / row.perCore).toFixed(1) : `${cost < 0 ? '' : '+'}${cost.toFixed(1)}`).padStart(8), row.p50Ms.toFixed(2).padStart(8), row.p99Ms.toFixed(2).padStart(7), Math.round(row.rssMiB).toString().padStart(16)].join(' '));
    previous = row.perCore;
  }
  for (const { tools, answersPerSecond, bytesEach, p99Ms } of lists) {
    console.log(`tools/list of 1,000 tools, ${tools} a page: ${Math.round(answersPerSecond)} answers/s of ${Math.round(bytesEach / 1024)} KiB, p99 ${p99Ms.toFixed(1)} ms at 16 connections`);
  }
  console.log(`\n${seconds.toFixed(0)} s in all. "calls/s per core": answers divided by the CPU time of the server under test. "cost": CPU time that the rung adds to one call.\n`);
}

await main().then(() => { process.exit(0); }, (error: unknown) => { console.error(`bench: ${error instanceof Error ? error.message : String(error)}`); process.exit(1); });
