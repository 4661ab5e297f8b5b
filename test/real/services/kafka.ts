import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const KAFKA = '4.4.0';
const POM = path.join(import.meta.dirname, 'kafka-pom.xml');

export interface KafkaBroker {
  /** `host:port` */
  readonly address: string;
  /** `host:port` of the listener that wants TLS and a user; undefined: there is none. */
  readonly secure: string | undefined;
  /** Ends it at once (SIGKILL); its data stays. */
  kill(): Promise<void>;
  /** Starts it again at the same address with the same data, in about four seconds after a kill. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  dispose(): Promise<void>;
}

/** The broker's jars from Maven Central, fetched once into `~/.cache/stoa-test` (43 MB, about 15 s). Needs mvn and Java 17 or later. */
export async function kafkaLibraries(): Promise<string> {
  const cache = process.env['STOA_CACHE'] ?? path.join(homedir(), '.cache', 'stoa-test');
  const home = path.join(cache, `kafka-${KAFKA}`);
  await mkdir(cache, { recursive: true });
  // `flock`: of two suites at once one fetches and the other waits. A rename, so that half a folder is never used.
  await run('flock', [path.join(cache, 'kafka.lock'), 'bash', '-ec', `[ -d "$1" ] && exit 0
    work=$(mktemp -d "$1.XXXX"); mvn -B -q -f "$2" dependency:copy-dependencies -DoutputDirectory="$work" -DincludeScope=runtime; mv "$work" "$1"`, 'bash', home, POM], { maxBuffer: 8 * 1024 * 1024 });
  return home;
}

/** Who may come in by the second listener, by PLAIN or SCRAM-SHA-512; `pem`: its key and certificate. */
export interface KafkaUser { readonly name: string; readonly password: string; readonly pem: { readonly key: string; readonly certificate: string } }

/** A real Kafka broker (KRaft, one node, broker and controller) on loopback, in about three seconds. Topics are not created by themselves. */
export async function startKafka(user?: KafkaUser): Promise<KafkaBroker> {
  const libs = await kafkaLibraries();
  const folder = await mkdtemp(path.join(tmpdir(), 'stoa-kafka-'));
  const [port, controller, guarded] = await freePorts();
  const address = `127.0.0.1:${port}`;
  const secure = user === undefined ? undefined : `127.0.0.1:${guarded}`;
  const log = path.join(folder, 'log4j2.properties');
  const properties = path.join(folder, 'server.properties');
  await writeFile(properties, [
    'process.roles=broker,controller', 'node.id=1', `controller.quorum.voters=1@127.0.0.1:${controller}`,
    `listeners=PLAINTEXT://${address},CONTROLLER://127.0.0.1:${controller}${secure === undefined ? '' : `,SECURE://${secure}`}`, `advertised.listeners=PLAINTEXT://${address}${secure === undefined ? '' : `,SECURE://${secure}`}`,
    'controller.listener.names=CONTROLLER', 'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL', ...secured(user), `log.dirs=${path.join(folder, 'data')}`,
    'auto.create.topics.enable=false', 'num.partitions=1', 'offsets.topic.num.partitions=4', 'offsets.topic.replication.factor=1',
    'transaction.state.log.num.partitions=4', 'transaction.state.log.replication.factor=1', 'transaction.state.log.min.isr=1', 'group.initial.rebalance.delay.ms=0',
    // So that a broker that was killed may come back after 2 s and not after 9.
    'broker.session.timeout.ms=2000', 'broker.heartbeat.interval.ms=500', '',
  ].join('\n'));
  await writeFile(log, 'appender.c.type=Console\nappender.c.name=C\nappender.c.layout.type=PatternLayout\nappender.c.layout.pattern=%d %p %c{1} %m%n\nrootLogger.level=INFO\nrootLogger.appenderRef.c.ref=C\n');
  const java = (heap: string, main: string, ...args: string[]): string[] =>
    [`-Xmx${heap}`, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.awt.headless=true', `-Dlog4j2.configurationFile=${log}`, '-cp', `${libs}/*`, main, ...args];
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const started = spawn('java', java('512m', 'kafka.Kafka', properties), { stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => { reject(new Error(`Kafka is not ready after a minute: ${said.slice(-2000)}`)); }, 60_000);
      const hear = (chunk: Buffer): void => {
        said = (said + chunk.toString('utf8')).slice(-20_000);
        if (said.includes('Kafka Server started')) { clearTimeout(late); resolve(); }
      };
      started.stdout.on('data', hear);
      started.stderr.on('data', hear);
      started.once('exit', (code) => { clearTimeout(late); reject(new Error(`Kafka ended with ${code}: ${said.slice(-2000)}`)); });
    });
  };
  const kill = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => { running.once('exit', resolve); });
    running.kill('SIGKILL');
    await ended;
  };
  const dispose = async (): Promise<void> => { await kill(); await rm(folder, { recursive: true, force: true }); };
  try {
    await run('java', java('256m', 'kafka.tools.StorageTool', 'format', '-t', randomBytes(16).toString('base64url'), '-c', properties, ...(user === undefined ? [] : ['--add-scram', `SCRAM-SHA-512=[name=${user.name},password=${user.password}]`])));
    await start();
  } catch (failure) { await dispose(); throw failure; }
  return { address, secure, kill, start, dispose };
}

const line = (pem: string): string => pem.trim().replaceAll(/\r?\n/g, '\\n');
function secured(user: KafkaUser | undefined): readonly string[] {
  if (user === undefined) return [];
  const module = 'org.apache.kafka.common.security';
  return [
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512', `listener.name.secure.plain.sasl.jaas.config=${module}.plain.PlainLoginModule required user_${user.name}="${user.password}";`,
    `listener.name.secure.scram-sha-512.sasl.jaas.config=${module}.scram.ScramLoginModule required;`,
    'ssl.keystore.type=PEM', `ssl.keystore.key=${line(user.pem.key)}`, `ssl.keystore.certificate.chain=${line(user.pem.certificate)}`,
  ];
}

async function freePorts(): Promise<readonly [number, number, number]> {
  const servers = await Promise.all([0, 1, 2].map(() => new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
    const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => { resolve(server); });
  })));
  const [first, second, third] = servers.map((server) => { const at = server.address(); return at !== null && typeof at === 'object' ? at.port : 0; });
  await Promise.all(servers.map((server) => new Promise((resolve) => { server.close(resolve); })));
  return [first ?? 0, second ?? 0, third ?? 0];
}
