import { expect, test } from 'vitest'
import { batchOf, exporterOf, forever, refusal } from '../support/exporting.ts'
import { server } from '../support/loki-server.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { postJson } from './post_json.ts'

test('a batch is posted as JSON, and an answer that is none of success says what it means', async () => {
  let status = 200
  const { url, seen } = await server(() => ({ status }))
  const { exporter, budget } = exporterOf(postJson, { endpoint: `${url}/in`, compression: 'none' })
  const batch = batchOf(tracesRequest([{ spans: ['a'] }]))
  expect(await exporter.send(batch, forever)).toBeUndefined()
  expect(seen.map(({ url, body }) => [url, JSON.parse(body.toString())])).toMatchObject([
    ['/in', { resourceSpans: [{ scopeSpans: [{ spans: [{ name: 'a' }] }] }] }],
  ])
  for (const [answered, kind] of [
    [503, 'retry'],
    [413, 'too_large'],
    [401, 'denied'],
    [400, 'rejected'],
  ] as const) {
    status = answered
    expect((await refusal(exporter.send(batch, forever))).kind).toBe(kind)
  }
  await exporter.stop?.()
  expect(budget.used).toBe(0)
})
