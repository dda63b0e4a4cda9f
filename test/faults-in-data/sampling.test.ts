/** A8 of the faults of November 2026: what an item asks a sampler for, for both signals. */
import { expect, test } from 'vitest'
import { probabilisticSampler } from '../../processors/probabilistic_sampler/probabilistic_sampler.ts'
import { encode } from '../support/otlp.ts'
import { processOne, withAttributes } from '../support/processing.ts'

const items = 200

/** How many of the items stay that ask for `asked`, of a sampler that keeps one of a hundred. */
async function kept(signal: 'traces' | 'logs', asked: unknown): Promise<number> {
  const ids = Array.from({ length: items }, (_, i) => i)
  const body =
    signal === 'logs'
      ? encode('ExportLogsServiceRequest', {
          resource_logs: [
            { scope_logs: [{ log_records: ids.map(uid => ({ attributes: withAttributes({ prio: asked, uid }) })) }] },
          ],
        })
      : encode('ExportTraceServiceRequest', {
          resource_spans: [
            {
              scope_spans: [
                {
                  spans: ids.map(id => ({
                    trace_id: Buffer.alloc(16, id + 1),
                    attributes: withAttributes({ 'sampling.priority': asked }),
                  })),
                },
              ],
            },
          ],
        })
  const config = {
    sampling_percentage: 1,
    ...(signal === 'logs' ? { sampling_priority: 'prio', attribute_source: 'record', from_attribute: 'uid' } : {}),
  }
  return (await processOne(probabilisticSampler, config, signal, body)).items.length
}

test.each([
  [0, 0],
  [100, items],
  [200, items],
  ['0', 0],
  ['100', items],
  ['250', items],
])('A8: a record with the priority %j: %i stay', async (asked, left) => {
  expect(await kept('logs', asked)).toBe(left)
})

test.each([[50], ['50'], ['5e1']])('A8: a record with the priority %j has that chance', async asked => {
  const left = await kept('logs', asked)
  expect(left).toBeGreaterThan(items * 0.35)
  expect(left).toBeLessThan(items * 0.65)
})

test.each([[-1], ['much'], [true], ['']])('A8: a record with the priority %j asks for nothing', async asked => {
  expect(await kept('logs', asked)).toBe(await kept('logs', null))
})

test.each([
  [0, 0],
  ['0', 0],
  [1, items],
  [200, items],
  ['50', items],
])('A8: a span with the priority %j, which knows no percentages: %i stay', async (asked, left) => {
  expect(await kept('traces', asked)).toBe(left)
})
