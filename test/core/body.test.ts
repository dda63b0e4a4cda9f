import { expect, test } from 'vitest'
import { type Body, type BodyFormat, sendBody } from '../../core/body.ts'
import { Budget } from '../../core/budget.ts'
import { CompressedFormat } from '../../exporters/otlp-body.ts'
import { batchOf } from '../support/exporting.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const batch = () => batchOf(tracesRequest([{ spans: ['a', 'b'] }]))

interface Counted extends Body {
  readonly items: number
}

/** A format that counts how often it is written. */
class Counting implements BodyFormat<Counted> {
  written = 0
  write({ items }: { readonly items: number }): Counted {
    this.written++
    return { bytes: Buffer.from('0123456789'), items }
  }
}

/** Sends that hang until they are let go, and what they were given. */
function sends() {
  const bodies: Counted[] = []
  const waiting: (() => void)[] = []
  const send = (body: Counted): Promise<void> => {
    bodies.push(body)
    return new Promise(resolve => waiting.push(resolve))
  }
  return { bodies, send, end: () => waiting.shift()?.() }
}

test('what two destinations send in one format is made once, charged once, and gone when both are done', async () => {
  const [one, budget, format, { bodies, send, end }] = [batch(), new Budget(1000), new Counting(), sends()]
  const both = [sendBody(one, format, budget, send), sendBody(one, format, budget, send)]
  expect([format.written, bodies.length, budget.used]).toEqual([1, 2, 10])
  expect([bodies[0] === bodies[1], bodies[0].items]).toEqual([true, 2])
  end()
  await both[0]
  expect(budget.used).toBe(10)
  end()
  await both[1]
  expect([budget.used, one.bodies]).toEqual([0, []])
  const again = sendBody(one, format, budget, send)
  end()
  await again
  expect(format.written).toBe(2)
})

const gzip = (format: BodyFormat<Counted>, level: number) => new CompressedFormat(format, 'gzip', level)

test.each<[string, (a: BodyFormat<Counted>, b: BodyFormat<Counted>) => readonly BodyFormat<Counted>[], number]>([
  ['two formats are two bodies', (a, b) => [a, b], 2],
  ['one format compressed alike by two exporters is one body', a => [gzip(a, 1), gzip(a, 1)], 1],
  ['compressed at two levels it is two bodies', a => [gzip(a, 1), gzip(a, 2)], 2],
  ['compressed and plain it is two bodies', a => [a, gzip(a, 1)], 2],
  ['two formats compressed alike are two bodies', (a, b) => [gzip(a, 1), gzip(b, 1)], 2],
])('%s', async (_, formatsOf, count) => {
  const [one, a, b] = [batch(), new Counting(), new Counting()]
  const { bodies, send, end } = sends()
  const both = formatsOf(a, b).map(format => sendBody(one, format, undefined, send))
  await expect.poll(() => bodies.length).toBe(2)
  expect([a.written + b.written, new Set(bodies).size]).toEqual([count, count])
  expect(bodies.every(({ items }) => items === 2)).toBe(true)
  end()
  end()
  await Promise.all(both)
  expect(one.bodies).toEqual([])
})

test('what cannot be written is in nobody’s way', async () => {
  const one = batch()
  const broken: BodyFormat = {
    write() {
      throw new Error('no')
    },
  }
  await expect(sendBody(one, broken, undefined, () => Promise.resolve())).rejects.toThrow('no')
  expect(one.bodies).toEqual([])
})
