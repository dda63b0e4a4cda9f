import * as z from 'zod'
import { defineExporter } from '../../core/component.ts'
import { sending } from '../../core/sending.ts'
import { httpClient } from '../../net/http-client-keys.ts'
import { allSignals } from '../../proto/signals.ts'
import { deliveryErrorOfStatus } from '../../exporters/http-answer.ts'
import { HttpPush } from '../../exporters/http-push.ts'
import { jsonFormat } from '../../exporters/otlp-body.ts'

const config = z.strictObject({
  endpoint: z.url({ protocol: /^https?$/ }).describe('Where to post.'),
  ...httpClient({ compression: 'gzip' }),
  ...sending(),
})

/** The `post_json` exporter. */
export const postJson = defineExporter<z.output<typeof config>>({
  type: 'post_json',
  stability: 'alpha',
  summary: 'Posts OTLP/JSON to a URL.',
  signals: allSignals,
  ordering: 'none',
  config,
  examples: [{ title: 'To one place', config: { endpoint: 'http://localhost:9000/in' } }],

  touches() {
    return [{ depth: 'item', does: 'reads', key: '', what: 'everything, to write it as JSON' }]
  },

  create(config, context) {
    const push = new HttpPush(config, context)
    const target = push.target(new URL(config.endpoint), { 'content-type': 'application/json' })
    const format = push.compressed(jsonFormat)
    return {
      start: () => push.start(),
      stop: () => push.stop(),
      async send(batch, attempt) {
        const { answer } = await push.send(target, batch, format, attempt)
        const retries = (status: number) => status === 429 || status >= 500
        if (answer.status >= 300) throw deliveryErrorOfStatus(answer, target.name, { retries })
        return undefined
      },
    }
  },
})
