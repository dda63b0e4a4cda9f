import * as z from 'zod'
import { defineProcessor } from '../core/component.ts'
import { compileEdits } from '../proto/edits.ts'
import { allSignals } from '../proto/signals.ts'
import { actionTouches, attributeActions } from './attribute-actions.ts'
import { editResources } from './resource-edits.ts'
import { each } from './steps.ts'

const config = z.strictObject({
  attributes: attributeActions
    .min(1, { error: '`attributes` needs at least one action' })
    .describe('Actions on the resource attributes, applied in order.'),
})

/** The `resource` processor. */
export const resource = defineProcessor<z.output<typeof config>>({
  type: 'resource',
  stability: 'beta',
  runs: 'each',
  summary: 'Sets, removes and converts attributes of the resource.',
  signals: allSignals,
  hold: 'none',
  config,
  examples: [
    {
      title: 'Say which cluster the data comes from',
      config: { attributes: [{ key: 'k8s.cluster.name', value: 'prod-eu-1', action: 'upsert' }] },
    },
  ],

  touches({ attributes }) {
    return actionTouches(attributes, 'resource', 'attributes')
  },

  create(config, context) {
    const edits = compileEdits(config.attributes)
    return each(context, batch => editResources(batch, edits))
  },
})
