import type { AuthorizedCall, ResolvedCall, ValidatedCall } from './call.js';
import type { Stages } from './pipeline.js';

export const skipsAuthorization = (on: Stages, resolved: ResolvedCall): unknown =>
  // @ts-expect-error a resolved call is not yet authorized, admitted or validated
  on.invoke(resolved);
export const skipsLimits = (on: Stages, authorized: AuthorizedCall): unknown =>
  // @ts-expect-error an authorized call is not yet admitted
  on.validate(authorized);
export const skipsTheRecord = (on: Stages, validated: ValidatedCall): unknown =>
  // @ts-expect-error a validated call is not yet on record
  on.invoke(validated);
