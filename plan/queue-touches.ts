import { gatheringText } from '../core/gathering.ts'
import type { SendingConfig } from '../core/sending.ts'
import type { Touch } from '../core/touch.ts'
import { queueGathering } from './carried.ts'

/** What an exporter's own queue puts together. */
export function queueTouches({ sending_queue: queue }: SendingConfig): Touch[] {
  const gathering = queueGathering(queue)
  if (gathering === undefined || queue.batch === undefined) return []
  const apart = queue.batch.partition.metadata_keys.map(name => `metadata.${name.toLowerCase()}`)
  const key = 'sending_queue.batch'
  const reads = apart.map((what): Touch => ({
    depth: 'request',
    does: 'reads',
    key: `${key}.partition.metadata_keys`,
    what,
  }))
  return [...reads, { depth: 'request', does: 'moves', key, what: gatheringText(gathering), apart }]
}
