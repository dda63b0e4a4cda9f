import type { Touch } from '../core/touch.ts'
import type { MatchProperties } from './match-config.ts'

/** What is read to find the items that `key` (`include`, `exclude`) asks for. */
export function matchTouches(properties: MatchProperties | undefined, key: string): Touch[] {
  if (properties === undefined) return []
  const touches: Touch[] = []
  const reads = (depth: Touch['depth'], name: string, what: string): void => {
    touches.push({ depth, does: 'reads', key: `${key}.${name}`, what })
  }
  if (properties.services.length > 0) reads('resource', 'services', 'service.name')
  for (const one of properties.resources) reads('resource', 'resources', one.key)
  if (properties.libraries.length > 0) reads('scope', 'libraries', 'name and version')
  if (properties.span_names.length > 0) reads('item', 'span_names', 'name')
  if (properties.span_kinds.length > 0) reads('item', 'span_kinds', 'kind')
  if (properties.metric_names.length > 0) reads('item', 'metric_names', 'name')
  if (properties.log_bodies.length > 0) reads('item', 'log_bodies', 'body')
  if (properties.log_severity_texts.length > 0) reads('item', 'log_severity_texts', 'severity_text')
  if (properties.log_severity_number !== undefined) reads('item', 'log_severity_number', 'severity_number')
  for (const one of properties.attributes) reads('item', 'attributes', one.key)
  return touches
}
