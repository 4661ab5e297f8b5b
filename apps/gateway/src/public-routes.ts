/**
 * Every route of the gateway that answers without a token, by method and matched route. All others are refused, those that do
 * not exist included. The list of the test is written out on its own: a route added here alone turns it red.
 */
export const PUBLIC_ROUTES: readonly string[] = [
  '/', '/info', '/mcp/v1', '/mcp/v1/',
  '/health', '/healthz', '/api/health', '/health/live', '/health/ready', '/health/startup', '/live', '/ready', '/status', '/api/status',
  '/metrics',
];
