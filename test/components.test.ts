/** What every component of the build must say of itself. Nobody opts in: what is in the list is tested. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Definition, orderingOf } from '../core/component.ts'
import { runsOf } from '../core/worker.ts'
import { components as listed } from '../components.ts'
import { allSignals } from '../proto/signals.ts'
import { components } from './support/components.ts'
import { jsonSchema, objectsOf, options } from './support/options.ts'

const root = join(import.meta.dirname, '..')
const nameOf = ({ kind, type }: Definition) => `${kind} ${type}`
const each = components.map(one => [nameOf(one), one] as const)
/** Every key of a configuration, with those that lead to it. */
function* keysOf(config: unknown, at: string): Generator<string> {
  if (typeof config !== 'object' || config === null) return
  for (const [name, value] of Object.entries(config)) {
    yield `${at}${name}`
    yield* keysOf(value, `${at}${name}.`)
  }
}

test('the list has each by the names that it says it has', async () => {
  for (const { kind, names, load } of listed) {
    const { type, aliases = [], kind: own } = await load()
    expect({ kind, names }).toEqual({ kind: own, names: [type, ...aliases] })
  }
})

test('no name is taken twice, aliases included', () => {
  const all = components.flatMap(one => [one.type, ...(one.aliases ?? [])].map(name => `${one.kind} ${name}`))
  expect(all.toSorted()).toEqual([...new Set(all)].toSorted())
})

describe.each(each)('%s, as declared', (_, definition) => {
  const { kind, type, summary, examples, signals, config } = definition

  test('stands in the file of its name, in snake_case', async () => {
    expect(type).toMatch(/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/)
    const path = [`${kind}s/${type}.ts`, `${kind}s/${type}/${type}.ts`].find(one => existsSync(join(root, one)))
    const module = (await import(/* @vite-ignore */ join(root, String(path)))) as object
    expect(Object.values(module)).toContain(definition)
  })

  test('its summary is one sentence', () => {
    expect(summary).toMatch(/^[A-Z`][^.!?]*\.$/)
    expect(summary.length).toBeLessThan(120)
  })

  test('takes at least one signal, each once; an extension none', () => {
    expect(signals.length > 0).toBe(kind !== 'extension')
    expect([...new Set(signals)].filter(signal => allSignals.includes(signal))).toEqual([...signals])
  })

  test('says where it runs when there are several processes', () => {
    expect(definition.runs).toBeDefined()
    // What must leave in order of a key cannot leave from two processes.
    if (definition.kind !== 'exporter') return
    for (const signal of signals) {
      const ordering = orderingOf(definition, signal)
      if (ordering !== 'none') expect(['one', { by: ordering }]).toContainEqual(runsOf(definition, signal))
    }
  })

  test('describes every option in a sentence, however deep', () => {
    const undescribed = options(config)
      .filter(({ schema }) => !/^\S.*\S$/s.test(schema.description ?? ''))
      .map(({ path }) => path)
    expect(undescribed).toEqual([])
  })

  test('names options as the Collector does', () => {
    // Metrics are switched by their names, which have dots.
    const isMetric = (path: string): boolean => /\bmetrics\.(?:system|process)\.[a-z0-9_.]+$/.test(path)
    const odd = options(config).filter(
      ({ path }) => !isMetric(path) && !/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(path.split('.').at(-1) ?? ''),
    )
    expect(odd.map(({ path }) => path)).toEqual([])
  })

  test('knows no option that it does not declare, however deep', () => {
    const open = [{ path: '', schema: jsonSchema(config) }, ...options(config)].flatMap(({ path, schema }) =>
      objectsOf(schema)
        .filter(object => object.properties !== undefined && object.additionalProperties !== false)
        .map(() => path),
    )
    expect(open).toEqual([])
  })

  if (kind === 'receiver') {
    test('says what it keeps of requests wherever its schema has a key for that', () => {
      for (const { config: example } of examples) {
        const parsed = definition.config.parse(example)
        const keys = [...keysOf(parsed, '')].filter(key => /(?:^|\.)include_metadata$/.test(key))
        const kept = definition.keeps?.(parsed) ?? []
        expect(kept.filter(({ what }) => what === 'metadata').map(({ key }) => key)).toEqual(keys)
      }
    })
  }

  test('has examples, each with a title of its own, and all parse', () => {
    expect(examples.length).toBeGreaterThan(0)
    expect(new Set(examples.map(one => one.title)).size).toBe(examples.length)
    for (const { config: example, title } of examples) {
      expect(title).toMatch(/^[A-Z`]/)
      const parsed = config.safeParse(example)
      expect(parsed.error?.issues ?? [], title).toEqual([])
    }
  })

  test('parses without a word, or names what is missing', () => {
    const { error } = config.safeParse({})
    for (const { path, message } of error?.issues ?? [])
      expect(path.length > 0 || /`\w+`/.test(message), message).toBe(true)
  })

  test('tells an unknown key by its name', () => {
    for (const { config: example } of examples) {
      const { error } = config.safeParse({ ...(example as object), surely_no_key: 1 })
      expect(error?.issues).toContainEqual(
        expect.objectContaining({ code: 'unrecognized_keys', keys: ['surely_no_key'] }),
      )
    }
  })

  test.each([
    ['a list', []],
    ['a text', 'x'],
    ['a number', 7],
  ])('does not take %s for its configuration', (_, wrong) => {
    expect(config.safeParse(wrong).success).toBe(false)
  })
})
