/** What components say they do with data, held against what they do. Nobody opts in: what is in the list is tested. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { components } from './support/components.ts'
import type { Batch } from '../core/batch.ts'
import { Budget } from '../core/budget.ts'
import { type Definition, defineExporter } from '../core/component.ts'
import { Host } from '../core/host.ts'
import { MemoryPlan, memoryPlanKey } from '../core/memory.ts'
import { sending } from '../core/sending.ts'
import type { Depth, Touch } from '../core/touch.ts'
import { encodeGroups } from '../proto/group.ts'
import { allSignals, type Signal } from '../proto/signals.ts'
import { toyGraph } from './support/graph.ts'
import { requests } from './support/otlp.ts'
import { type Item, itemsOf } from './support/otlp-proto.ts'

const touching = components.filter(
  (one): one is Extract<Definition, { kind: 'processor' | 'exporter' | 'connector' }> =>
    one.kind === 'processor' || one.kind === 'exporter' || one.kind === 'connector',
)

describe.each(touching.map(one => [`${one.kind} ${one.type}`, one] as const))('%s', (_, definition) => {
  test('says what it does with data', () => {
    expect(definition.touches).toBeTypeOf('function')
  })

  test.each(definition.examples.map(one => [one.title, one.config]))(
    'names keys that it has and reasons for what it drops, with `%s`',
    (_, example) => {
      const keys = Object.keys(
        (z.toJSONSchema(definition.config, { io: 'input', unrepresentable: 'any' }) as { properties: object })
          .properties,
      )
      for (const { key, what, does, depth, reason } of touchesOf(definition, example)) {
        expect(['', ...keys]).toContain(/^[a-z_0-9]*/.exec(key)?.[0])
        expect(what).not.toBe('')
        if (does === 'drops') expect(reason, what).toMatch(/^[a-z][a-z_]*$/)
        if (depth === 'request' && does === 'reads') expect(what).toMatch(/^(?:metadata\..+|auth\..+|client\.address)$/)
      }
    },
  )
})

function touchesOf(definition: (typeof touching)[number], config: unknown): readonly Touch[] {
  return definition.touches?.(definition.config.parse(config)) ?? []
}

const processors = components.filter(one => one.kind === 'processor')
const cases = processors.flatMap(one =>
  one.examples.map(example => [`${one.type}: ${example.title}`, one, example.config] as const),
)

/** What was sent at one depth, in an order of its own. */
const at = (depth: Exclude<Depth, 'request'>, items: readonly Item[]) =>
  items.map(one => {
    const { resource, resourceSchema, scope, scopeSchema, item } = one
    return JSON.stringify({ resource: [resource, resourceSchema], scope: [scope, scopeSchema], item }[depth])
  })

test.each(cases)('%s does no more than it says, to random requests', async (_, definition, example) => {
  const touches = touchesOf(definition, example)
  const { push, taken, books, stop } = await through(definition, example)
  const known = { resource: new Set(), scope: new Set(), item: new Set() }
  await fc.assert(
    fc.asyncProperty(
      requests().filter(({ signal }) => definition.signals.includes(signal)),
      async ({ signal, body }) => {
        await push(signal, body)
        const before = itemsOf(signal, body)
        const after = taken.splice(0).flatMap(batch => itemsOf(batch.signal, encodeGroups(batch.groups)))
        for (const depth of ['resource', 'scope', 'item'] as const) {
          // Items that move may make resources and scopes for themselves.
          const changes = touches.some(one => one.depth === depth && (one.does === 'edits' || one.does === 'moves'))
          // What counts as nothing (a metric without points) is answered before it has come through.
          for (const text of at(depth, before)) known[depth].add(text)
          if (!changes) for (const text of at(depth, after)) expect(known[depth]).toContain(text)
        }
      },
    ),
    { numRuns: 100 },
  )
  await stop()
  const said = touches.flatMap(({ does, reason }) => (does === 'drops' ? [reason] : []))
  const dropped = books.nodes.flatMap(node => [...node.dropped.all()]).filter(({ value }) => value > 0)
  expect(dropped.map(({ reason }) => reason).filter(reason => !said.includes(reason))).toEqual([])
})

/** A graph of one processor in front of an exporter that keeps what it is sent. */
async function through(definition: Definition, config: unknown) {
  const taken: Batch[] = []
  const keep = defineExporter({
    type: 'keep',
    stability: 'stable',
    summary: 'Keeps what it is sent.',
    signals: allSignals,
    ordering: 'none',
    config: z.strictObject(sending({ queue: false })),
    examples: [],
    create: () => ({
      send: async batch => {
        taken.push(batch)
        return undefined
      },
    }),
  })
  const budget = new Budget(1 << 28)
  const facts = { physical: 1 << 30, container: undefined, baseline: 0, young: 0, windows: 0 }
  const toy = await toyGraph({
    exporters: {},
    components: { [definition.type]: { definition, config: config as object }, keep: { definition: keep } },
    pipelines: definition.signals.map(id => ({ id, processors: [definition.type], exporters: ['keep'] })),
    host: new Host().provide(memoryPlanKey, new MemoryPlan(budget, facts)),
  })
  return {
    taken,
    books: toy.books,
    push: (signal: Signal, body: Buffer) => toy.push(body, { signal }).outcome,
    stop: () => toy.graph.stop(1000),
  }
}
