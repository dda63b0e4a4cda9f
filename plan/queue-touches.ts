import type { SendingConfig } from '../core/sending.ts'
import type { Touch } from '../core/touch.ts'

/** What an exporter's own queue puts together. */
export function queueTouches({ sending_queue: queue }: SendingConfig): Touch[] {
  if (!queue.enabled || queue.batch === undefined) return []
  const apart = queue.batch.partition.metadata_keys.map(name => `metadata.${name.toLowerCase()}`)
  const key = 'sending_queue.batch'
  const reads = apart.map((what): Touch => ({
    depth: 'request',
    does: 'reads',
    key: `${key}.partition.metadata_keys`,
    what,
  }))
  return [...reads, { depth: 'request', does: 'moves', key, what: 'requests into larger batches', apart }]
}
