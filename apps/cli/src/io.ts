import type { Environment } from './client.js';

/** What a command may touch beside the network and files that it is given. */
export interface Io {
  /** One line on standard output. */
  readonly out: (line: string) => void;
  /** One line on standard error. */
  readonly err: (line: string) => void;
  /** All of standard input. */
  readonly stdin: () => Uint8Array;
  readonly env: Environment;
}
