import { expect, it } from 'vitest';
import { fill } from './prompt-backend.js';

it.each([
  { name: 'fills each placeholder', template: '{{a}} and {{ b }}', values: { a: 'x', b: 'y' }, text: 'x and y' },
  { name: 'keeps falsy values', template: '{{a}}{{b}}', values: { a: 0, b: false }, text: '0false' },
  { name: 'leaves a missing argument empty', template: '[{{a}}]', values: {}, text: '[]' },
  { name: 'does not fill what a value brought', template: '{{a}}', values: { a: '{{b}}', b: 'secret' }, text: '{{b}}' },
  { name: 'does not read inherited names', template: '{{constructor}}', values: {}, text: '' },
  { name: 'takes replacement patterns literally', template: '{{a}}', values: { a: '$& $1' }, text: '$& $1' },
])('$name', ({ template, values, text }) => { expect(fill(template, values)).toBe(text); });
