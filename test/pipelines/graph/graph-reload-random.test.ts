/** Random configurations, one after the other, while data moves: whatever happens, every item that was accepted arrives. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { forward } from '../../../connectors/forward.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { batch } from '../../../processors/batch.ts'
import { namespaceFilter } from '../../../processors/namespace_filter.ts'
import { toyGraph, type ToyParts, type ToyPipeline, type ToySink } from '../../support/graph.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'

const processors = ['batch/a', 'batch/b', 'namespace_filter'] as const
const sinks = ['sink/a', 'sink/b'] as const

/** One configuration: a pipeline for what is pushed, perhaps a second one behind a connector. */
const configuration = fc.record({
  id: fc.constantFrom('traces', 'traces/other'),
  steps: fc.shuffledSubarray([...processors]),
  behind: fc.shuffledSubarray([...processors]),
  ends: fc.subarray([...sinks], { minLength: 1 }),
  connected: fc.boolean(),
  timeout: fc.constantFrom('1ms', '1h'),
  size: fc.constantFrom(1, 3, 100),
  waits: fc.boolean(),
  blocks: fc.boolean(),
  batched: fc.boolean(),
})
type Configuration = typeof configuration extends fc.Arbitrary<infer T> ? T : never

function partsOf(one: Configuration): ToyParts {
  const { id, steps, behind, ends, connected, timeout, size, waits, blocks, batched } = one
  const sending_queue = {
    queue_size: size,
    num_consumers: 1,
    wait_for_result: waits,
    block_on_overflow: blocks,
    sizer: 'requests',
    ...(batched ? { batch: { min_size: 2, flush_timeout: '5ms', sizer: 'items' } } : {}),
  }
  const retry_on_failure = { initial_interval: '1ms', max_interval: '2ms' }
  const pipelines: ToyPipeline[] = connected
    ? [
        { id, processors: steps, exporters: ['forward'] },
        { id: 'traces/behind', receivers: ['forward'], processors: behind, exporters: ends },
      ]
    : [{ id, processors: steps, exporters: ends }]
  const gather = { definition: batch, config: { timeout, send_batch_size: 3 } }
  return {
    exporters: Object.fromEntries(ends.map(end => [end, { sending_queue, retry_on_failure }])),
    components: {
      'batch/a': gather,
      'batch/b': gather,
      namespace_filter: { definition: namespaceFilter },
      ...(connected ? { forward: { definition: forward } } : {}),
    },
    pipelines,
  }
}

/** Takes, fails, or takes a while. */
function moody(sink: ToySink, moods: readonly number[]): void {
  let turn = 0
  sink.behave = () => {
    const mood = moods[turn++ % moods.length]
    if (mood === 0) return Promise.resolve(undefined)
    if (mood === 1) return Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', 'later'))
    return new Promise(resolve => setTimeout(() => resolve(undefined), mood))
  }
}

const step = fc.oneof(
  { arbitrary: fc.record({ push: fc.integer({ min: 1, max: 4 }) }), weight: 4 },
  { arbitrary: fc.record({ wait: fc.integer({ min: 0, max: 4 }) }), weight: 2 },
  { arbitrary: fc.record({ to: configuration }), weight: 3 },
)

test('what was accepted arrives at a destination, and the books balance all the time', async () => {
  await fc.assert(
    fc.asyncProperty(
      configuration,
      fc.array(step, { minLength: 3, maxLength: 14 }),
      fc.array(fc.constantFrom(0, 0, 0, 1, 3), { minLength: 1, maxLength: 6 }),
      async (first, steps, moods) => {
        const toy = await toyGraph(partsOf(first))
        const all = new Set<ToySink>()
        const note = () => {
          for (const sink of Object.values(toy.sinks)) {
            if (all.has(sink)) continue
            all.add(sink)
            // In the end it takes everything.
            moody(sink, [...moods, 0])
          }
        }
        note()
        const answers: Promise<[string, string]>[] = []
        const leaving: Promise<void>[] = []
        let made = 0
        for (const one of steps) {
          if ('push' in one) {
            for (let i = 0; i < one.push; i++) {
              const name = `s${made++}`
              answers.push(toy.push(tracesRequest([{ spans: [name] }])).outcome.then(({ kind }) => [name, kind]))
            }
          } else if ('wait' in one) await new Promise(resolve => setTimeout(resolve, one.wait))
          else {
            leaving.push((await toy.reload(partsOf(one.to), 5000)).over)
            note()
          }
          expect(toy.books.faults()).toEqual([])
        }
        await Promise.all(leaving)
        const { lost } = await toy.graph.stop(5000)
        const accepted = (await Promise.all(answers)).filter(([, kind]) => kind === 'success').map(([name]) => name)
        const arrived = new Set([...all].flatMap(sink => sink.all))
        expect(toy.books.faults()).toEqual([])
        expect(lost).toBe(0)
        expect(accepted.filter(name => !arrived.has(name))).toEqual([])
        expect(toy.budget.used).toBe(0)
      },
    ),
    { numRuns: Number(process.env['KYMO_RELOAD_RUNS'] ?? 40), interruptAfterTimeLimit: 60_000 },
  )
}, 90_000)
