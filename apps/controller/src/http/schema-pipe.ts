import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common';
import { Problem } from './problem.js';

const MAX_ISSUES = 20;

/** Checks what comes in against the schema at the parameter; the value that goes on is the schema's output. A path that no thing could have is 404. */
@Injectable()
export class SchemaPipe implements PipeTransform {
  async transform(value: unknown, { schema, type, data }: ArgumentMetadata): Promise<unknown> {
    if (schema === undefined || type === 'custom') return value;
    const result = await schema['~standard'].validate(value);
    if (result.issues === undefined) return result.value;
    if (type === 'param') throw new Problem(404, 'Not Found');
    throw new Problem(422, result.issues.slice(0, MAX_ISSUES).map((issue) => ({
      loc: [type, ...(data === undefined ? [] : [data]), ...(issue.path ?? []).map(key)],
      msg: issue.message,
      type: 'code' in issue && typeof issue.code === 'string' ? issue.code : 'value_error',
    })));
  }
}

function key(segment: PropertyKey | { readonly key: PropertyKey }): string | number {
  const name = typeof segment === 'object' ? segment.key : segment;
  return typeof name === 'number' ? name : String(name);
}
