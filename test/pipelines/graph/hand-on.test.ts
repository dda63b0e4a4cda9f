import * as z from 'zod'
import { afterEach, expect, test } from 'vitest'
import { type Definition, defineExporter } from '../../../core/component.ts'
import { sending } from '../../../core/sending.ts'
import { toyGraph, type ToyGraph, type ToyParts } from '../../support/graph.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(50)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

/** Exporters that count the items they ever took, over all their instances; what happens is noted by the instance's number. */
function counting(type = 'counting') {
  const events: string[] = []
  let instances = 0
  const definition = defineExporter({
    type,
    stability: 'stable',
    summary: 'Counts items.',
    signals: ['traces'],
    ordering: 'series',
    config: z.strictObject({
      key: z.string().default(''),
      fails: z.string().default(''),
      ...sending({ queue: false }),
    }),
    examples: [],
    create(config) {
      const number = instances++
      let count = { items: 0 }
      const note = (what: string): void => {
        events.push(`${number} ${what}`)
        if (config.fails === what) throw new Error(`${what} failed`)
      }
      return {
        start: () => note('start'),
        run: () => note('run'),
        stop: () => note('stop'),
        send(batch: { readonly items: number }) {
          count.items += batch.items
          events.push(`${number} counts ${count.items}`)
          return Promise.resolve(undefined)
        },
        leave() {
          note('leave')
          return count
        },
        adopt(state: unknown) {
          note('adopt')
          count = state as typeof count
          return config.fails !== 'false'
        },
      }
    },
  })
  return { definition, events }
}

const parts = (definition: Definition, config: object): ToyParts => ({
  exporters: {},
  components: { counting: { definition, config } },
  pipelines: [{ exporters: ['counting'] }],
})
const push = async () => (await toy.push(tracesRequest([{ spans: ['a', 'b'] }])).outcome).kind

test('the next instance has what the one before knew before it runs, and goes on counting', async () => {
  const { definition, events } = counting()
  toy = await toyGraph(parts(definition, {}))
  await push()
  await (
    await toy.reload(parts(definition, { key: 'other' }))
  ).over
  await push()
  expect(events).toEqual([
    '0 start',
    '0 run',
    '0 counts 2',
    '1 start',
    '0 leave',
    '1 adopt',
    '1 run',
    '0 stop',
    '1 counts 4',
  ])
})

test.each([
  ['leave throws', { fails: 'leave' }, { key: 'other' }],
  ['adopt throws', {}, { fails: 'adopt' }],
])('where %s the reload goes on, and the next begins', async (_, before, after) => {
  const { definition, events } = counting()
  toy = await toyGraph(parts(definition, before))
  await push()
  await (
    await toy.reload(parts(definition, after))
  ).over
  expect(await push()).toBe('success')
  expect(events.at(-1)).toBe('1 counts 2')
})

test('where the reload fails it was never asked for, and nothing is missing', async () => {
  const { definition, events } = counting()
  toy = await toyGraph(parts(definition, {}))
  await push()
  await expect(toy.reload(parts(definition, { fails: 'start' }))).rejects.toThrow('start failed')
  await push()
  expect(events).toEqual(['0 start', '0 run', '0 counts 2', '1 start', '1 stop', '0 counts 4'])
})

test('an exporter of another type under the same id is offered nothing', async () => {
  const { definition } = counting()
  const other = counting('other')
  toy = await toyGraph(parts(definition, {}))
  await push()
  await (
    await toy.reload(parts(other.definition, {}))
  ).over
  await push()
  expect(other.events).toEqual(['0 start', '0 run', '0 counts 2'])
})

test('one whose configuration stays the same stays, and is offered nothing', async () => {
  const { definition, events } = counting()
  toy = await toyGraph(parts(definition, {}))
  await (
    await toy.reload(parts(definition, {}))
  ).over
  expect(events).toEqual(['0 start', '0 run'])
})
