import * as z from 'zod'
import { defineExporter } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import { sending } from '../../core/sending.ts'
import { encodeGroups } from '../../proto/group.ts'
import { allSignals } from '../../proto/signals.ts'

const config = z.strictObject({ ...sending(), endpoint: z.string().describe('Where to post.') })

/** Posts each batch as OTLP. */
export const httpExporter = defineExporter({
  type: 'toy_http',
  stability: 'development',
  summary: 'Posts batches.',
  signals: allSignals,
  ordering: 'none',
  config,
  examples: [],
  touches: () => [],
  create: ({ endpoint }) => ({
    async send(batch, attempt) {
      const body = new Uint8Array(encodeGroups(batch.groups))
      const answer = await fetch(endpoint, { method: 'POST', body, signal: attempt.signal })
      if (answer.ok) return undefined
      const kind = answer.status >= 500 ? 'retry' : 'rejected'
      throw new DeliveryError('DELIVERY_REJECTED', kind, `${endpoint} answered ${answer.status}`)
    },
  }),
})
