/** Reloads of connectors, extensions, and of what has to do with them. */
import { afterEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { forward } from '../../../connectors/forward.ts'
import { Capability, offered } from '../../../core/capability.ts'
import { defineExporter, defineExtension } from '../../../core/component.ts'
import { sending } from '../../../core/sending.ts'
import { batch } from '../../../processors/batch.ts'
import { toyGraph, type ToyGraph, type ToyParts } from '../../support/graph.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(200)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const span = (name: string) => tracesRequest([{ spans: [name] }])
const kindOf = async (name: string) => (await toy.push(span(name)).outcome).kind

describe('a connector', () => {
  const parts = (ids: { connector?: string; out?: string; step?: object }): ToyParts => {
    const { connector = 'forward', out = 'sink/a', step } = ids
    return {
      exporters: { [out]: {} },
      components: { [connector]: { definition: forward }, batch: { definition: batch, config: step ?? {} } },
      pipelines: [
        { id: 'traces/in', processors: ['batch'], exporters: [connector] },
        { id: 'traces/out', receivers: [connector], processors: ['batch'], exporters: [out] },
      ],
    }
  }
  test.each<[string, ToyParts, string]>([
    ['stays while both its sides change', parts({ out: 'sink/b', step: { timeout: '1ms' } }), 'sink/b'],
    ['is exchanged for another one', parts({ connector: 'forward/2' }), 'sink/a'],
    ['goes', { exporters: { 'sink/a': {} } }, 'sink/a'],
  ])('%s', async (_, after, sink) => {
    toy = await toyGraph(parts({}))
    const before = toy.sinks['sink/a']
    expect(await kindOf('1')).toBe('success')
    const { over } = await toy.reload(after)
    expect(await kindOf('2')).toBe('success')
    await over
    expect(await kindOf('3')).toBe('success')
    const all = () => [...new Set([before, toy.sinks[sink]])].flatMap(one => one.all)
    await expect.poll(() => all().toSorted()).toEqual(['1', '2', '3'])
    expect(toy.books.faults()).toEqual([])
    await (
      await toy.reload(parts({}))
    ).over
    expect(await kindOf('4')).toBe('success')
    await expect.poll(() => toy.sinks['sink/a'].all).toContain('4')
  })
})

test('an extension that changed stops after those that use it have changed over', async () => {
  const events: string[] = []
  const doors = new Capability<number>('opener of doors')
  const extension = defineExtension({
    type: 'key',
    stability: 'stable',
    summary: 'Opens doors.',
    signals: ['traces'],
    config: z.strictObject({ x: z.number() }),
    examples: [],
    create: ({ x }) => ({
      offers: [offered(doors, () => x)],
      start: () => void events.push(`start ${x}`),
      stop: () => void events.push(`stop ${x}`),
    }),
  })
  const user = defineExporter({
    type: 'user',
    stability: 'stable',
    summary: 'Uses it.',
    signals: ['traces'],
    ordering: 'none',
    config: z.strictObject({ ...sending(), auth: z.strictObject({ authenticator: z.string() }) }),
    examples: [],
    create: (_config, { extension: found }) => ({
      start: () => void events.push(`user has ${found('key', doors)}`),
      stop: () => void events.push('user stops'),
      send: () => Promise.resolve(undefined),
    }),
  })
  const parts = (x: number): ToyParts => ({
    exporters: {},
    components: {
      key: { definition: extension, config: { x } },
      user: {
        definition: user,
        config: { auth: { authenticator: 'key' } },
        uses: [{ path: 'auth.authenticator', id: 'key', needs: doors.name }],
      },
    },
    pipelines: [{ exporters: ['user'] }],
  })
  toy = await toyGraph(parts(1))
  await (
    await toy.reload(parts(2))
  ).over
  expect(events).toEqual(['start 1', 'user has 1', 'start 2', 'user has 2', 'user stops', 'stop 1'])
})
