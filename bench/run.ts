// `npm run bench`: what each rung of the gateway costs against a bare proxy that does the same call and nothing else.
// A fresh process for each server under test (core 0), one for backend and load (core 1), as far as the machine allows. What is compared is the CPU
// time of a call, user and system, of the server's process: wall-clock time on a shared machine says more of the neighbours.
//   npm run bench -- [--rounds N] [--seconds S] [--save]
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { LoadOrder, LoadReport } from './load.ts';
import type { GatewayReady, Rung } from './gateway.ts';

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '9' }, seconds: { type: 'string', default: '1' }, save: { type: 'boolean', default: false } } });
const ROUNDS = Math.min(30, Math.max(1, Number(options.rounds)));
const SECONDS = Math.min(10, Math.max(1, Number(options.seconds)));
/** Until the optimizing compiler has seen every path: the first three seconds run at half speed. */
const WARM_UP_SECONDS = 6;
const CONNECTIONS = 64;
const LOAD_SHARE = 0.7;
/** What each rung adds to the one before it. A new one is a line here and an option of `Rung` in gateway.ts. */
const STEPS: readonly { readonly name: string; readonly adds: Partial<Rung> }[] = [
  { name: 'codec', adds: {} },
  { name: '+JWT', adds: { jwt: true } },
  { name: '+validation', adds: { validation: true } },
  { name: '+metrics and logs', adds: { observed: true } },
  { name: '+policy', adds: { policy: true } },
  { name: '+limits', adds: { limits: true } },
  { name: '+meter', adds: { meter: 'journal' } },
  { name: '+shipping', adds: { meter: 'shipping' } },
  { name: '+redaction', adds: { redaction: true } },
];
const rungs = (): { name: string; rung: Rung }[] => {
  let rung: Rung = { jwt: false, validation: false, observed: false };
  return STEPS.map(({ name, adds }) => ({ name, rung: (rung = { ...rung, ...adds }) }));
};

const here = import.meta.dirname;
const pinnable = availableParallelism() > 1 && spawnSync('taskset', ['-c', '0', 'true']).status === 0;
const children: ChildProcess[] = [];
process.on('exit', () => { for (const child of children) child.kill('SIGKILL'); });
// A stuck child must not hold the machine.
setTimeout(() => { console.error('bench: gave up after 15 minutes'); process.exit(1); }, 900_000).unref();

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

interface Sample extends LoadReport { /** Of one core, by the server under test. */ readonly cores: number; readonly rssMiB: number; /** CPU time of one call, in microseconds. */ readonly cpuUs: number }
async function drive(load: ChildProcess, server: Server, order: Omit<LoadOrder, 'port'>): Promise<Sample> {
  const before = await ask<Usage>(server.child, {});
  const report = await ask<LoadReport>(load, { ...order, port: server.port });
  const after = await ask<Usage>(server.child, {});
  if (report.failures > 0) throw new Error(`${report.failures} of ${report.calls + report.failures} answers were wrong; the first: ${report.firstFailure}`);
  const cpuSeconds = (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / 1e6;
  return { ...report, cores: cpuSeconds / report.seconds, rssMiB: after.rss / 1048576, cpuUs: cpuSeconds / report.calls * 1e6 };
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
/** The mean of the lowest third: neighbours on the machine only ever add to a time. */
const quiet = (numbers: readonly number[]): number => {
  const least = numbers.toSorted((a, b) => a - b).slice(0, Math.ceil(numbers.length / 3));
  return least.reduce((sum, number) => sum + number, 0) / least.length;
};
const round = (value: number, digits: number): number => Number(value.toFixed(digits));

async function main(): Promise<void> {
  const began = performance.now();
  const { child: load, port: backendPort } = await start<Server>('load.ts', 1);
  const bare = await start<Server>('bare.ts', 0, [String(backendPort)]);
  const gatewayOf = (rung: Rung): Promise<GatewayReady & Server> => start<GatewayReady>('gateway.ts', 0, [String(backendPort), JSON.stringify(rung)]);
  const bareRequests = callRequests([]);
  const reference = JSON.stringify(await answerOf(bare.port, bareRequests[0] ?? ''));
  const closed = { connections: CONNECTIONS, seconds: SECONDS };
  const latency = async (server: Server, requests: readonly string[], most: number): Promise<Sample> => drive(load, server, { requests, connections: 256, seconds: 4, rate: most * LOAD_SHARE });
  const rowOf = async (name: string, on: { server: Server; requests: readonly string[]; own: readonly Sample[]; reference: readonly Sample[] }): Promise<Row> => {
    const callsPerSecond = median(on.own.map(({ calls, seconds }) => calls / seconds));
    const calm = await latency(on.server, on.requests, callsPerSecond);
    const cpuUs = quiet(on.own.map((sample) => sample.cpuUs));
    return {
      name, cpuUs, callsPerSecond, ratio: quiet(on.reference.map((sample) => sample.cpuUs)) / cpuUs, callsRatio: callsPerSecond / median(on.reference.map(({ calls, seconds }) => calls / seconds)),
      p50Ms: calm.p50Ms, p99Ms: calm.p99Ms, rssMiB: Math.max(calm.rssMiB, ...on.own.map(({ rssMiB }) => rssMiB)),
    };
  };
  await drive(load, bare, { requests: bareRequests, connections: CONNECTIONS, seconds: WARM_UP_SECONDS });

  const rows: Row[] = [];
  const allBare: Sample[] = [];
  for (const { name, rung } of rungs()) {
    const gateway = await gatewayOf(rung);
    const requests = callRequests(gateway.tokens);
    const same = JSON.stringify(await answerOf(gateway.port, requests[0] ?? ''));
    if (same !== reference) throw new Error(`${name} answers ${same}, the bare proxy ${reference}`);
    await drive(load, gateway, { requests, connections: CONNECTIONS, seconds: WARM_UP_SECONDS });
    const bareSamples: Sample[] = [];
    const own: Sample[] = [];
    for (let turn = 0; turn < ROUNDS; turn++) {
      bareSamples.push(await drive(load, bare, { requests: bareRequests, ...closed }));
      own.push(await drive(load, gateway, { requests, ...closed }));
    }
    allBare.push(...bareSamples);
    rows.push(await rowOf(name, { server: gateway, requests, own, reference: bareSamples }));
    gateway.child.removeAllListeners('exit').kill('SIGKILL');
  }
  rows.unshift(await rowOf('bare', { server: bare, requests: bareRequests, own: allBare, reference: allBare }));

  const lists: List[] = [];
  for (const pageSize of [1000, 100]) {
    const gateway = await gatewayOf({ jwt: true, validation: true, observed: true, tools: 1000, pageSize });
    const requests = listRequests(gateway.tokens);
    await drive(load, gateway, { requests, connections: 16, seconds: WARM_UP_SECONDS });
    const samples: Sample[] = [];
    for (let turn = 0; turn < ROUNDS; turn++) samples.push(await drive(load, gateway, { requests, connections: 16, seconds: SECONDS }));
    lists.push({ tools: pageSize, answersPerSecond: median(samples.map(({ calls, seconds }) => calls / seconds)), cpuUs: quiet(samples.map(({ cpuUs }) => cpuUs)), bytesEach: (samples[0]?.bytes ?? 0) / (samples[0]?.calls ?? 1), p99Ms: median(samples.map(({ p99Ms }) => p99Ms)) });
    gateway.child.removeAllListeners('exit').kill('SIGKILL');
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

interface Row { readonly name: string; readonly cpuUs: number; readonly callsPerSecond: number; /** Of bare, by CPU time and by calls per second. */ readonly ratio: number; readonly callsRatio: number; readonly p50Ms: number; readonly p99Ms: number; readonly rssMiB: number }
interface List { readonly tools: number; readonly answersPerSecond: number; readonly cpuUs: number; readonly bytesEach: number; readonly p99Ms: number }
function print(rows: readonly Row[], lists: readonly List[], machine: object, seconds: number): void {
  console.log(Object.entries(machine).map(([key, value]) => `${key}: ${String(value)}`).join(' · '));
  console.log(`\nrung                CPU µs a call    adds  of bare   calls/s  of bare   p50 ms  p99 ms at ${LOAD_SHARE * 100} %  RSS MiB`);
  let previous = 0;
  for (const row of rows) {
    const cost = row.cpuUs - previous;
    console.log([row.name.padEnd(18), row.cpuUs.toFixed(1).padStart(14), (previous === 0 ? '' : `${cost < 0 ? '' : '+'}${cost.toFixed(1)}`).padStart(7), row.ratio.toFixed(3).padStart(8),
      Math.round(row.callsPerSecond).toString().padStart(9), row.callsRatio.toFixed(3).padStart(8), row.p50Ms.toFixed(2).padStart(8), row.p99Ms.toFixed(2).padStart(7), Math.round(row.rssMiB).toString().padStart(16)].join(' '));
    previous = row.cpuUs;
  }
  for (const { tools, answersPerSecond, cpuUs, bytesEach, p99Ms } of lists) {
    console.log(`tools/list of 1,000 tools, ${tools} a page: ${Math.round(answersPerSecond)} answers/s of ${Math.round(bytesEach / 1024)} KiB, ${Math.round(cpuUs)} µs of CPU each, p99 ${p99Ms.toFixed(1)} ms at 16 connections`);
  }
  console.log(`\n${seconds.toFixed(0)} s in all. CPU: user and system time of the server under test; of ${ROUNDS} samples of ${SECONDS} s the lowest third, alternating with bare.\n`);
}

await main().then(() => { process.exit(0); }, (error: unknown) => { console.error(`bench: ${error instanceof Error ? error.message : String(error)}`); process.exit(1); });
