import * as z from 'zod'
import { defineProcessor } from '../../core/component.ts'
import { texts } from '../../core/fields.ts'
import { attributeTags, findAttribute } from '../../proto/attributes.ts'
import type { Group } from '../../proto/group.ts'
import { allSignals } from '../../proto/signals.ts'
import { Range } from '../../proto/values.ts'
import { each } from '../../processors/steps.ts'

const config = z.strictObject({
  keys: texts().prefault(['service.name']).describe('Attributes that every resource must have.'),
})

/** The `require_attributes` processor. */
export const requireAttributes = defineProcessor({
  type: 'require_attributes',
  stability: 'alpha',
  summary: 'Drops data whose resource lacks an attribute.',
  signals: allSignals,
  hold: 'none',
  config,
  examples: [
    { title: 'Nothing without a service and a namespace', config: { keys: ['service.name', 'k8s.namespace.name'] } },
  ],

  touches({ keys }) {
    const what = keys.join(', ')
    return [
      { depth: 'resource', does: 'reads', key: 'keys', what },
      { depth: 'resource', does: 'drops', key: 'keys', what: `what lacks one of ${what}`, reason: 'attribute_missing' },
    ]
  },

  create({ keys }, context) {
    const missing = context.reason('attribute_missing', 'rule')
    const wanted = keys.map(key => Buffer.from(key))
    const range = new Range()
    const hasAll = ({ resource, resourceStart, resourceEnd }: Group) =>
      wanted.every(key => findAttribute(resource, resourceStart, resourceEnd, attributeTags.resource, key, range))
    return each(context, batch => {
      const [passes, dropped] = batch.partition(hasAll)
      return dropped === undefined ? batch : { passes, ends: [{ batch: dropped, reason: missing }] }
    })
  },
})
