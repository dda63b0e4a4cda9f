import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { type Examined, examine, verify } from '../../proto/examine.ts'
import { encodeGroups, type Group } from '../../proto/group.ts'
import { NoRoomError } from '../../proto/purse.ts'
import { readRequest } from '../../proto/request.ts'
import { allSignals, type Signal } from '../../proto/signals.ts'
import { WireError } from '../../proto/wire.ts'
import { brokenItems, healthyItem, requestOfItems } from '../support/broken.ts'
import { decode, encode } from '../support/otlp-proto.ts'

const budget = new Budget(1 << 30)
/** What a generator returns, and how often it paused. */
function run<T>(steps: Generator<undefined, T>): { value: T; pauses: number } {
  for (let pauses = 0; ; pauses++) {
    const step = steps.next()
    if (step.done === true) return { value: step.value, pauses }
  }
}
const examined = (signal: Signal, group: Group) => run(examine(signal, group, budget)).value
const onlyGroup = (signal: Signal, body: Buffer): Group => readRequest(signal, body).groups[0]
const decoded = (signal: Signal, { group }: Examined): unknown =>
  decode(signal, encodeGroups(group === undefined ? [] : [group]))
const field = (tag: readonly number[], content: Buffer) =>
  Buffer.concat([Buffer.from([...tag, content.length]), content])

describe.each(allSignals)('%s', signal => {
  test('as they should be are left alone', () => {
    const body = requestOfItems('s', [healthyItem(signal, 'a'), healthyItem(signal, 'ü€😀')])
    expect(examined(signal, onlyGroup(signal, body))).toBeUndefined()
    expect(run(verify(signal, readRequest(signal, body).groups)).value).toBeUndefined()
  })

  test.each(brokenItems(signal))('an item broken $where goes or is mended, and those beside it stay', ({ bytes }) => {
    const body = requestOfItems('s', [healthyItem(signal, 'before'), bytes, healthyItem(signal, 'behind')])
    const group = onlyGroup(signal, body)
    const found = examined(signal, group)!
    expect(found.malformed + found.mended).toBe(1)
    const text = JSON.stringify(decoded(signal, found))
    expect(text).toContain('before')
    expect(text).toContain('behind')
    expect(text.includes('\ufffd')).toBe(found.mended === 1)
    expect(found.group?.items).toBe(group.items - found.malformed)
    expect(examined(signal, found.group!)).toBeUndefined()
    // What can be mended is let in.
    if (found.malformed > 0) expect(() => run(verify(signal, [group]))).toThrow(WireError)
    else expect(run(verify(signal, [group])).value).toBeUndefined()
  })

  test('where nothing is left there is no group', () => {
    const [{ bytes }] = brokenItems(signal)
    expect(examined(signal, onlyGroup(signal, requestOfItems('s', [bytes])))).toMatchObject({
      group: undefined,
      malformed: 1,
      mended: 0,
    })
  })

  test('random damage leaves what a decoder reads', () => {
    const body = requestOfItems('s', [healthyItem(signal, 'one'), healthyItem(signal, 'two')])
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(body.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), damage => {
        const damaged = Buffer.from(body)
        for (const [at, byte] of damage) damaged[at] = byte
        let groups: readonly Group[]
        try {
          groups = readRequest(signal, damaged).groups
        } catch {
          return
        }
        for (const group of groups) {
          const found = examined(signal, group)
          const left = found === undefined ? group : found.group
          if (left !== undefined) decode(signal, encodeGroups([left]))
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('of a span', () => {
  const varint = (...bytes: number[]) => Buffer.from([0x50, ...bytes])
  test.each<[string, Buffer]>([
    ['a varint over 64 bits', varint(255, 255, 255, 255, 255, 255, 255, 255, 255, 2)],
    ['a varint over ten bytes', varint(128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 1)],
    ['a field of another wire type', Buffer.from([0x28, 1])],
    ['field 0', Buffer.from([0x02, 0])],
    ['a group', Buffer.from([0xfb, 0x07, 0xfc, 0x07])],
    ['a trace id of 15 bytes', field([0x0a], Buffer.alloc(15, 1))],
    ['a span id of 9 bytes', field([0x12], Buffer.alloc(9, 1))],
    ['the trace id of a link that is cut', field([0x6a], field([0x0a], Buffer.alloc(4, 1)))],
    ['a packed field where one number stands', field([0x52], Buffer.from([1]))],
  ])('%s is refused', (_, span) => {
    const found = examined('traces', onlyGroup('traces', requestOfItems('s', [span])))
    expect(found?.malformed).toBe(1)
    expect(found?.reason).not.toBe('')
  })

  test.each<[string, Buffer]>([
    ['a varint that is longer than it need be', varint(0x81, 0x80, 0x00)],
    ['a varint of 64 bits', varint(255, 255, 255, 255, 255, 255, 255, 255, 255, 1)],
    ['an unknown field', field([0xfa, 0x07], Buffer.from([255]))],
    ['empty ids', Buffer.from([0x0a, 0, 0x12, 0])],
    ['a status that stands twice', encode('Span', { status: { code: 1 } })],
  ])('%s is not', (_, span) => {
    const twice = Buffer.concat([span, span])
    expect(examined('traces', onlyGroup('traces', requestOfItems('s', [twice])))).toBeUndefined()
  })
})

test('a malformed point goes alone, and a metric without points with it', () => {
  const point = encode('NumberDataPoint', { as_int: '7' })
  const bad = Buffer.from([0x3a, 9, 1])
  const gauge = (...points: Buffer[]) =>
    Buffer.concat([
      encode('Metric', { name: 'm', unit: 's' }),
      field([0x2a], Buffer.concat(points.map(p => field([0x0a], p)))),
    ])
  const found = examined('metrics', onlyGroup('metrics', requestOfItems('s', [gauge(point, bad, point), gauge(bad)])))!
  expect(found.malformed).toBe(2)
  expect(decoded('metrics', found)).toMatchObject({
    resource_metrics: [
      {
        scope_metrics: [
          { metrics: [{ name: 'm', unit: 's', gauge: { data_points: [{ as_int: '7' }, { as_int: '7' }] } }] },
        ],
      },
    ],
  })
})

test('numbers packed in one field are read to their end', () => {
  const histogram = (counts: Buffer) => field([0x4a], field([0x0a], field([0x32], counts)))
  const of = (counts: Buffer) => examined('metrics', onlyGroup('metrics', requestOfItems('s', [histogram(counts)])))
  expect(of(Buffer.alloc(16))).toBeUndefined()
  expect(of(Buffer.alloc(15))?.malformed).toBe(1)
})

test('long text is mended across pauses, and what that takes is given back', () => {
  const text = Buffer.alloc(300_000, 'ä')
  text[100_001] = 0xff
  const name = Buffer.concat([Buffer.from([0x2a, 0xe0, 0xa7, 0x12]), text])
  const group = onlyGroup('traces', requestOfItems('s', [name]))
  const { value, pauses } = run(examine('traces', group, budget))
  expect(pauses).toBeGreaterThan(3)
  expect(value).toMatchObject({ malformed: 0, mended: 1 })
  expect(JSON.stringify(decoded('traces', value!)).match(/\ufffd/gu)?.length).toBeGreaterThan(0)
  expect(budget.used).toBe(0)
})

test('without room nothing is made', () => {
  const { bytes } = brokenItems('traces').find(({ where }) => where === 'in its name')!
  const group = onlyGroup('traces', requestOfItems('s', [bytes]))
  expect(() => run(examine('traces', group, new Budget(10)))).toThrow(NoRoomError)
})

describe('a request of very many items of four bytes, each of them malformed', () => {
  // A log record whose severity is a text.
  const items = 200_000
  const record = Buffer.from([0x12, 2, 0x12, 0])
  const tag = (content: Buffer) => {
    const size: number[] = []
    for (let left = content.length; ; left >>>= 7) {
      size.push(left < 128 ? left : (left & 127) | 128)
      if (left < 128) return Buffer.concat([Buffer.from([...size]), content])
    }
  }
  const scope = Buffer.concat([Buffer.from([0x12]), tag(Buffer.alloc(items * record.length, record))])
  const { groups } = readRequest('logs', Buffer.concat([Buffer.from([0x0a]), tag(scope)]))

  test('at the door the first of them is enough', () => {
    const steps = verify('logs', groups)
    expect(() => steps.next()).toThrow(WireError)
  })

  test('behind it what is found of them is paid for, and looked for in short steps', () => {
    let most = 0
    const purse = {
      used: 0,
      tryCharge(bytes: number) {
        this.used += bytes
        most = Math.max(most, this.used)
        return true
      },
      release(bytes: number) {
        this.used -= bytes
      },
    }
    const { value, pauses } = run(examine('logs', groups[0], purse))
    expect([value?.malformed, value?.group]).toEqual([items, undefined])
    expect(pauses).toBeGreaterThan(items / 200)
    expect(most).toBeGreaterThan(items * 200)
    expect(purse.used).toBe(0)
  })

  test('and not looked for where there is no room', () => {
    const small = new Budget(1 << 20)
    expect(() => run(examine('logs', groups[0], small))).toThrow(NoRoomError)
    expect(small.used).toBe(0)
  })
})

test('large groups are looked at in many steps', () => {
  const spans = Array.from({ length: 20_000 }, (_, i) => healthyItem('traces', `name${i}`))
  const { groups } = readRequest('traces', largeRequest(spans))
  expect(run(examine('traces', groups[0], budget)).pauses).toBeGreaterThan(8)
})

function largeRequest(spans: readonly Buffer[]): Buffer {
  return encode('traces', {
    resource_spans: [{ scope_spans: [{ spans: spans.map(span => decode('Span', span)) }] }],
  })
}
