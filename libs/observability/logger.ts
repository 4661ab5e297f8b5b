import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { blocksTo } from './blocks.js';
import { Scrubber } from './scrub.js';

export interface Logger extends Pick<PinoLogger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'isLevelEnabled' | 'flush'> {
  /**
   * As `info`, for lines so frequent that no object is made for them: `members` are the fields as JSON text, without braces, at least one.
   * Scrubbed like every line. Left out by loggers that have only the rest: see `infoLine`.
   */
  readonly infoText?: (members: string, message: string) => void;
}

/** One line at level `info`, whose fields are JSON text already. */
export function infoLine(logger: Logger, members: string, message: string): void {
  if (logger.infoText) logger.infoText(members, message);
  else logger.info(JSON.parse(`{${members}}`) as object, message);
}

const PLAIN = /^[\w .:/@+~=,;|-]*$/;
/** A text as a JSON string; most need no escapes. */
export const jsonText = (text: string): string => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));
type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `json`: one object a line. `text`: the same for eyes. */
  readonly format: 'json' | 'text';
  /** Put into each line. */
  readonly service: string;
  /** Default: standard output, in blocks of 64 KiB or what there is after 100 ms, and at exit. */
  readonly destination?: DestinationStream;
}

export interface Logging {
  readonly logger: Logger;
  /** Makes a secret's value known, so that it can never be written. */
  readonly hide: (value: string) => void;
  /** Writes out what is buffered. */
  readonly flush: () => void;
}

/** Structured logs: a static message and facts in fields; times in ISO 8601, levels by name; secrets removed from the finished line. */
export function createLogging(options: LoggerOptions): Logging {
  const scrubber = new Scrubber();
  const buffered = options.destination ? { write: options.destination.write.bind(options.destination), flushSync: () => undefined } : blocksTo(1);
  const write = options.format === 'text' ? textLines(buffered) : buffered;
  const time = isoTime();
  const logger = pino({
    level: options.level,
    base: { service: options.service },
    timestamp: time,
    formatters: { level: (label) => ({ level: label }) },
    messageKey: 'msg',
    hooks: { streamWrite: (line) => scrubber.line(line) },
  }, write);
  const [begin, service] = ['{"level":"info"', `,"service":${JSON.stringify(options.service)},`];
  const infoText = logger.isLevelEnabled('info')
    ? (members: string, message: string): void => { write.write(scrubber.line(`${begin}${time()}${service}${members},"msg":"${message}"}\n`)); }
    : (): void => undefined;
  return {
    logger: Object.assign(logger, { infoText }),
    hide: (value) => { scrubber.add(value); },
    flush: () => { try { buffered.flushSync(); } catch { /* standard output is gone: nothing to tell, and nobody to tell it to */ } },
  };
}

/** The text of a millisecond is made once: under load many lines share it. */
function isoTime(): () => string {
  let at = 0;
  let text = '';
  return () => {
    const now = Date.now();
    if (now !== at) { at = now; text = `,"time":"${new Date(now).toISOString()}"`; }
    return text;
  };
}

/** `2026-01-01T00:00:00.000Z INFO  message  key=value …` */
const textLines = (destination: DestinationStream): DestinationStream => ({
  write: (line) => {
    const { level, time, msg, service: _service, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const facts = Object.entries(fields).map(([key, value]) => `${key}=${typeof value === 'string' && !/[\s"]/.test(value) ? value : JSON.stringify(value)}`);
    destination.write(`${String(time)} ${String(level).toUpperCase().padEnd(5)} ${String(msg)}${facts.length > 0 ? `  ${facts.join(' ')}` : ''}\n`);
  },
});
