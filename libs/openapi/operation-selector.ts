import type { OperationSelector } from '#libs/core/conversion.js';
import type { OperationDraft } from '#libs/openapi/operation-converter.js';

/** Whether all the filters that are given hold. */
export function isSelected({ source, operationId, documentTags }: Pick<OperationDraft, 'source' | 'operationId' | 'documentTags'>, selector: OperationSelector = {}): boolean {
  const { tags, excludeTags, methods, pathPrefix, operationIds } = selector;
  return (tags === undefined || documentTags.some((tag) => tags.includes(tag)))
    && (excludeTags === undefined || !documentTags.some((tag) => excludeTags.includes(tag)))
    && (methods === undefined || methods.some((method) => method.toUpperCase() === source.method))
    && (pathPrefix === undefined || source.path.startsWith(pathPrefix))
    && (operationIds === undefined || (operationId !== undefined && operationIds.includes(operationId)));
}
