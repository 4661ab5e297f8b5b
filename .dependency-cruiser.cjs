/** The floors of the house: arrows point down only. `npm run check:floors` */
const TEST = ['\\.test\\.ts$', '\\.contract\\.ts$', '^test/', '^bench/', '^tools/'];
const only = (name, sdk, homes) => ({
  name, severity: 'error', comment: `${sdk} is contained in ${homes.join(', ')}`,
  from: { path: '^(apps|libs)/', pathNot: [...homes, ...TEST] }, to: { path: `node_modules/${sdk}` },
});
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: { pathNot: '^libs/state/generated/' }, to: { circular: true } },
    { name: 'core-stands-on-nothing', severity: 'error', comment: 'libs/core imports only libs/core, not even a Node built-in',
      from: { path: '^libs/core/', pathNot: TEST }, to: { pathNot: '^libs/core/' } },
    { name: 'libs-are-neighbours-not-dependants', severity: 'error', comment: 'a lib may import libs/core and itself, never a sibling; what makes tools may import libs/tool-listing',
      from: { path: '^libs/([^/]+)/', pathNot: ['^libs/core/', '^libs/backends/', ...TEST] },
      to: { path: '^libs/', pathNot: ['^libs/$1/', '^libs/core/', '^libs/tool-listing/'] } },
    { name: 'backends-import-core-and-egress', severity: 'error', comment: 'Protobuf is read in one place, whether it comes over gRPC or in a topic',
      from: { path: '^libs/backends/([^/]+)/', pathNot: TEST }, to: { path: '^libs/', pathNot: ['^libs/backends/$1/', '^libs/backends/http/', '^libs/backends/grpc/(?:descriptors|json-schemas|proto-source)', '^libs/core/', '^libs/egress/', '^libs/tool-listing/'] } },
    { name: 'libs-do-not-know-apps', severity: 'error', from: { path: '^libs/', pathNot: TEST }, to: { path: '^apps/' } },
    { name: 'apps-do-not-know-each-other', severity: 'error', comment: 'apps/standalone alone may import the others',
      from: { path: '^apps/([^/]+)/', pathNot: ['^apps/standalone/', ...TEST] }, to: { path: '^apps/', pathNot: '^apps/$1/' } },
    { name: 'nest-only-in-module-files', severity: 'error', comment: 'under libs, only *.module.ts may import @nestjs/*',
      from: { path: '^libs/', pathNot: ['\\.module\\.ts$', ...TEST] }, to: { path: 'node_modules/@nestjs/' } },
    { name: 'modules-are-imported-by-apps-only', severity: 'error', from: { path: '^libs/', pathNot: ['\\.module\\.ts$', ...TEST] }, to: { path: '^libs/.*\\.module\\.ts$' } },
    only('prisma-only-in-state', '(@prisma|prisma|pg|pglite-prisma-adapter|@electric-sql)/', ['^libs/state/', '^libs/ledger/']),
    only('mcp-sdk-only-in-mcp-doors', '@modelcontextprotocol/', ['^apps/gateway/src/mcp/', '^libs/backends/mcp/', '^apps/cli/src/call']),
    only('outbound-http-only-through-egress', 'undici/', ['^libs/egress/', '^apps/cli/']),
    only('kubernetes-client-only-in-kubernetes', '@kubernetes/', ['^libs/kubernetes/']),
    only('kafkajs-contained', 'kafkajs/', ['^libs/metering/', '^libs/backends/kafka/', '^apps/billing/']),
    only('openapi-parser-only-in-openapi', '(@apidevtools|yaml)/', ['^libs/openapi/', '^libs/backends/kafka/', '^libs/policy/', '^libs/redaction/settings', '^libs/auth/issuers-file', '^apps/cli/']),
    only('policy-evaluator-only-in-policy', '@open-policy-agent/', ['^libs/policy/']),
    { name: 'caller-tokens-are-opened-by-their-exchange-alone', severity: 'error', comment: 'the door seals the token of a caller; nothing but its exchange at its own issuer may open it',
      from: { path: '^(apps|libs)/', pathNot: ['^libs/auth/door\\.ts$', '^libs/credentials/token-exchange\\.ts$', ...TEST] }, to: { path: '^libs/core/caller-token\\.ts$' } },
    { name: 'no-test-code-in-product', severity: 'error', from: { path: '^(apps|libs)/', pathNot: TEST }, to: { path: ['^test/', '\\.test\\.ts$'] } },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' }, tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^libs/state/generated/' },
    enhancedResolveOptions: { conditionNames: ['stoa-source', 'import', 'node', 'default'], exportsFields: ['exports'] },
  },
};
