/**
 * Every route of the gateway that answers without a token, as `METHOD /matched/route`; a listed GET includes HEAD. All others
 * are refused, those that do not exist included. The list of the test is written out on its own: a route added here
 * alone turns it red. Beside them stand the discovery documents of libs/auth, where they are published.
 */
export const PUBLIC_ROUTES: readonly string[] = [
  'GET /', 'GET /info', 'GET /mcp/v1', 'GET /mcp/v1/',
  'GET /health', 'GET /healthz', 'GET /api/health', 'GET /health/live', 'GET /health/ready', 'GET /health/startup', 'GET /live', 'GET /ready',
  'GET /status', 'GET /api/status',
  'GET /metrics',
];
