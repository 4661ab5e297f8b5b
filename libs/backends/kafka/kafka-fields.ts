import { z } from 'zod';

/** The same for the process that admits and the one that calls. */
export const topicPrefixField = () => z.string().regex(/^(?:[a-zA-Z0-9._-]|\{tenant\}){1,249}$/, 'expected the beginning of topic names, perhaps with {tenant}').optional()
  .meta({ env: 'KAFKA_BACKEND_TOPIC_PREFIX', description: 'How the topics of every tenant\'s tools begin, with {tenant} for its name: `{tenant}.` keeps tenants apart on one cluster. The same in the controller and the gateway. Unset: as each connection says.' });
