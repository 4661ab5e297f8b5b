import type { ReadinessCheck } from '#libs/core/ports.js';
import type { ControllerMetrics } from './controller-metrics.js';

export interface BuildInfo { readonly version: string; readonly commit: string; /** ISO 8601. */ readonly builtAt: string }

/** What the process says of itself. */
export interface ProcessParts {
  readonly build: BuildInfo;
  readonly environment: string;
  readonly startedAt: Date;
  readonly checks: readonly ReadinessCheck[];
  readonly metrics: ControllerMetrics | undefined;
  /** Aborts when the process begins to drain. */
  readonly draining: AbortSignal;
}
export const PROCESS = Symbol('PROCESS');

/** For the door's list. */
export const PROBE_ROUTES: readonly string[] = ['GET /health', 'GET /health/live', 'GET /health/ready', 'GET /health/startup', 'GET /live', 'GET /ready', 'GET /info', 'GET /metrics'];
