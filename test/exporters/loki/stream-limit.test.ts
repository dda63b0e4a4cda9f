import { expect, test } from 'vitest'
import { StreamLimit } from '../../../exporters/loki/stream-limit.ts'
import { LabelSet } from '../../../backends/loki/labels.ts'

const setOf = (labels: Record<string, string>): LabelSet =>
  new LabelSet(Object.entries(labels).map(([name, value]) => ({ name, value })))
const plain = ({ labels }: LabelSet) => Object.fromEntries(labels.map(({ name, value }) => [name, value]))

test('below the limit every stream has its labels', () => {
  const limit = new StreamLimit(10, 1000, [], () => 0)
  for (let i = 0; i < 8; i++) {
    const set = setOf({ service_name: 'a', pod: `p${i}` })
    expect(limit.choose(set)).toBe(set)
  }
  expect(limit.streams).toBe(8)
})

test('beyond it the label with the most values goes first, and streams in use stay as they are', () => {
  const limit = new StreamLimit(10, 1000, [], () => 0)
  const first = Array.from({ length: 8 }, (_, i) => setOf({ service_name: `s${i % 2}`, ns: `n${i % 3}`, pod: `p${i}` }))
  for (const set of first) limit.choose(set)
  expect(plain(limit.choose(setOf({ service_name: 's0', ns: 'n0', pod: 'p99' })))).toEqual({
    service_name: 's0',
    ns: 'n0',
  })
  for (const set of first) expect(limit.choose(set)).toBe(set)
})

test('there are never more streams than that, whatever comes', () => {
  const limit = new StreamLimit(20, 1000, ['cluster'], () => 0)
  const texts = new Set<string>()
  for (let i = 0; i < 1000; i++) {
    const chosen = limit.choose(setOf({ cluster: 'c', service_name: `s${i}`, pod: `p${i}`, ns: `n${i % 7}` }))
    expect(plain(chosen)['cluster']).toBe('c')
    expect(plain(chosen)['service_name']).toBeDefined()
    texts.add(chosen.text)
  }
  expect(texts.size).toBeLessThanOrEqual(20)
  expect(limit.streams).toBeLessThanOrEqual(20)
})

test('streams without data make room again after a while', () => {
  let now = 0
  const limit = new StreamLimit(10, 60_000, [], () => now)
  for (let i = 0; i < 8; i++) limit.choose(setOf({ service_name: `s${i}` }))
  const late = setOf({ service_name: 'late', pod: 'p' })
  now = 59_000
  expect(plain(limit.choose(late))).not.toHaveProperty('pod')
  now = 75_000
  expect(limit.choose(late)).toBe(late)
})

test('0 sets no limit', () => {
  const limit = new StreamLimit(0, 1000, [], () => 0)
  for (let i = 0; i < 100; i++) {
    const set = setOf({ service_name: `s${i}` })
    expect(limit.choose(set)).toBe(set)
  }
})
