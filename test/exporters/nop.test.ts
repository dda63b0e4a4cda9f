import { expect, test } from 'vitest'
import { nopExporter } from '../../exporters/nop.ts'
import { batchOf, exporterOf, forever } from '../support/exporting.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

test('it takes everything, without a queue', async () => {
  const { exporter } = exporterOf(nopExporter, {})
  expect(await exporter.send(batchOf(tracesRequest([{ spans: ['a'] }])), forever)).toBeUndefined()
  expect(nopExporter.config.parse({})).toMatchObject({ sending_queue: { enabled: false } })
})
