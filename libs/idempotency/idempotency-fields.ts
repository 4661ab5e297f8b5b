import { z } from 'zod';

const flag = () => z.stringbool({ truthy: ['true', '1', 'yes', 'on'], falsy: ['false', '0', 'no', 'off'] });

export const idempotencyFields = {
  idempotencyEnabled: flag().prefault('true').meta({ env: 'IDEMPOTENCY_ENABLED', description: 'Idempotency-Key: the same key within 24 hours is the same call, made and charged once. Several replicas need REDIS_URL for that. `false`: the header is only recorded.' }),
};
